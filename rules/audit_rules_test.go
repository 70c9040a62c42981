package rules

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// kernelOf is glass with these policies and SAs, as a kernel tells it: fd00::1 on
// eth0, a day after 1 January 2026.
func kernelOf(policies []spd.Policy, sas ...spd.SA) *analyze.Snapshot {
	s := snapshot("glass", 24*time.Hour, policies...)
	s.SAs = sas
	s.Addresses = []analyze.Address{{Prefix: netip.MustParsePrefix("fd00::1/64"), IfIndex: 2}}
	s.Links = []analyze.Link{{Index: 2, Name: "eth0"}}
	s.Sysctls = map[string]string{}
	return s
}

// audited returns what one rule finds in a state, one finding a line: severity,
// confidence, title, subject.
func audited(r *Rule, s *analyze.Snapshot) []string {
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{r})
	e.Apply(s)
	var out []string
	for _, f := range e.Audit() {
		out = append(out, strings.Join([]string{f.Severity.String(), f.Confidence.String(), f.Title, f.Subject}, "; "))
	}
	return out
}

// protect makes a policy in transport mode.
func protect(dir spd.Direction, src, dst string, reqid uint32) spd.Policy {
	return spd.Policy{
		Selector:  spd.Selector{Src: netip.MustParsePrefix(src), Dst: netip.MustParsePrefix(dst), Family: spd.IPv6},
		Direction: dir, Priority: 1000, Templates: []spd.Template{{Proto: spd.ProtoESP, ReqID: reqid, Family: spd.IPv6}},
	}
}

// through makes a policy in tunnel mode.
func through(dir spd.Direction, src, dst, from, to string) spd.Policy {
	q := protect(dir, src, dst, 0)
	q.Templates[0].Mode = spd.Tunnel
	q.Templates[0].Src, q.Templates[0].Dst = netip.MustParseAddr(from), netip.MustParseAddr(to)
	return q
}

// esp makes an SA by hand.
func esp(src, dst string, spi, reqid uint32) spd.SA {
	return spd.SA{
		Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), SPI: spi, ReqID: reqid, Proto: spd.ProtoESP, Family: spd.IPv6,
		Enc: &spd.Algorithm{Name: "cbc(aes)", KeyBits: 128}, Auth: &spd.Algorithm{Name: "hmac(sha256)", KeyBits: 256, ICVBits: 128},
	}
}

func listens(s *analyze.Snapshot, names ...string) *analyze.Snapshot {
	for i, n := range names {
		s.Listeners = append(s.Listeners, analyze.Listener{Via: "netlink", PID: 100 + i, Name: n, Monitor: n == "ip"})
	}
	return s
}

const (
	g, t1 = "fd00::1/128", "fd00::2/128"
	wide  = "fd00:7::/64"
)

type auditCase struct {
	name  string
	state *analyze.Snapshot
	want  []string // beginnings of what is found
}

func runAudits(t *testing.T, r *Rule, cases []auditCase) {
	t.Helper()
	for _, c := range cases {
		got := audited(r, c.state)
		ok := len(got) == len(c.want)
		for i := range min(len(got), len(c.want)) {
			ok = ok && strings.HasPrefix(got[i], c.want[i])
		}
		if !ok {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

func TestPolicyOneWay(t *testing.T) {
	vti := func(s *analyze.Snapshot) *analyze.Snapshot {
		s.Links = append(s.Links, analyze.Link{Index: 9, Name: "vti0", Kind: "vti6"})
		return s
	}
	marked := []spd.Policy{through(spd.Out, "fd00:1::/64", wide, "fd00::1", "fd00::2"), through(spd.In, wide, "fd00:1::/64", "fd00::2", "fd00::1")}
	for i := range marked {
		marked[i].Mark = spd.Mark{Value: 5, Mask: 0xffffffff}
	}
	forwarding := func(s *analyze.Snapshot) *analyze.Snapshot {
		s.Sysctls["net.ipv6.conf.all.forwarding"] = "1"
		return s
	}
	gateway := []spd.Policy{
		through(spd.Out, wide, "fd00:8::/64", "fd00::1", "fd00::2"), through(spd.In, "fd00:8::/64", wide, "fd00::2", "fd00::1"),
	}
	tunnelled := append(slices.Clone(gateway), through(spd.Fwd, "fd00:8::/64", wide, "fd00::2", "fd00::1"))
	ah := protect(spd.In, t1, g, 0)
	ah.Templates[0].Proto = spd.ProtoAH
	port := protect(spd.Out, g, t1, 7)
	port.Selector.Proto, port.Selector.DstPort, port.Selector.DstPortMask = spd.ProtoTCP, 80, 0xffff
	portIn := protect(spd.In, t1, g, 7)
	portIn.Selector.Proto, portIn.Selector.SrcPort, portIn.Selector.SrcPortMask = spd.ProtoTCP, 80, 0xffff
	tcpIn := protect(spd.In, t1, g, 7)
	tcpIn.Selector.Proto = spd.ProtoTCP
	bypassIn := protect(spd.In, t1, g, 0)
	bypassIn.Templates = nil
	multicast := protect(spd.Out, g, "ff02::5/128", 7)
	runAudits(t, PolicyOneWay, []auditCase{
		{"both directions", kernelOf([]spd.Policy{protect(spd.Out, g, t1, 7), protect(spd.In, t1, g, 7)}), nil},
		{"a trap of libreswan", listens(kernelOf([]spd.Policy{protect(spd.Out, g, t1, 0)}), "pluto"), nil},
		{"the same where nobody could be libreswan", kernelOf([]spd.Policy{protect(spd.Out, g, t1, 0)}),
			[]string{"warning; certain; a policy protects what goes out, and none what comes in"}},
		{"in use, and in is missing", listens(kernelOf([]spd.Policy{protect(spd.Out, g, t1, 0)}, esp("fd00::1", "fd00::2", 0x1001, 0)), "pluto"),
			[]string{"warning; certain; a policy protects what goes out, and none what comes in; policy dir out src fd00::1/128 dst fd00::2/128 on glass"}},
		{"in is a bypass", kernelOf([]spd.Policy{protect(spd.Out, g, t1, 7), bypassIn}),
			[]string{"warning; certain; a policy protects what goes out"}},
		{"in alone", kernelOf([]spd.Policy{protect(spd.In, t1, g, 7)}),
			[]string{"warning; certain; a policy demands protection of what comes in, and none of what goes out"}},
		{"a wider policy answers", kernelOf([]spd.Policy{protect(spd.Out, g, t1, 7), protect(spd.In, "fd00::/64", "fd00::/64", 7)}), []string{
			"warning; certain; a policy has a counterpart for a part of its packets only"}},
		{"ports turned round", kernelOf([]spd.Policy{port, portIn}), nil},
		{"a port out, all of TCP in", kernelOf([]spd.Policy{port, tcpIn}), []string{"warning; certain; a policy demands protection of what comes in"}},
		{"a group", kernelOf([]spd.Policy{multicast}), nil},
		{"ESP out, AH in", kernelOf([]spd.Policy{protect(spd.Out, g, t1, 0), ah}),
			[]string{"warning; likely; the policies of the two directions do not fit each other"}},
		{"tunnels that do not meet", kernelOf([]spd.Policy{gateway[0], through(spd.In, "fd00:8::/64", wide, "fd00::9", "fd00::1")}),
			[]string{"warning; likely; the policies of the two directions do not fit each other"}},
		{"a tunnel, and no gateway", kernelOf(gateway), nil},
		{"a gateway without fwd", forwarding(kernelOf(gateway)), []string{"warning; likely; a gateway's policy has no counterpart for what it forwards"}},
		{"networks of other sizes", kernelOf([]spd.Policy{
			through(spd.Out, g, "fd00:7:0:2::/64", "fd00::1", "fd00::2"), through(spd.In, "fd00:7::/48", "fd00::/64", "fd00::2", "fd00::1")}),
			[]string{"warning; certain; a policy has a counterpart for a part of its packets only"}},
		{"a gateway with a VTI, behind which nothing is asked", vti(forwarding(kernelOf(marked))), nil},
		{"a gateway with marks and no VTI", forwarding(kernelOf(marked)), []string{"warning; likely; a gateway's policy has no counterpart for what it forwards"}},
		{"a gateway with fwd", forwarding(kernelOf(tunnelled)), nil},
		{"a trap before IKE", listens(kernelOf([]spd.Policy{protect(spd.Out, g, t1, 7), protect(spd.In, t1, g, 7)}), "charon"), nil},
		{"reqid", kernelOf([]spd.Policy{protect(spd.Out, g, t1, 7), protect(spd.In, t1, g, 7)}, esp("fd00::1", "fd00::2", 0x1001, 8), esp("fd00::2", "fd00::1", 0x1002, 8)),
			[]string{"warning; likely; a policy asks for a reqid that no SA carries; policy dir out"}},
		{"a reqid of another policy", kernelOf([]spd.Policy{protect(spd.Out, g, t1, 7), protect(spd.In, t1, g, 7), port, portIn,
			protect(spd.Out, "fd00::1/128", "fd00::2/127", 8), protect(spd.In, "fd00::2/127", "fd00::1/128", 8)}, esp("fd00::1", "fd00::2", 0x1001, 8)), nil},
	})
}

func TestSAOrphaned(t *testing.T) {
	both := []spd.Policy{protect(spd.Out, g, t1, 0), protect(spd.In, t1, g, 0)}
	there, back := esp("fd00::1", "fd00::2", 0x1001, 0), esp("fd00::2", "fd00::1", 0x1002, 0)
	now := uint64(epoch.Add(24 * time.Hour).Unix())
	added := func(s spd.SA, ago, soft uint64) spd.SA {
		s.Used.AddTime, s.Limits.SoftAdd, s.Limits.HardAdd = now-ago, soft, soft+600
		return s
	}
	reserved := spd.SA{Src: back.Src, Dst: back.Dst, SPI: 0x1003, Proto: spd.ProtoESP, Family: spd.IPv6}
	larval := spd.SA{Src: there.Src, Dst: there.Dst, Proto: spd.ProtoESP, Family: spd.IPv6}
	gcm := func(s spd.SA) spd.SA {
		s.Enc, s.Auth, s.AEAD = nil, nil, &spd.Algorithm{Name: "rfc4106(gcm(aes))", KeyBits: 160, ICVBits: 128}
		return s
	}
	window := gcm(back)
	window.Replay.Window = 32
	esn := there
	esn.Replay = spd.Replay{ESN: true, OutSeq: 1 << 40}
	next := added(there, 40, 3000)
	next.SPI = 0x2001
	short := there
	short.Auth = &spd.Algorithm{Name: "hmac(sha256)", KeyBits: 256, ICVBits: 96}
	elsewhere, home := esp("fd00::1", "fd00::9", 0x9001, 0), esp("fd00::9", "fd00::1", 0x9002, 0)
	runAudits(t, SAOrphaned, []auditCase{
		{"a pair by hand", kernelOf(both, there, back), nil},
		{"larval", kernelOf(both, larval), nil},
		{"IKE at work: reserved", kernelOf(both, added(there, 40, 3000), reserved), nil},
		{"IKE at work: just made", kernelOf(both, added(there, 3, 3000)), nil},
		{"one direction", kernelOf(both, there), []string{"warning; likely; SAs stand in one direction only; SAs fd00::1 ↔ fd00::2 on glass, one direction"}},
		{"no policy", kernelOf(both, there, back, elsewhere, home), []string{"warning; likely; no policy can use an SA; SAs fd00::1 ↔ fd00::9 on glass"}},
		{"within its lifetime", kernelOf(both, added(there, 3000, 2950), added(back, 3000, 3500)), nil},
		{"past it", kernelOf(both, added(there, 3100, 3000), added(back, 3100, 3500)), []string{"warning; likely; an SA is past its soft lifetime"}},
		{"past it, and replaced", kernelOf(both, added(there, 3100, 3000), added(back, 3100, 3500), next), nil},
		{"extended numbers", kernelOf(both, esn, back), nil},
		{"counter mode by hand", kernelOf(both, gcm(there), gcm(back)), []string{"warning; likely; a counter mode with manual keys"}},
		{"counter mode by IKE", kernelOf(both, gcm(there), window), nil},
		{"cut to 96 bits", kernelOf(both, short, back), []string{"warning; certain; hmac(sha256) is cut to 96 bits"}},
	})
}

func TestSALifetimeEndsWhileWatching(t *testing.T) {
	s := kernelOf([]spd.Policy{protect(spd.Out, g, t1, 0), protect(spd.In, t1, g, 0)}, esp("fd00::1", "fd00::2", 1, 0), esp("fd00::2", "fd00::1", 2, 0))
	s.Header = at("glass", 0)
	for i := range s.SAs {
		s.SAs[i].Used.AddTime, s.SAs[i].Limits.SoftAdd = uint64(epoch.Unix())-100, 150
	}
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{SAOrphaned})
	e.Apply(s)
	const subject = "SAs fd00::1 ↔ fd00::2 on glass, soft lifetime"
	wantOutputs(t, ticks(e, 1, 300), "110 "+subject+" open")
}

// TestALifetimeIsNotJudgedAfterTheRecording: what became of an SA after its host's file
// ended nobody has seen, though the other end's goes on.
func TestALifetimeIsNotJudgedAfterTheRecording(t *testing.T) {
	s := kernelOf([]spd.Policy{protect(spd.Out, g, t1, 0), protect(spd.In, t1, g, 0)}, esp("fd00::1", "fd00::2", 1, 0), esp("fd00::2", "fd00::1", 2, 0))
	s.Header = at("glass", 0)
	for i := range s.SAs {
		s.SAs[i].Used.AddTime, s.SAs[i].Limits.SoftAdd = uint64(epoch.Unix())-100, 150
	}
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{SAOrphaned})
	both := twoFiles(9)
	both.Observers[0].To = epoch.Add(20 * time.Second)
	e.Apply(both)
	e.Apply(s)
	wantOutputs(t, ticks(e, 1, 300))
	if late := e.Audit(); len(late) > 0 {
		t.Errorf("at the end %+v is found", late)
	}
}

func TestListenerMissing(t *testing.T) {
	both := []spd.Policy{protect(spd.Out, g, t1, 0), protect(spd.In, t1, g, 0)}
	there, back := esp("fd00::1", "fd00::2", 0x1001, 0), esp("fd00::2", "fd00::1", 0x1002, 0)
	pfkey := kernelOf(both)
	pfkey.Listeners = []analyze.Listener{{Via: "pfkey", PID: 7, Name: "racoon"}}
	stray := esp("fd00::1", "fd00::2", 0x1001, 8)
	client := []spd.Policy{
		through(spd.Out, g, "::/0", "fd00::1", "2001:db8::5"), through(spd.In, "::/0", g, "2001:db8::5", "fd00::1"),
		{Direction: spd.Out, Priority: 10, Selector: spd.Selector{
			Src: netip.MustParsePrefix("fd00::/64"), Dst: netip.MustParsePrefix("fd00::/64"), Family: spd.IPv6}},
	}
	unread := kernelOf(both)
	unread.Missing = []string{analyze.PartListeners + ": permission denied"}
	wantMissing := []string{"warning; certain; policies need IKE, and no daemon listens; host glass"}
	runAudits(t, ListenerMissing, []auditCase{
		{"nobody", kernelOf(both), wantMissing},
		{"a monitor", listens(kernelOf(both), "ip"), wantMissing},
		{"all through a tunnel, except the own network", kernelOf(client), wantMissing},
		{"a daemon", listens(kernelOf(both), "ip", "charon"), nil},
		{"a daemon by PF_KEY", pfkey, nil},
		{"SAs by hand", kernelOf(both, there, back), nil},
		{"an SA under another reqid: that is policy-one-way's", kernelOf(both, stray), nil},
		{"listeners could not be read", unread, nil},
		{"no policies", kernelOf(nil), nil},
	})
}

func TestIKENotBypassed(t *testing.T) {
	both := []spd.Policy{protect(spd.Out, g, t1, 0), protect(spd.In, t1, g, 0)}
	socket := func(dir spd.Direction) spd.Policy {
		return spd.Policy{Direction: dir, Socket: true, Selector: spd.Selector{Family: spd.IPv6}}
	}
	port := func(dir spd.Direction) spd.Policy {
		q := spd.Policy{Direction: dir, Priority: 1, Selector: spd.Selector{
			Src: netip.MustParsePrefix("::/0"), Dst: netip.MustParsePrefix("::/0"), Proto: spd.ProtoUDP, DstPort: 500, DstPortMask: 0xffff, Family: spd.IPv6}}
		return q
	}
	caught := []string{"warning; likely; a policy catches the IKE daemon's own messages; fd00::1 ↔ fd00::2"}
	runAudits(t, IKENotBypassed, []auditCase{
		{"sockets have policies", listens(kernelOf(append(slices.Clone(both), socket(spd.In), socket(spd.Out))), "charon"), nil},
		{"ports have policies", listens(kernelOf(append(slices.Clone(both), port(spd.In), port(spd.Out))), "charon"), nil},
		{"neither", listens(kernelOf(both), "charon"), caught},
		{"one direction only", listens(kernelOf(append(slices.Clone(both), socket(spd.Out))), "charon"), caught},
		{"no daemon", kernelOf(both), nil},
		{"a network on which this host is", listens(kernelOf([]spd.Policy{
			protect(spd.Out, "fd00::/64", "fd00::/64", 0), protect(spd.In, "fd00::/64", "fd00::/64", 0)}), "charon"),
			[]string{"warning; likely; a policy catches the IKE daemon's own messages; policy dir out src fd00::/64 dst fd00::/64 on glass"}},
		{"an SA carries it", listens(kernelOf(both, esp("fd00::1", "fd00::2", 1, 0), esp("fd00::2", "fd00::1", 2, 0)), "charon"), nil},
	})
}

func TestDefaultBlockAndShadowed(t *testing.T) {
	blocked := kernelOf(nil)
	blocked.Defaults = spd.Defaults{Out: spd.Block}
	loopback := kernelOf(nil)
	loopback.Defaults, loopback.Addresses = blocked.Defaults, nil
	fwd := kernelOf(nil)
	fwd.Defaults = spd.Defaults{Fwd: spd.Block}
	runAudits(t, DefaultBlock, []auditCase{
		{"nothing", kernelOf(nil), nil},
		{"out", blocked, []string{"warning; certain; what no policy selects is dropped"}},
		{"out, on a host without IPv6", loopback, []string{"info; certain"}},
		{"fwd", fwd, []string{"info; certain"}},
	})
	ssh := protect(spd.Out, g, t1, 0)
	ssh.Action, ssh.Templates, ssh.Priority = spd.Block, nil, 2000
	better := ssh
	better.Priority = 10
	same := protect(spd.Out, "fd00::1/128", "fd00::2/128", 0)
	same.Selector.Proto, same.Priority = spd.ProtoTCP, 2000
	nd := ssh
	nd.Action, nd.Selector.Proto = spd.Allow, spd.ProtoICMPv6
	runAudits(t, PolicyShadowed, []auditCase{
		{"behind", kernelOf([]spd.Policy{protect(spd.Out, g, t1, 0), ssh}), []string{"warning; certain; a policy can never win; policy dir out src fd00::1/128 dst fd00::2/128 on glass"}},
		{"before", kernelOf([]spd.Policy{protect(spd.Out, g, "fd00::/64", 0), better}), nil},
		{"to the same effect", kernelOf([]spd.Policy{protect(spd.Out, g, t1, 0), same}), nil},
		{"a bypass of neighbour discovery: that is nd-bypass-shadowed's", kernelOf([]spd.Policy{protect(spd.Out, g, t1, 0), nd}), nil},
	})
}
