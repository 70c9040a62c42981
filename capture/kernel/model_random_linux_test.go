package kernel

import (
	"math/rand/v2"
	"net/netip"
	"slices"

	"ipsecdiag/analyze/spd"
)

// trial is one random set of policies and the packets that are sent under it.
type trial struct {
	db      spd.Database
	update  *spd.Policy // replaces one of them (XFRM_MSG_UPDPOLICY)
	packets []packet
}

// kind is what one trial is about.
type kind struct {
	dir  spd.Direction
	ipv4 bool
}

// kinds take turns.
var kinds = []kind{
	{spd.Out, false}, {spd.In, false}, {spd.Out, true}, {spd.In, true}, {spd.Out, false}, {spd.Fwd, false}, {spd.In, false}, {spd.Fwd, true},
}

// dice makes trials out of few values, so that much matches and ties.
type dice struct {
	*rand.Rand
	w    *wire
	k    kind
	keys bool   // the kernel has ESP: SAs as well
	cuts bool   // the kernel cuts a mark's value to its mask
	next uint32 // reqid
	spi  uint32
}

func pick[T any](d *dice, of ...T) T { return of[d.IntN(len(of))] }

func (d *dice) chance(oneIn int) bool { return d.IntN(oneIn) == 0 }

func (d *dice) trial() *trial {
	d.next, d.spi = 0, 0
	tr := new(trial)
	for range 1 + d.IntN(9) {
		tr.db.PutPolicy(d.policy())
	}
	if d.chance(4) {
		p := d.policy()
		old := tr.db.Policies[d.IntN(len(tr.db.Policies))]
		p.Selector, p.Direction, p.Type, p.Mark, p.IfID = old.Selector, old.Direction, old.Type, old.Mark, old.IfID
		for i := range p.Templates {
			p.Templates[i].Optional = p.Templates[i].Optional && p.Templates[i].Mode == spd.Transport
		}
		tr.update = &p
	}
	action := func() spd.Action { return pick(d, spd.Allow, spd.Allow, spd.Allow, spd.Allow, spd.Block) }
	tr.db.Defaults = spd.Defaults{In: action(), Fwd: action(), Out: action()}
	switch d.k.dir { // or the kernel's own packets would not get in, or out
	case spd.Out:
		tr.db.Defaults.In = spd.Allow
	case spd.In:
		tr.db.Defaults.Out = spd.Allow
	case spd.Fwd:
		tr.db.Defaults.Out, tr.db.Defaults.In = spd.Allow, spd.Allow
	}
	if d.chance(12) {
		tr.db.Devices = d.settings()
	}
	for range 5 {
		tr.packets = append(tr.packets, d.packet())
	}
	if d.keys && d.k.dir == spd.Out && !d.chance(4) {
		d.addSAs(tr)
	}
	return tr
}

// settings switches disable_policy and disable_xfrm of the TAP devices.
func (d *dice) settings() (out []spd.Device) {
	addrs := [][]netip.Addr{{own6, ownLL, own4}, {netip.MustParseAddr("fd01::1"), netip.MustParseAddr("10.2.0.1")}}
	for i, own := range addrs {
		out = append(out, spd.Device{
			Index: d.w.index[1+i], Addrs: own, NoPolicy4: d.chance(2), NoXfrm4: d.chance(2), NoPolicy6: d.chance(2),
		})
	}
	return out
}

func (d *dice) policy() spd.Policy {
	p := spd.Policy{
		Selector: d.selector(), Direction: d.k.dir,
		Priority: pick[uint32](d, 0, 0, 10, 10, 10, 20, 30, 0x80000000),
		Type:     pick(d, spd.Main, spd.Main, spd.Main, spd.Sub),
		Action:   pick(d, spd.Allow, spd.Allow, spd.Allow, spd.Allow, spd.Block),
	}
	switch d.IntN(12) { // in main, `in` bears on what sub `fwd` lets pass
	case 0:
		p.Direction = pick(d, spd.In, spd.Fwd)
	case 1:
		if d.k.dir == spd.Fwd {
			p.Direction = spd.In
		}
	}
	if d.k.dir == spd.Out && p.Direction == spd.In {
		p.Direction = spd.Fwd // nothing comes in if not in the clear
	}
	if d.chance(5) {
		p.Mark = pick(d, spd.Mark{Value: 5, Mask: 0xff}, spd.Mark{Mask: 0xff}, spd.Mark{Value: 5, Mask: 4}, spd.Mark{Value: 4, Mask: 4})
		if d.cuts {
			p.Mark.Value &= p.Mark.Mask
		}
	}
	if d.chance(12) {
		p.IfID = 9
	}
	if d.chance(2) {
		p.Templates = d.templates(p.Direction)
	}
	return p
}

func (d *dice) selector() spd.Selector {
	nets := []string{"::/0", "::/0", "::/0", "::/0", "fd00::/8", "fd00::/16", "fd00::/62", "fd00::/64", "fd00::1/128", "fd00::1/128",
		"fd00::2/128", "fd00::2/127", "fe80::/10", "fe80::1/128", "fe80::2/128", "ff02::/16", "ff02::1:ff00:0/104", "fd01::/64", "fd01::2/128"}
	family := spd.IPv6
	if d.k.ipv4 {
		nets = []string{"0.0.0.0/0", "0.0.0.0/0", "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/8", "10.1.0.0/24", "10.1.0.0/30", "10.1.0.1/32", "10.1.0.1/32", "10.1.0.2/32",
			"10.1.0.2/32", "10.1.0.2/31", "10.2.0.0/24", "10.2.0.2/32"}
		family = spd.IPv4
	}
	s := spd.Selector{Src: netip.MustParsePrefix(pick(d, nets...)), Dst: netip.MustParsePrefix(pick(d, nets...)), Family: family}
	switch d.IntN(5) {
	case 0:
		s.Proto = pick[uint8](d, spd.ProtoUDP, protoTest, spd.ProtoICMP, spd.ProtoICMPv6)
	case 1:
		s.Proto = d.icmp()
	}
	if s.Proto == d.icmp() || s.Proto == spd.ProtoUDP || d.chance(8) {
		s.SrcPort, s.SrcPortMask = d.port(), pick[uint16](d, 0, 0xffff, 0xffff, 0xfe, 0x80)
		s.DstPort, s.DstPortMask = d.code(), pick[uint16](d, 0, 0, 0xffff, 0xfe)
	}
	if d.chance(7) {
		s.IfIndex = pick(d, d.w.index[:]...)
	}
	return s
}

func (d *dice) icmp() uint8 {
	if d.k.ipv4 {
		return spd.ProtoICMP
	}
	return spd.ProtoICMPv6
}

func (d *dice) port() uint16 {
	if d.k.ipv4 {
		return pick[uint16](d, 0, 8, 13, 500, 1000)
	}
	return pick[uint16](d, 135, 136, 136, 128, 129, 143, 500, 1000)
}

func (d *dice) code() uint16 { return pick[uint16](d, 0, 0, 1, 500, 1000) }

// templates makes one or two, each with a reqid that no other has.
func (d *dice) templates(dir spd.Direction) (ts []spd.Template) {
	family, open, src, dst := spd.IPv6, netip.IPv6Unspecified(), own6, peers6[0]
	if d.k.ipv4 {
		family, open, src, dst = spd.IPv4, netip.IPv4Unspecified(), own4, peers4[0]
	}
	for n := 1 + d.IntN(2); n > 0; n-- {
		d.next++
		t := spd.Template{Src: open, Dst: open, Proto: pick[uint8](d, spd.ProtoESP, spd.ProtoAH, spd.ProtoESP), ReqID: d.next, Family: family}
		if d.chance(5) {
			t.Mode, t.Src, t.Dst = spd.Tunnel, src, dst
		}
		// Refused by the kernel for a tunnel on the way out (validate_tmpl).
		t.Optional = d.chance(3) && (t.Mode == spd.Transport || dir != spd.Out)
		ts = append(ts, t)
	}
	return ts
}

// packet makes a packet that the trial's policies may be about.
func (d *dice) packet() packet {
	p := packet{dir: d.k.dir, how: fromTheWire}
	switch {
	case d.k.dir == spd.Out:
		p.how = pick(d, bySocket, bySocket, byBound, byDiscovery, byEcho)
	case d.chance(2) && !d.k.ipv4:
		p.flow.Proto, p.flow.SrcPort = spd.ProtoICMPv6, pick[uint16](d, 135, 136)
	}
	d.addresses(&p)
	if p.flow.Proto == spd.ProtoAny {
		d.protocol(&p)
	}
	p.flow.IfIndex, p.flow.Via = d.devices(p)
	return p
}

func (d *dice) protocol(p *packet) {
	f := &p.flow
	f.Proto = pick(d, d.icmp(), d.icmp(), spd.ProtoUDP, protoTest)
	switch f.Proto {
	case spd.ProtoUDP:
		f.SrcPort, f.DstPort = pick[uint16](d, 500, 1000, 129), pick[uint16](d, 500, 1000)
	case d.icmp():
		f.SrcPort, f.DstPort = d.port()&0xff, pick[uint16](d, 0, 0, 0, 1)
	}
	if p.how == bySocket || p.how == byBound {
		f.Mark = pick[uint32](d, 0, 0, 5, 0x105, 4)
	}
}

// addresses sets both ends, and the rest of what the kernel makes itself.
func (d *dice) addresses(p *packet) {
	f := &p.flow
	own, peer, behind := own6, pick(d, peers6...), behind6
	if d.k.ipv4 {
		own, peer, behind = own4, pick(d, peers4...), behind4
	}
	if p.how == byDiscovery && d.k.ipv4 {
		p.how = byEcho
	}
	switch {
	case d.k.ipv4 || d.k.dir == spd.Fwd || !d.chance(3):
	case p.how == byDiscovery || p.how == byEcho:
		peer = peerLL
		if p.how == byEcho {
			own = ownLL
		}
	case d.k.dir == spd.Out:
		peer = pick(d, solicitedPeer, allNodes, peerLL)
		own = pick(d, own6, ownLL)
	default:
		own, peer = pick(d, ownLL, allNodes, solicitedOwn), peerLL
	}
	switch d.k.dir {
	case spd.Out:
		f.Src, f.Dst = own, peer
	case spd.In:
		f.Src, f.Dst = peer, own
	case spd.Fwd:
		f.Src, f.Dst = peer, behind
	}
	switch p.how {
	case byDiscovery:
		f.Proto, f.SrcPort = spd.ProtoICMPv6, spd.NeighborAdvertisement
	case byEcho:
		f.Proto, f.SrcPort = d.icmp(), 0
		if !d.k.ipv4 {
			f.SrcPort = 129
		}
	}
}

// devices says with which device the kernel compares selectors, and by which
// the packet goes.
func (d *dice) devices(p packet) (ifindex, via int) {
	lo, tap0, tap1 := d.w.index[0], d.w.index[1], d.w.index[2]
	f := p.flow
	switch {
	case d.k.dir == spd.Fwd:
		return tap1, tap0 // the one by which it leaves
	case d.k.dir == spd.In && f.Dst.IsMulticast():
		return tap0, tap0
	case d.k.dir == spd.In:
		return lo, tap0 // local routes are routes to lo (ip6_rt_get_dev_rcu)
	case p.how == bySocket && f.Dst.Is6() && !f.Dst.IsMulticast() && !f.Dst.IsLinkLocalUnicast() && !f.Src.IsLinkLocalUnicast():
		return 0, tap0 // IPv6 does not tell the lookup by which device the route goes
	}
	return tap0, tap0
}

// addSAs adds SAs for packets that a policy wants protected: some fit, some miss
// it by one thing.
func (d *dice) addSAs(tr *trial) {
	db := tr.model()
	for i := range tr.packets {
		f := tr.packets[i].flow
		v := db.Lookup(d.k.dir, f)
		for _, n := range v.Needs {
			t := n.Template
			if t.Proto != spd.ProtoESP || t.Mode != spd.Transport || d.chance(5) {
				continue
			}
			d.spi++
			s := spd.SA{
				Src: f.Src, Dst: f.Dst, SPI: 0x1000 + d.spi, Proto: t.Proto, ReqID: t.ReqID, Family: t.Family,
				AEAD: &spd.Algorithm{Name: "rfc4106(gcm(aes))"}, Mark: n.Policy.Mark, IfID: n.Policy.IfID,
			}
			// Of two that fit the younger carries it, and the clock by which
			// that is told has whole seconds only.
			twin := func(o spd.SA) bool { return o.Dst == s.Dst && o.ReqID == s.ReqID }
			if d.spoil(&s); !slices.ContainsFunc(tr.db.SAs, twin) {
				tr.db.PutSA(s)
			}
		}
	}
}

func (d *dice) spoil(s *spd.SA) {
	switch d.IntN(14) {
	case 0:
		s.ReqID++
	case 1:
		s.Mark = spd.Mark{Value: 5, Mask: 0xff}
	case 2:
		s.Mode = spd.Tunnel
	case 3:
		s.Src, s.Dst = s.Dst, s.Src
	case 4:
		s.IfID = 9
	case 5:
		s.Flags = spd.StateWildRecv
	}
}
