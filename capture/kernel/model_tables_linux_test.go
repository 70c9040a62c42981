package kernel

import (
	"fmt"
	"net/netip"
	"testing"

	"ipsecdiag/analyze/spd"

	"golang.org/x/sys/unix"
)

func selectorOf(src, dst string, proto uint8, typ, code int) spd.Selector {
	s := spd.Selector{Src: netip.MustParsePrefix(src), Dst: netip.MustParsePrefix(dst), Family: spd.IPv6, Proto: proto}
	if typ >= 0 {
		s.SrcPort, s.SrcPortMask = uint16(typ), 0xffff
	}
	if code >= 0 {
		s.DstPort, s.DstPortMask = uint16(code), 0xffff
	}
	return s
}

// demandESP wants ESP between fd00::1, which is the namespace's, and peers.
func demandESP(dir spd.Direction, src, dst string, priority uint32) spd.Policy {
	return spd.Policy{
		Selector: selectorOf(src, dst, 0, -1, -1), Direction: dir, Priority: priority,
		Templates: []spd.Template{{Src: netip.IPv6Unspecified(), Dst: netip.IPv6Unspecified(), Proto: spd.ProtoESP, ReqID: 1, Family: spd.IPv6}},
	}
}

func naBypass(dir spd.Direction, priority uint32) spd.Policy {
	return spd.Policy{Selector: selectorOf("::/0", "::/0", spd.ProtoICMPv6, 136, -1), Direction: dir, Priority: priority}
}

// TestIntegrationEveryRowOfTheBypassTable has the running kernel answer a
// neighbour solicitation under the policies of each row of KERNEL.md section 3,
// and holds that the row is right and the model says so.
func TestIntegrationEveryRowOfTheBypassTable(t *testing.T) {
	w := newWire(t)
	esp := func(priority uint32) spd.Policy { return demandESP(spd.Out, "fd00::1/128", "fd00::2/128", priority) }
	bypass := func(src, dst string, proto uint8, typ, code int) spd.Policy {
		return spd.Policy{Selector: selectorOf(src, dst, proto, typ, code), Direction: spd.Out, Priority: 99}
	}
	with := func(p spd.Policy, change func(*spd.Policy)) spd.Policy { change(&p); return p }
	const icmp6 = spd.ProtoICMPv6
	tests := []struct {
		name     string
		policies []spd.Policy
		defaults spd.Defaults
		leaves   bool
		depends  bool // on the kernel
	}{
		{"esp priority 100 first, bypass 100 later", []spd.Policy{esp(100), naBypass(spd.Out, 100)}, spd.Defaults{}, false, true},
		{"bypass 100 first, esp 100 later", []spd.Policy{naBypass(spd.Out, 100), esp(100)}, spd.Defaults{}, true, true},
		{"esp 100, bypass 99", []spd.Policy{esp(100), naBypass(spd.Out, 99)}, spd.Defaults{}, true, false},
		{"esp without a priority, bypass 10", []spd.Policy{esp(0), naBypass(spd.Out, 10)}, spd.Defaults{}, false, false},
		{"both without priority, esp first", []spd.Policy{esp(0), naBypass(spd.Out, 0)}, spd.Defaults{}, false, true},
		{"bypass only fwd", []spd.Policy{esp(100), naBypass(spd.Fwd, 99)}, spd.Defaults{}, false, false},
		{"bypass only in", []spd.Policy{esp(100), naBypass(spd.In, 99)}, spd.Defaults{}, false, false},
		{"type 135 only", []spd.Policy{esp(100), bypass("::/0", "::/0", icmp6, 135, -1)}, spd.Defaults{}, false, false},
		{"type 136 code 1", []spd.Policy{esp(100), bypass("::/0", "::/0", icmp6, 136, 1)}, spd.Defaults{}, false, false},
		{"type 136 code 0", []spd.Policy{esp(100), bypass("::/0", "::/0", icmp6, 136, 0)}, spd.Defaults{}, true, false},
		{"proto 1", []spd.Policy{esp(100), bypass("::/0", "::/0", spd.ProtoICMP, -1, -1)}, spd.Defaults{}, false, false},
		{"only fe80::/10 and ff02::/16 bypassed", []spd.Policy{
			esp(100), bypass("::/0", "fe80::/10", 0, -1, -1), bypass("::/0", "ff02::/16", 0, -1, -1)}, spd.Defaults{}, false, false},
		{"bypass with a mark", []spd.Policy{
			esp(100), with(naBypass(spd.Out, 99), func(p *spd.Policy) { p.Mark = spd.Mark{Value: 5, Mask: 0xff} })}, spd.Defaults{}, false, false},
		{"bypass with an if_id", []spd.Policy{
			esp(100), with(naBypass(spd.Out, 99), func(p *spd.Policy) { p.IfID = 5 })}, spd.Defaults{}, false, false},
		{"bypass for the device", []spd.Policy{
			esp(100), with(naBypass(spd.Out, 99), func(p *spd.Policy) { p.Selector.IfIndex = w.index[1] })}, spd.Defaults{}, true, false},
		{"esp in sub, bypass in main", []spd.Policy{
			with(esp(100), func(p *spd.Policy) { p.Type = spd.Sub }), naBypass(spd.Out, 1)}, spd.Defaults{}, false, false},
		{"explicit block", []spd.Policy{with(esp(50), func(p *spd.Policy) { p.Action, p.Templates = spd.Block, nil })}, spd.Defaults{}, false, false},
		{"setdefault out block", nil, spd.Defaults{Out: spd.Block}, false, false},
	}
	na := packet{dir: spd.Out, how: byDiscovery, flow: spd.ICMPv6Flow(own6, peers6[0], spd.NeighborAdvertisement)}
	na.flow.IfIndex = w.index[1]
	for _, tt := range tests {
		w.ns.do(func() error {
			tr := &trial{db: spd.Database{Policies: tt.policies, Defaults: tt.defaults}, packets: []packet{na}}
			c := tally{became: map[string]int{}}
			if _, d, err := w.trial(tr, &c); err != nil || d != "" {
				return fmt.Errorf("%s: %s %w", tt.name, d, err)
			}
			o, err := w.observe(na)
			if o.passed != tt.leaves && (w.ordersByAge || !tt.depends) {
				t.Errorf("%s: %s", tt.name, o)
			}
			if tt.depends {
				t.Logf("%s: on Linux %s: %s", tt.name, release(), o)
			}
			if tt.depends != (c.tied > 0) {
				t.Errorf("%s: depends on the kernel: %t, the model says %t", tt.name, tt.depends, c.tied > 0)
			}
			return err
		})
	}
}

// discovery is a packet of neighbour discovery that the kernel makes when it
// comes to it.
type discovery struct {
	name     string
	trigger  func() error
	typ      uint8
	from, to netip.Addr
	host     bool // it is sent under a policy for the pair of hosts
}

// discoveries are the rows of the table of KERNEL.md section 1. fd00::9 is a
// neighbour that nobody knows yet.
func (w *wire) discoveries(t *testing.T) []discovery {
	unknown := netip.MustParseAddr("fd00::9")
	group := netip.MustParseAddr("ff02::1234")
	ip := func(args string) func() error {
		return func() error { return w.ns.tryBatch(args + "\n") }
	}
	return []discovery{
		{"NS, first resolution", func() error {
			udp := packet{dir: spd.Out, how: bySocket, flow: spd.Flow{Src: own6, Dst: unknown, Proto: spd.ProtoUDP, SrcPort: 1000, DstPort: 9}}
			return w.send(udp, 1)
		}, 135, own6, netip.MustParseAddr("ff02::1:ff00:9"), true},
		{"NA answering it", func() error { return w.inject(frame(tapMAC, searchFor(unknown, own6))) }, 136, own6, unknown, false},
		{"NUD probe", ip("neigh replace fd00::9 lladdr 02:00:00:00:00:09 nud probe dev tap0"), 135, ownLL, unknown, true},
		{"NA to a NUD probe", func() error { return w.inject(frame(tapMAC, searchFor(peerLL, own6))) }, 136, own6, peerLL, true},
		{"DAD NS", ip("addr add fd00::77/64 dev tap0"), 135, netip.IPv6Unspecified(), netip.MustParseAddr("ff02::1:ff00:77"), true},
		{"MLD report", func() error { return w.join(t, group) }, 143, ownLL, netip.MustParseAddr("ff02::16"), true},
	}
}

// join makes a socket a member of a group on tap0 until the test ends.
func (w *wire) join(t *testing.T, group netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	t.Cleanup(func() { unix.Close(fd) })
	m := unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(w.index[1])}
	return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &m)
}

// TestIntegrationEveryRowOfTheDiscoveryTable has the kernel make each packet of
// the table of KERNEL.md section 1, under policies for the pair of hosts and
// under ::/0. UDP is bypassed, so that there is somebody to look for.
func TestIntegrationEveryRowOfTheDiscoveryTable(t *testing.T) {
	udp := spd.Policy{Selector: selectorOf("::/0", "::/0", spd.ProtoUDP, -1, -1), Direction: spd.Out, Priority: 50}
	policies := map[string][]spd.Policy{
		"host/128": {udp, demandESP(spd.Out, "fd00::1/128", "fd00::9/128", 100), demandESP(spd.Out, "fd00::1/128", "fd00::2/128", 100)},
		"::/0":     {udp, demandESP(spd.Out, "::/0", "::/0", 100)},
	}
	for under, ps := range policies {
		w := newWire(t)
		w.ns.sysctl("net/ipv6/conf/tap0/accept_dad", "1")
		for _, d := range w.discoveries(t) {
			want := d.host && under == "host/128"
			w.ns.do(func() error {
				if err := w.install(&trial{db: spd.Database{Policies: ps}}); err != nil {
					return err
				}
				if err := w.forget(); err != nil {
					return err
				}
				sent, err := w.comesOut(t, d)
				if err != nil {
					return err
				}
				f := spd.ICMPv6Flow(d.from, d.to, d.typ)
				f.IfIndex = w.index[1]
				db := spd.Database{Policies: ps}
				if v := db.Lookup(spd.Out, f); sent != want || v.Dies() == sent {
					t.Errorf("%s under %s: sent %t, want %t; the model says that it dies: %t", d.name, under, sent, want, v.Dies())
				}
				return nil
			})
		}
	}
}

// comesOut triggers a packet and waits until it is on the wire, or an ACQUIRE
// says that it was caught.
func (w *wire) comesOut(t *testing.T, d discovery) (sent bool, err error) {
	if err := d.trigger(); err != nil {
		return false, fmt.Errorf("%s: %w", d.name, err)
	}
	caught := false
	eventually(t, d.name, func() bool {
		err = w.reads(w.taps[0], func(b []byte) {
			s, ok := parseFrame(b)
			sent = sent || ok && s.dst == d.to && s.src == d.from && icmpType(s) == d.typ
		})
		if err == nil {
			err = w.acquires.drain(func(m message) {
				a, err := decodeAcquire(m.data)
				caught = caught || err == nil && a.Selector.Src.Addr() == d.from && a.Selector.Dst.Addr() == d.to && a.Selector.SrcPort == uint16(d.typ)
			})
		}
		return sent || caught || err != nil
	})
	return sent, err
}

// icmpType returns the ICMPv6 type, behind a hop-by-hop header as MLD has it.
func icmpType(s seen) uint8 {
	const hopByHop = 0
	b := s.payload
	if s.proto == hopByHop && len(b) > 8 && b[0] == spd.ProtoICMPv6 {
		return b[8]
	}
	if s.proto != spd.ProtoICMPv6 || len(b) == 0 {
		return 0
	}
	return b[0]
}

// TestIntegrationAnAdvertisementInTheClearIsRefused holds the inbound half of
// KERNEL.md section 1.
func TestIntegrationAnAdvertisementInTheClearIsRefused(t *testing.T) {
	w := newWire(t)
	demand := demandESP(spd.In, "fd00::2/128", "fd00::1/128", 100)
	na := packet{dir: spd.In, how: fromTheWire, flow: spd.ICMPv6Flow(peers6[0], own6, spd.NeighborAdvertisement)}
	na.flow.IfIndex, na.flow.Via = w.index[0], w.index[1]
	onTap, onLo := naBypass(spd.In, 99), naBypass(spd.In, 99)
	onTap.Selector.IfIndex, onLo.Selector.IfIndex = w.index[1], w.index[0]
	for name, tt := range map[string]struct {
		policies []spd.Policy
		passes   bool
	}{
		"under an in policy":                {[]spd.Policy{demand}, false},
		"with a bypass in":                  {[]spd.Policy{demand, naBypass(spd.In, 99)}, true},
		"with a bypass out":                 {[]spd.Policy{demand, naBypass(spd.Out, 99)}, false},
		"with a bypass for the device":      {[]spd.Policy{demand, onTap}, false},
		"with a bypass for the route's dev": {[]spd.Policy{demand, onLo}, true},
	} {
		w.ns.do(func() error {
			tr := &trial{db: spd.Database{Policies: tt.policies}, packets: []packet{na}}
			_, d, err := w.trial(tr, &tally{became: map[string]int{}})
			if err != nil || d != "" {
				return fmt.Errorf("%s: %s %w", name, d, err)
			}
			o, err := w.observe(na)
			if o.passed != tt.passes {
				t.Errorf("%s: %s", name, o)
			}
			return err
		})
	}
}

// TestIntegrationTheLoopbackDeviceIsSpared holds what the model says of lo: no
// default action on the way out, and for IPv4 no policy in either direction.
func TestIntegrationTheLoopbackDeviceIsSpared(t *testing.T) {
	w := newWire(t)
	lo := spd.Device{Index: w.index[0], Loopback: true, NoPolicy4: true, NoXfrm4: true}
	v6 := packet{dir: spd.Out, how: bySocket, flow: spd.Flow{Src: own6, Dst: own6, Proto: protoTest, Via: w.index[0]}}
	v4 := packet{dir: spd.Out, how: bySocket, flow: spd.Flow{Src: own4, Dst: own4, Proto: protoTest, IfIndex: w.index[0], Via: w.index[0]}}
	block4 := spd.Policy{Direction: spd.Out, Action: spd.Block,
		Selector: spd.Selector{Src: netip.MustParsePrefix("0.0.0.0/0"), Dst: netip.MustParsePrefix("0.0.0.0/0"), Family: spd.IPv4}}
	block6 := spd.Policy{Direction: spd.Out, Action: spd.Block, Selector: selectorOf("::/0", "::/0", 0, -1, -1)}
	in4 := block4
	in4.Direction = spd.In
	for _, db := range []spd.Database{
		{Defaults: spd.Defaults{Out: spd.Block}}, {Policies: []spd.Policy{block4, block6}}, {Policies: []spd.Policy{in4}},
	} {
		for _, p := range []packet{v6, v4} {
			w.ns.do(func() error {
				if err := w.install(&trial{db: db}); err != nil {
					return err
				}
				if err := w.forget(); err != nil {
					return err
				}
				w.cookies++
				sendErr := w.send(p, w.cookies)
				var o observed
				if err := w.delivered(p, &o); err != nil {
					return err
				}
				model := db.Clone()
				model.Devices = []spd.Device{lo}
				if v := model.Lookup(spd.Out, p.flow); v.Dies() == o.passed {
					t.Errorf("%s under %v, default %s: passed %t (%v), the model says that it dies: %t", p, db.Policies, db.Defaults.Out, o.passed, sendErr, v.Dies())
				}
				return nil
			})
		}
	}
}
