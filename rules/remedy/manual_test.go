package remedy

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/spd/secret"
)

// dice is a random source that gives the same numbers in every run.
func dice() io.Reader { return rand.NewChaCha8([32]byte{1}) }

var pairOptions = ManualOptions{Local: glass, Peer: teapot}

// manualSA plans, applies to the model, checks that all is taken back again, and
// returns the masked commands.
func manualSA(t *testing.T, k *analyze.KernelState, o ManualOptions) ([]string, Plan, Keyring) {
	t.Helper()
	plan, ring, err := ManualSA(k, o, dice())
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(k)
	db := h.clone()
	if err := Model(&db, plan.Steps); err != nil {
		t.Fatal(err)
	}
	takenBack(t, k, plan, &db)
	keysFit(t, plan, ring)
	silent(t, plan, ring)
	return Commands(plan.Steps), plan, ring
}

// keysFit checks that every SA has its keys, of the right length, and that none
// is left over.
func keysFit(t *testing.T, plan Plan, ring Keyring) {
	t.Helper()
	used := 0
	for _, s := range plan.Steps {
		if s.Op != AddSA {
			continue
		}
		for ref, a := range map[KeyRef]*spd.Algorithm{s.Keys.Enc: s.SA.Enc, s.Keys.Auth: s.SA.Auth} {
			if a != nil && ring[ref].Len() != a.KeyBits {
				t.Errorf("%s wants %d bits and has %d", ref, a.KeyBits, ring[ref].Len())
			}
			if a != nil {
				used++
			}
		}
	}
	if used != len(ring) {
		t.Errorf("%d keys, %d of them used", len(ring), used)
	}
}

// silent checks that no key is in anything that a plan or a keyring prints.
func silent(t *testing.T, plan Plan, ring Keyring) {
	t.Helper()
	var said bytes.Buffer
	for _, v := range []any{plan, &plan, ring, &ring, plan.Steps, Commands(plan.Steps)} {
		fmt.Fprintf(&said, "%v %+v %#v %s %x %q\n", v, v, v, v, v, v)
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		said.Write(b)
	}
	for ref, key := range ring {
		b := key.Reveal()
		for _, form := range []string{string(b), hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)), base64.StdEncoding.EncodeToString(b), strings.Trim(fmt.Sprint(b), "[]")} {
			if strings.Contains(said.String(), form) {
				t.Errorf("the key %s gets out", ref)
			}
		}
	}
}

func TestManualSA(t *testing.T) {
	got, plan, _ := manualSA(t, kernelOf(), pairOptions)
	want := []string{
		"ip xfrm state add src fd00::2 dst fd00::1 proto esp spi SPI reqid 8192 mode transport enc 'cbc(aes)' <secret> auth-trunc 'hmac(sha256)' <secret> 128",
		"ip xfrm state add src fd00::1 dst fd00::2 proto esp spi SPI reqid 8192 mode transport enc 'cbc(aes)' <secret> auth-trunc 'hmac(sha256)' <secret> 128",
		"ip xfrm policy add src fd00::2/128 dst fd00::1/128 dir in priority 1000 tmpl proto esp reqid 8192 mode transport",
		"ip xfrm policy add src fd00::1/128 dst fd00::2/128 dir out priority 1000 tmpl proto esp reqid 8192 mode transport",
	}
	for i, s := range plan.Steps[:2] {
		if s.SA.SPI < 0x100 || s.SA.Enc.KeyBits != 256 || s.SA.Auth.KeyBits != 256 || s.SA.Auth.ICVBits != 128 {
			t.Errorf("SA %+v", s.SA)
		}
		want[i] = strings.Replace(want[i], "SPI", fmt.Sprintf("%#08x", s.SA.SPI), 1)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	notes := strings.Join(plan.Notes, "\n")
	for _, lack := range []string{"no rekeying", "no replay protection", "gone after a reboot", "the peer needs the same"} {
		if !strings.Contains(notes, lack) {
			t.Errorf("%q is not said: %s", lack, notes)
		}
	}
}

func TestManualSAInAllItsForms(t *testing.T) {
	v4 := func(o *ManualOptions) {
		o.Local, o.Peer = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	}
	tests := []struct {
		name   string
		change func(*ManualOptions)
		steps  int
		want   []string // parts of the commands
	}{
		{"AH", func(o *ManualOptions) { o.AH = true }, 6, []string{
			"tmpl proto esp reqid 8192 mode transport tmpl proto ah reqid 8192 mode transport", "proto ah spi 0x"}},
		{"IPv4", v4, 4, []string{"policy add src 192.0.2.1/32 dst 192.0.2.2/32 dir out priority 1000 tmpl proto esp reqid 8192 mode transport"}},
		{"tunnel", func(o *ManualOptions) { o.Mode = spd.Tunnel }, 4, []string{"tmpl src fd00::1 dst fd00::2 proto esp reqid 8192 mode tunnel"}},
		{"tunnel with AH", func(o *ManualOptions) { o.Mode, o.AH = spd.Tunnel, true }, 6, []string{
			"tmpl src fd00::1 dst fd00::2 proto esp reqid 8192 mode tunnel tmpl proto ah reqid 8192 mode transport"}},
		{"networks", func(o *ManualOptions) {
			o.Mode, o.LocalNet, o.PeerNet = spd.Tunnel, netip.MustParsePrefix("fd00:a::/64"), netip.MustParsePrefix("fd00:b::/64")
		}, 5, []string{"src fd00:b::/64 dst fd00:a::/64 dir fwd", "src fd00:a::/64 dst fd00:b::/64 dir out"}},
		{"legacy", func(o *ManualOptions) { o.Legacy = true }, 4, []string{"enc 'cbc(des3_ede)' <secret> auth-trunc 'hmac(sha1)' <secret> 96"}},
		{"legacy, AES and MD5", func(o *ManualOptions) { o.Legacy, o.Enc, o.Auth = true, "aes-cbc", "hmac-md5" }, 4, []string{"enc 'cbc(aes)' <secret> auth-trunc 'hmac(md5)' <secret> 96"}},
		{"other algorithms", func(o *ManualOptions) { o.Enc, o.Auth = "AES128", "hmac(sha512)" }, 4, []string{"auth-trunc 'hmac(sha512)' <secret> 256"}},
		{"SPIs", func(o *ManualOptions) { o.SPIIn, o.SPIOut, o.AH = 0x100, 0xffffffff, true }, 6, []string{"proto esp spi 0x00000100 ", "proto ah spi 0xffffffff "}},
		{"for a setkey.conf", func(o *ManualOptions) { o.Formats = []Format{FormatSetkey} }, 4, []string{"auth-trunc 'hmac(sha512)' <secret> 256"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := pairOptions
			tt.change(&o)
			got, _, _ := manualSA(t, kernelOf(), o)
			if len(got) != tt.steps {
				t.Errorf("%d steps, want %d", len(got), tt.steps)
			}
			for _, w := range tt.want {
				if !strings.Contains(strings.Join(got, "\n"), w) {
					t.Errorf("%q is missing in\n%s", w, strings.Join(got, "\n"))
				}
			}
		})
	}
}

func keyOf(bits int) secret.Key { return secret.New(bytes.Repeat([]byte{0x5a}, bits/8)) }

// givenKeys are the keys of ESP with AES-256 and HMAC-SHA-256.
func givenKeys() Keyring {
	return Keyring{"esp-in-enc": keyOf(256), "esp-out-enc": keyOf(256), "esp-auth": keyOf(256)}
}

func TestManualSATakesGivenKeys(t *testing.T) {
	o := pairOptions
	o.Keys = givenKeys()
	manualSA(t, kernelOf(), o)
	o.Keys = Keyring{"KEY_ESP_IN": keyOf(128), "KEY_ESP_OUT": keyOf(128), "KEY_AESP": keyOf(160), "KEY_AH": keyOf(160)}
	o.AH, o.Legacy, o.Enc = true, true, "aes-cbc"
	manualSA(t, kernelOf(), o)
	// The names that the plan of the other end gave.
	o = ManualOptions{Local: glass, Peer: teapot, SPIIn: 0x1000, SPIOut: 0x2000}
	_, _, ring := manualSA(t, kernelOf(), o)
	o.Keys = ring
	if _, _, again := manualSA(t, kernelOf(), o); !reflect.DeepEqual(ring, again) {
		t.Error("its own key file gives other keys")
	}
}

func TestManualSARefuses(t *testing.T) {
	addr, net := netip.MustParseAddr, netip.MustParsePrefix
	standing := spd.SA{Src: teapot, Dst: glass, SPI: 0x1000, Proto: spd.ProtoESP, ReqID: 7, Enc: &spd.Algorithm{Name: "cbc(aes)"}}
	tests := []struct {
		name   string
		change func(*analyze.KernelState, *ManualOptions)
		want   Reason
		text   string
	}{
		{"families", func(_ *analyze.KernelState, o *ManualOptions) { o.Peer = addr("192.0.2.2") }, Families, "fd00::1 and 192.0.2.2 are of different families"},
		{"not local", func(_ *analyze.KernelState, o *ManualOptions) { o.Local = addr("fd00::9") }, NotLocal, "the local address fd00::9 is not on this host"},
		{"self", func(_ *analyze.KernelState, o *ManualOptions) { o.Peer = addr("fe80::1") }, PeerIsLocal, "the peer fe80::1 is this host itself"},
		{"multicast", func(_ *analyze.KernelState, o *ManualOptions) { o.Peer = addr("ff02::1") }, Multicast, "the peer ff02::1 is a group, not a host"},
		{"multicast of IPv4", func(_ *analyze.KernelState, o *ManualOptions) {
			o.Local, o.Peer = addr("192.0.2.1"), addr("::ffff:224.0.0.1")
		}, Multicast, "the peer 224.0.0.1 is a group, not a host"},
		{"nobody", func(_ *analyze.KernelState, o *ManualOptions) { o.Peer = addr("::") }, BadAddress, "is not the address of another host"},
		{"no address", func(_ *analyze.KernelState, o *ManualOptions) { o.Peer = netip.Addr{} }, BadAddress, "the addresses of both ends are needed"},
		{"SPI", func(_ *analyze.KernelState, o *ManualOptions) { o.SPIIn = 0xff }, BadSPI, "the inbound SPI 0xff is reserved: 0x100 is the first"},
		{"SPI in use", func(k *analyze.KernelState, o *ManualOptions) { k.SAs, o.SPIIn = []spd.SA{standing}, 0x1000 }, SPIInUse, "the SPI 0x1000 is in use for esp to fd00::1"},
		{"key length", func(_ *analyze.KernelState, o *ManualOptions) {
			o.Keys = givenKeys()
			o.Keys["esp-in-enc"] = keyOf(200)
		}, KeyLength, "the key esp-in-enc has 200 bits, and aes256 takes 256"},
		{"key length of authentication", func(_ *analyze.KernelState, o *ManualOptions) { o.Keys = givenKeys(); o.Keys["esp-auth"] = keyOf(160) }, KeyLength, "the key esp-auth has 160 bits, and sha256 takes 256"},
		{"a key is missing", func(_ *analyze.KernelState, o *ManualOptions) { o.Keys = givenKeys(); delete(o.Keys, "esp-auth") }, MissingKey, "none of them is esp-in-auth"},
		{"a key too many", func(_ *analyze.KernelState, o *ManualOptions) { o.Keys = givenKeys(); o.Keys["ah-auth"] = keyOf(256) }, MissingKey, "the key ah-auth belongs to none of the SAs"},
		{"unknown encryption", func(_ *analyze.KernelState, o *ManualOptions) { o.Enc = "rot13" }, Algorithm, `unknown algorithm "rot13": known are aes256, aes192, aes128`},
		{"unknown authentication", func(_ *analyze.KernelState, o *ManualOptions) { o.Auth, o.Legacy = "crc32", true }, Algorithm, `known are sha256, sha384, sha512, sha1, md5`},
		{"old, and not said", func(_ *analyze.KernelState, o *ManualOptions) { o.Enc = "3des-cbc" }, Algorithm, "say --legacy if this is one"},
		{"counter mode", func(_ *analyze.KernelState, o *ManualOptions) { o.Enc = "rfc4106(gcm(aes))" }, CounterMode, "RFC 8221 section 3"},
		{"networks in transport mode", func(_ *analyze.KernelState, o *ManualOptions) { o.PeerNet = net("fd00:b::/64") }, BadValue, "need tunnel mode"},
		{"networks of families", func(_ *analyze.KernelState, o *ManualOptions) { o.Mode, o.PeerNet = spd.Tunnel, net("10.0.0.0/8") }, Families, "are of different families"},
		{"no network", func(_ *analyze.KernelState, o *ManualOptions) { o.Mode, o.PeerNet = spd.Tunnel, net("fd00:b::1/64") }, BadValue, "fd00:b::/64 is the network"},
		{"a policy with other templates", func(k *analyze.KernelState, o *ManualOptions) {
			k.Policies, o.AH = []spd.Policy{hostPolicy(spd.Out, 10)}, true
		}, PolicyExists, "it asks for 1 SAs, not for 2"},
		{"a policy of another mode", func(k *analyze.KernelState, o *ManualOptions) {
			k.Policies, o.Mode = []spd.Policy{hostPolicy(spd.Out, 10)}, spd.Tunnel
		}, PolicyExists, "it asks for transport mode, not for tunnel mode"},
		{"a bypass", func(k *analyze.KernelState, _ *ManualOptions) {
			k.Policies = []spd.Policy{with(hostPolicy(spd.Out, 10), func(p *spd.Policy) { p.Templates = nil })}
		}, PolicyExists, "it lets pass in the clear"},
		{"a block", func(k *analyze.KernelState, _ *ManualOptions) {
			k.Policies = []spd.Policy{with(hostPolicy(spd.In, 10), func(p *spd.Policy) { p.Templates, p.Action = nil, spd.Block })}
		}, PolicyExists, "it blocks"},
		{"nothing beats 0", func(k *analyze.KernelState, _ *ManualOptions) { k.Policies = []spd.Policy{wide(spd.Out, 0)} }, NoRoom, "would not win"},
		{"a sub policy", func(k *analyze.KernelState, _ *ManualOptions) {
			k.Policies = []spd.Policy{with(wide(spd.Out, 9), func(p *spd.Policy) { p.Type = spd.Sub })}
		}, NoRoom, "would not use the new SAs"},
		{"half done", func(k *analyze.KernelState, _ *ManualOptions) {
			k.Policies, k.SAs = []spd.Policy{hostPolicy(spd.In, 10)}, []spd.SA{standing}
		}, SPIInUse, "one direction of fd00::1 and fd00::2 is protected already"},
		{"a daemon's policy", func(k *analyze.KernelState, _ *ManualOptions) {
			k.Policies, k.Listeners = []spd.Policy{hostPolicy(spd.Out, 268928)}, []analyze.Listener{listener("charon-systemd")}
		}, DaemonOwns, "strongSwan runs and serves fd00::1 and fd00::2"},
		{"a daemon at work", func(k *analyze.KernelState, _ *ManualOptions) {
			k.SAs, k.Listeners = []spd.SA{{Src: teapot, Dst: glass, SPI: 0xc0000001, Proto: spd.ProtoESP}}, []analyze.Listener{listener("pluto")}
		}, DaemonOwns, "libreswan runs and serves"},
		{"not seen", func(k *analyze.KernelState, _ *ManualOptions) { k.Missing = []string{"SAs: CAP_NET_ADMIN is missing"} }, NoKernel, "CAP_NET_ADMIN"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, o := kernelOf(), pairOptions
			tt.change(k, &o)
			plan, _, err := ManualSA(k, o, dice())
			var r *Refusal
			if !errors.As(err, &r) {
				t.Fatalf("not refused: %v\n%s", err, strings.Join(Commands(plan.Steps), "\n"))
			}
			if r.Reason != tt.want || !strings.Contains(r.Text, tt.text) || strings.Contains(r.Text, "\n") {
				t.Errorf("%s: %s; want %s: %s", r.Reason, r.Text, tt.want, tt.text)
			}
		})
	}
}

func TestManualSALeavesOtherPairsToTheDaemon(t *testing.T) {
	k := kernelOf(with(hostPolicy(spd.Out, 268928), func(p *spd.Policy) { p.Selector.Dst = netip.MustParsePrefix("fd00::3/128") }))
	k.Listeners = []analyze.Listener{listener("charon-systemd")}
	if got, _, _ := manualSA(t, k, pairOptions); len(got) != 4 {
		t.Errorf("%q", got)
	}
}

func TestManualSAFitsPoliciesThatStand(t *testing.T) {
	k := kernelOf(hostPolicy(spd.Out, 0), with(hostPolicy(spd.In, 0), func(p *spd.Policy) { p.Templates[0].ReqID = 0 }))
	got, plan, _ := manualSA(t, k, pairOptions)
	if len(got) != 2 || plan.Steps[0].SA.ReqID != 0 || plan.Steps[1].SA.ReqID != 7 {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	k = kernelOf(hostPolicy(spd.Out, 10))
	if got, _, _ = manualSA(t, k, pairOptions); len(got) != 3 || !strings.Contains(got[2], "dir in") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestManualSAAgainDoesNothing(t *testing.T) {
	k := kernelOf()
	_, plan, _ := manualSA(t, k, pairOptions)
	db := spd.Database{}
	if err := Model(&db, plan.Steps); err != nil {
		t.Fatal(err)
	}
	k.Policies, k.SAs = db.Policies, db.SAs
	got, plan, ring := manualSA(t, k, pairOptions)
	if len(got) != 0 || len(ring) != 0 || !strings.HasPrefix(plan.Notes[0], "nothing to do: SAs protect fd00::1 and fd00::2 already") {
		t.Errorf("%q %q", got, plan.Notes)
	}
}

func TestManualSAChoosesAPriorityThatWins(t *testing.T) {
	bypass := func(priority uint32) spd.Policy { return shunted(spd.Out, spd.NeighborAdvertisement, priority) }
	for _, tt := range []struct {
		policies []spd.Policy
		want     uint32
	}{
		{[]spd.Policy{wide(spd.Out, 5000)}, 1000},
		{[]spd.Policy{wide(spd.In, 500), bypass(100)}, 300},
		{[]spd.Policy{wide(spd.Out, 8), bypass(4)}, 6},
		{[]spd.Policy{bypass(2000)}, 2000 + (0xffffffff-2000)/2},
	} {
		_, plan, _ := manualSA(t, kernelOf(tt.policies...), pairOptions)
		if got := plan.Steps[3].Policy.Priority; got != tt.want {
			t.Errorf("priority %d, want %d with\n%s", got, tt.want, policyLines(tt.policies))
		}
	}
}

func TestSPIsThatAreTakenAreDrawnAgain(t *testing.T) {
	draws := []byte{0, 0, 0, 0xff, 0, 0, 0x10, 0, 0, 0, 0x20, 0}
	k := kernelOf()
	k.SAs = []spd.SA{{Src: teapot, Dst: glass, SPI: 0x1000, Proto: spd.ProtoESP, Enc: &spd.Algorithm{}}}
	plan, _, err := ManualSA(k, pairOptions, io.MultiReader(bytes.NewReader(draws), dice()))
	if err != nil || plan.Steps[0].SA.SPI != 0x2000 {
		t.Errorf("%v, SPI %#x, want 0x2000", err, plan.Steps[0].SA.SPI)
	}
	if _, _, err := ManualSA(k, pairOptions, bytes.NewReader(draws)); !errors.Is(err, io.EOF) {
		t.Errorf("without chance: %v", err)
	}
}

func TestBringUp(t *testing.T) {
	for _, policies := range [][]spd.Policy{nil, {wide(spd.Out, 300), wide(spd.In, 0)}, {hostPolicy(spd.Out, 0), hostPolicy(spd.In, 0)}} {
		k := kernelOf(policies...)
		plan, ring, err := BringUp(k, pairOptions, dice())
		if err != nil {
			t.Fatal(err)
		}
		h := newHost(k)
		db := h.clone()
		if err := Model(&db, plan.Steps); err != nil {
			t.Fatal(err)
		}
		after := *k
		after.Policies, after.SAs = slices.Clone(db.Policies), slices.Clone(db.SAs)
		if left := NDCaught(&after, NDOptions{Peers: []netip.Addr{teapot}}); len(left) > 0 {
			t.Errorf("%s\n%s", &left[0], policyLines(after.Policies))
		}
		if again, _, err := BringUp(&after, pairOptions, dice()); err != nil || !again.Empty() {
			t.Errorf("again: %v, %q", err, Commands(again.Steps))
		}
		takenBack(t, k, plan, &db)
		keysFit(t, plan, ring)
		silent(t, plan, ring)
	}
}

func TestNeighbour(t *testing.T) {
	k := kernelOf()
	k.Neighbors = []analyze.Neighbor{{Addr: teapot, IfIndex: 2, LinkAddr: "02:00:00:00:00:09", State: "STALE"}}
	plan, err := Neighbour(k, NeighbourOptions{Peer: teapot, LinkAddr: "02-00-00-00-00-0A"})
	if err != nil || len(plan.Steps) != 1 || plan.Steps[0].FormerNeighbour == nil {
		t.Fatalf("%v, %+v", err, plan)
	}
	if got := plan.Steps[0].Command(); got != "ip neigh replace fd00::2 lladdr 02:00:00:00:00:0a dev eth0 nud permanent" {
		t.Error(got)
	}
	k.Neighbors[0].LinkAddr, k.Neighbors[0].State = "02:00:00:00:00:0a", "PERMANENT"
	if plan, err := Neighbour(k, NeighbourOptions{Peer: teapot, LinkAddr: "02:00:00:00:00:0a"}); err != nil || !plan.Empty() {
		t.Errorf("again: %v %+v", err, plan)
	}
	for i := range k.Links {
		k.Links[i].LinkAddr = "02:00:00:00:00:01"
	}
	for _, tt := range []struct {
		peer, lladdr, dev string
		want              Reason
	}{
		{"fd00::2", "02:00:00:00:00", "", BadValue}, {"fd00::2", "teapot", "", BadValue}, {"fd00::2", "01:00:5e:00:00:01", "", BadValue},
		{"fd00::2", "00:00:00:00:00:00", "", BadValue}, {"fd00::2", "02:00:00:00:00:0a", "eth7", NoNeighbour}, {"2001:db8::1", "02:00:00:00:00:0a", "", NoNeighbour},
		{"fe80::2", "02:00:00:00:00:0a", "", NoNeighbour}, {"fd00::2", "02:00:00:00:00:00:00:0a", "", BadValue}, {"fd00::1", "02:00:00:00:00:0a", "", PeerIsLocal}, {"ff02::1", "02:00:00:00:00:0a", "", Multicast},
	} {
		_, err := Neighbour(k, NeighbourOptions{Peer: netip.MustParseAddr(tt.peer), LinkAddr: tt.lladdr, Device: tt.dev})
		var r *Refusal
		if !errors.As(err, &r) || r.Reason != tt.want {
			t.Errorf("%+v: %v", tt, err)
		}
	}
	if plan, err := Neighbour(k, NeighbourOptions{Peer: netip.MustParseAddr("fe80::2%eth0"), LinkAddr: "02:00:00:00:00:0a"}); err != nil || plan.Steps[0].Device != "eth0" {
		t.Errorf("%v %+v", err, plan)
	}
}

func TestLarvalDrop(t *testing.T) {
	k := kernelOf()
	k.Sysctls = map[string]string{"net.core.xfrm_larval_drop": "1"}
	plan, err := LarvalDrop(k, "0")
	if err != nil || plan.Steps[0].Command() != "sysctl -w net.core.xfrm_larval_drop=0" || plan.Steps[0].Inverse().Sysctl.Value != "1" {
		t.Errorf("%v %+v", err, plan)
	}
	if plan, err := LarvalDrop(k, "1"); err != nil || !plan.Empty() {
		t.Errorf("again: %v %+v", err, plan)
	}
	if _, err := LarvalDrop(k, "2"); err == nil {
		t.Error("2 is taken")
	}
	if _, err := LarvalDrop(kernelOf(), "1"); err == nil {
		t.Error("a kernel without the setting")
	}
}
