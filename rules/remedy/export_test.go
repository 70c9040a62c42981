package remedy

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/spd/text"
)

// exported is an export with the content of its files.
func exported(t *testing.T, f Format, side Side, plan *Plan, ring Keyring) (map[string]string, Exported) {
	t.Helper()
	e, err := Export(f, side, plan, ring)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for i := range e.Files {
		file := &e.Files[i]
		var b bytes.Buffer
		if err := file.Write(&b); err != nil {
			t.Fatal(err)
		}
		out[file.Name] = b.String()
		for ref, key := range ring {
			if !file.Secret && strings.Contains(b.String(), hex.EncodeToString(key.Reveal())) {
				t.Errorf("%s is no secret and holds %s", file.Name, ref)
			}
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(s, "0x5a5a") {
		t.Error("an export prints a key")
	}
	return out, e
}

// masked hides the keys of a text that a failing test prints.
func masked(ring Keyring, s string) string {
	for _, key := range ring {
		s = strings.ReplaceAll(s, hex.EncodeToString(key.Reveal()), Masked)
	}
	return s
}

// parsed reads exported files as the parser for what people paste does.
func parsed(t *testing.T, files map[string]string) text.Result {
	t.Helper()
	var in []text.File
	for name, content := range files {
		in = append(in, text.File{Name: name, Data: []byte(content)})
	}
	r := text.Parse(text.Options{}, in...)
	for _, p := range append(r.Errors.List, r.Warnings.List...) {
		t.Errorf("%s", p.What)
	}
	return r
}

// plans are those that PF_KEY has words for.
func pfkeyPlans(t *testing.T) map[string]func() (Plan, Keyring, error) {
	of := func(change func(*ManualOptions)) func() (Plan, Keyring, error) {
		o := pairOptions
		o.Formats = []Format{FormatSetkey}
		change(&o)
		return func() (Plan, Keyring, error) { return BringUp(kernelOf(), o, dice()) }
	}
	return map[string]func() (Plan, Keyring, error){
		"default": of(func(*ManualOptions) {}),
		"AH":      of(func(o *ManualOptions) { o.AH = true }),
		"legacy":  of(func(o *ManualOptions) { o.Legacy = true }),
		"MD5":     of(func(o *ManualOptions) { o.Legacy, o.Enc, o.Auth = true, "aes128", "md5" }),
		"tunnel":  of(func(o *ManualOptions) { o.Mode = spd.Tunnel }),
		"networks": of(func(o *ManualOptions) {
			o.Mode, o.LocalNet, o.PeerNet = spd.Tunnel, netip.MustParsePrefix("fd00:a::/64"), netip.MustParsePrefix("fd00:b::/64")
		}),
		"IPv4": of(func(o *ManualOptions) {
			o.Local, o.Peer = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		}),
	}
}

// TestSetkeyExportsSayWhatThePlanSays reads a setkey.conf back: the same SAs, the
// same policies, and the files of both ends fit.
func TestSetkeyExportsSayWhatThePlanSays(t *testing.T) {
	for name, make := range pfkeyPlans(t) {
		t.Run(name, func(t *testing.T) {
			plan, ring, err := make()
			if err != nil {
				t.Fatal(err)
			}
			local, _ := exported(t, FormatSetkey, SideLocal, &plan, ring)
			r := parsed(t, local)
			says(t, &plan, &r)
			keysAre(t, &plan, ring, &r)
			peer, _ := exported(t, FormatSetkey, SidePeer, &plan, ring)
			for _, d := range text.Mirror(r, parsed(t, peer)) {
				t.Error(d)
			}
		})
	}
}

// says checks that a database has what the plan adds, and nothing else but what
// setkey makes for forwarded packets.
func says(t *testing.T, plan *Plan, r *text.Result) {
	t.Helper()
	n := 0
	for _, s := range plan.Steps {
		switch s.Op {
		case AddSA:
			if !slices.ContainsFunc(r.DB.SAs, func(o spd.SA) bool { return SameSA(&o, s.SA) }) {
				t.Errorf("missing: %s", s.SA)
			}
		case AddPolicy:
			if s.Policy.Direction != spd.Fwd {
				n++
			}
			if p := findPolicy(&r.DB, s.Policy.Identity()); p == nil || (s.Policy.Direction != spd.Fwd && !SamePolicy(p, s.Policy)) {
				t.Errorf("missing: %s\nthere is %v", s.Policy, p)
			}
		}
	}
	for i := range r.DB.Policies {
		if r.DB.Policies[i].Direction != spd.Fwd {
			n--
		}
	}
	if n != 0 {
		t.Errorf("%d policies more than there should be", -n)
	}
}

func keysAre(t *testing.T, plan *Plan, ring Keyring, r *text.Result) {
	t.Helper()
	for _, s := range plan.Steps {
		if s.Op != AddSA {
			continue
		}
		k := r.Keys[s.SA.Key()]
		if !k.Auth.Equal(ring[s.Keys.Auth]) || (s.SA.Enc != nil && !k.Enc.Equal(ring[s.Keys.Enc])) {
			t.Errorf("other keys: %s", s.SA)
		}
	}
}

// TestIfcfgExportsMirrorEachOther reads the files of both ends back.
func TestIfcfgExportsMirrorEachOther(t *testing.T) {
	for name, make := range pfkeyPlans(t) {
		t.Run(name, func(t *testing.T) {
			plan, ring, err := make()
			if err != nil {
				t.Fatal(err)
			}
			local, e := exported(t, FormatIfcfg, SideLocal, &plan, ring)
			if len(e.Files) != 2 || e.Files[0].Secret || !e.Files[1].Secret {
				t.Errorf("%d files", len(e.Files))
			}
			r := parsed(t, local)
			keysAre(t, &plan, ring, &r)
			peer, _ := exported(t, FormatIfcfg, SidePeer, &plan, ring)
			for _, d := range text.Mirror(r, parsed(t, peer)) {
				t.Error(d)
			}
			if !strings.Contains(local["ifcfg-ipsec0"], "\nTYPE=IPSEC\nONBOOT=yes\nSRC=") {
				t.Error(local["ifcfg-ipsec0"])
			}
			in := strings.SplitAfter(local["ifcfg-ipsec0"], "SPI_ESP_IN=")
			if len(in) != 2 || !strings.Contains(peer["ifcfg-ipsec0"], "SPI_ESP_OUT="+in[1][:strings.IndexByte(in[1], '\n')+1]) {
				t.Error("IN does not become OUT")
			}
		})
	}
}

func TestExportsRefuseByNameWhatTheyCannotSay(t *testing.T) {
	manual := func(change func(*ManualOptions)) (Plan, Keyring) {
		o := pairOptions
		change(&o)
		plan, ring, err := ManualSA(kernelOf(), o, dice())
		if err != nil {
			t.Fatal(err)
		}
		return plan, ring
	}
	std, keys := manual(func(*ManualOptions) {})
	ah, ahKeys := manual(func(o *ManualOptions) { o.Mode, o.AH, o.Auth = spd.Tunnel, true, "sha512" })
	nd, _ := NDBypass(kernelOf(), NDOptions{})
	sub, _ := NDBypass(kernelOf(with(hostPolicy(spd.Out, 50), func(p *spd.Policy) { p.Type = spd.Sub })), NDOptions{})
	drop := Plan{Action: ActionLarvalDrop, Steps: allSteps()[5:]}
	near := Plan{Action: ActionNeighbour, Steps: allSteps()[4:5], Params: map[string]string{"local": "fd00::1", "local-lladdr": "02:00:00:00:00:01"}}
	for _, tt := range []struct {
		name string
		f    Format
		side Side
		plan Plan
		keys Keyring
		want string
	}{
		{"128 bits", FormatSetkey, SideLocal, std, keys, "setkey.conf cannot say that hmac(sha256) is cut to 128 bits"},
		{"128 bits", FormatIfcfg, SideLocal, std, keys, "ifcfg files cannot say that hmac(sha256) is cut to 128 bits"},
		{"manual SAs", FormatSwanctl, SideLocal, std, keys, "swanctl.conf has no words for manual SAs"},
		{"AH around a tunnel", FormatIfcfg, SideLocal, ah, ahKeys, "no words for AH around a tunnel"},
		{"bypass", FormatIfcfg, SideLocal, nd, nil, "ifcfg files have no words for nd-bypass"},
		{"sub policies", FormatSetkey, SideLocal, sub, nil, "setkey.conf has no words for the policy"},
		{"sub policies", FormatSwanctl, SideLocal, sub, nil, "swanctl.conf has no words for the policy"},
		{"settings", FormatIP, SideLocal, drop, nil, "ip has no words for the setting"},
		{"settings", FormatSystemd, SidePeer, drop, nil, "is each host's own matter"},
		{"neighbours", FormatIP, SidePeer, near, nil, "the name of the peer's interface is not known here"},
		{"neighbours", FormatSetkey, SideLocal, near, nil, "setkey.conf has no words for ip neigh replace"},
		{"no keys", FormatIP, SideLocal, std, nil, "the keys of the SA"},
		{"nothing", FormatIP, SideLocal, Plan{}, nil, "nothing to export"},
		{"another format", "xml", SideLocal, nd, nil, `unknown format "xml"`},
	} {
		_, err := Export(tt.f, tt.side, &tt.plan, tt.keys)
		var r *Refusal
		if !errors.As(err, &r) || !strings.Contains(r.Text, tt.want) || strings.Contains(r.Text, "\n") {
			t.Errorf("%s as %s: %v", tt.name, tt.f, err)
		}
	}
}

// TestIPExportsMirrorEachOther checks that the peer's plan, applied to a model,
// fits this host's.
func TestIPExportsMirrorEachOther(t *testing.T) {
	plan, ring, err := BringUp(kernelOf(wide(spd.Out, 0)), pairOptions, dice())
	if err != nil {
		t.Fatal(err)
	}
	files, e := exported(t, FormatIP, SidePeer, &plan, ring)
	got := files["ipsecdiag-bring-up-fd00--1.ip"]
	if !e.Files[0].Secret || !strings.HasPrefix(got, "#!/sbin/ip -batch\n") || strings.Contains(got, Masked) {
		t.Errorf("%d files\n%s", len(e.Files), masked(ring, got))
	}
	for _, want := range []string{
		"\n# For the host with the address fd00::2.\n",
		"\nxfrm policy update src ::/0 dst ff02::1:ff00:2/128 proto ipv6-icmp type 135 dir in priority 100\n",
		"\nxfrm policy update src fd00::2/128 dst ::/0 proto ipv6-icmp type 136 dir out priority 100\n",
		"\nxfrm policy update src fd00::1/128 dst fd00::2/128 dir in priority 550 tmpl ",
		"\n#   xfrm state delete src fd00::1 dst fd00::2 proto esp spi 0x",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, masked(ring, got))
		}
	}
	if strings.Contains(got, "src ::/0 dst ::/0 dir out priority 1000") {
		t.Error("what is moved here would be moved there")
	}
	mirrored, _ := Mirror(&plan)
	var db spd.Database
	if err := Model(&db, mirrored.Steps); err != nil {
		t.Fatal(err)
	}
	for dir, f := range map[spd.Direction]spd.Flow{spd.Out: {Src: teapot, Dst: glass, Proto: 6}, spd.In: {Src: glass, Dst: teapot, Proto: 6}} {
		if v := db.Lookup(dir, f); v.Decision != spd.Protect || v.Dies() {
			t.Errorf("at the peer %s: %s", dir, v.Decision)
		}
	}
	if v := db.Lookup(spd.Out, spd.ICMPv6Flow(teapot, glass, spd.NeighborAdvertisement)); v.Decision != spd.Clear {
		t.Errorf("at the peer the advertisement: %s", v.Decision)
	}
}

func TestSwanctlExport(t *testing.T) {
	plan, err := NDBypass(kernelOf(), NDOptions{Peers: []netip.Addr{teapot}})
	if err != nil {
		t.Fatal(err)
	}
	files, _ := exported(t, FormatSwanctl, SideLocal, &plan, nil)
	want := `connections {
    nd-bypass {
        remote_addrs = 127.0.0.1
        children {
            neighbour-solicitations-1 {
                local_ts = ::/0[ipv6-icmp/135]
                remote_ts = ff02::1:ff00:2/128[ipv6-icmp/135], fd00::2/128[ipv6-icmp/135], fe80::/10[ipv6-icmp/135]
                priority = 100
                mode = pass
                start_action = trap
            }
            neighbour-advertisements-2 {
                local_ts = ::/0[ipv6-icmp/136]
                remote_ts = fd00::2/128[ipv6-icmp/136], fe80::/10[ipv6-icmp/136]
                priority = 100
                mode = pass
                start_action = trap
            }
        }
    }
}
`
	if got := files["ipsecdiag-nd-bypass-fd00--2.conf"]; !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s", got)
	}
	mirrored, _ := exported(t, FormatSwanctl, SidePeer, &plan, nil)
	if got := mirrored["ipsecdiag-nd-bypass.conf"]; !strings.Contains(got, "local_ts = fd00::2/128[ipv6-icmp/136]\n") || !strings.Contains(got, "remote_ts = ::/0[ipv6-icmp/136]\n") {
		t.Errorf("for the peer\n%s", got)
	}
}

func TestSystemdExportOfANeighbourWaitsForItsLink(t *testing.T) {
	k := kernelOf()
	k.Links[0].Name = "br-lan"
	plan, err := Neighbour(k, NeighbourOptions{Peer: teapot, LinkAddr: "02:00:00:00:00:0a"})
	if err != nil {
		t.Fatal(err)
	}
	files, _ := exported(t, FormatSystemd, SideLocal, &plan, nil)
	unit := files["ipsecdiag-neighbour-fd00--2.service"]
	if !strings.Contains(unit, `BindsTo=sys-subsystem-net-devices-br\x2dlan.device`) || strings.Contains(unit, "DefaultDependencies=no") {
		t.Error(unit)
	}
	if up := files["ipsecdiag-neighbour-fd00--2.up"]; !strings.HasSuffix(up, "\nneigh replace fd00::2 lladdr 02:00:00:00:00:0a dev br-lan nud permanent\n") {
		t.Error(up)
	}
	drop, _ := LarvalDrop(&analyze.KernelState{Sysctls: map[string]string{sysctlLarvalDrop: "1"}}, "0")
	files, _ = exported(t, FormatSystemd, SideLocal, &drop, nil)
	if unit := files["ipsecdiag-larval-drop.service"]; len(files) != 1 || !strings.Contains(unit, "xfrm_larval_drop=0\nExecStopPost=-/sbin/sysctl -q -w net.core.xfrm_larval_drop=1\n") {
		t.Error(unit)
	}
}
