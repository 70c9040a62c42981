package capture

import (
	"slices"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// maxClearKeys bounds the keys of one interval; maxUnsure those of them that no
// guard means as they are.
const (
	maxClearKeys = 64
	maxUnsure    = 16
)

// clearMeter counts packets in the clear by key, direction and interface, for one
// interval.
type clearMeter struct {
	origin func(index int) analyze.Origin
	counts map[clearMeterKey]*analyze.Clear
	order  []*analyze.Clear
	unsure []*analyze.Clear // may be what a guard means, changed by NAT
	some   bool             // there were more
	packet analyze.Packet
}

type clearMeterKey struct {
	key   analyze.ClearKey
	dir   analyze.Direction
	index int
}

// take counts a packet, given from its network header on, if a guard means it or
// may have meant it.
func (m *clearMeter) take(guards []analyze.Guard, data []byte, dir analyze.Direction, index int, at int64) {
	link := analyze.LinkRaw
	if err := m.packet.Decode(link, data); err != nil {
		return
	}
	k, ok := clearKey(&m.packet)
	sure := ok && guarded(guards, k, dir)
	if !ok || !sure && !aimed(guards, k, dir) {
		return
	}
	mk := clearMeterKey{k, dir, index}
	c := m.counts[mk]
	switch {
	case c == nil && !sure && len(m.unsure) >= maxUnsure:
		return
	case c == nil && len(m.counts) >= maxClearKeys:
		m.some = true
		return
	case c == nil:
		c = &analyze.Clear{Key: k, Direction: dir, Start: unixTime(at)}
		c.Origin = m.origin(index)
		if m.counts == nil {
			m.counts = map[clearMeterKey]*analyze.Clear{}
		}
		m.counts[mk] = c
		if sure {
			m.order = append(m.order, c)
		} else {
			m.unsure = append(m.unsure, c)
		}
	}
	c.End = unixTime(at)
	c.Packets++
}

// flush ends the interval. Unsure are packets that a guard means only if NAT has
// changed them.
func (m *clearMeter) flush(at int64) (told, unsure []*analyze.Clear) {
	told, unsure = m.order, m.unsure
	for _, c := range slices.Concat(told, unsure) {
		c.Time, c.Some = unixTime(at), m.some
	}
	m.counts, m.order, m.unsure, m.some = nil, nil, nil, false
	return told, unsure
}

// clearKey reads the key of a packet that is neither ESP, AH, IKE nor neighbour
// discovery.
func clearKey(p *analyze.Packet) (k analyze.ClearKey, ok bool) {
	if _, _, flow := p.Flow(); flow || p.FragOffset > 0 || p.Interesting() {
		return k, false
	}
	k = analyze.ClearKey{Src: p.Src, Dst: p.Dst, Proto: p.Proto}
	b := p.Upper
	switch p.Proto {
	case spd.ProtoESP, spd.ProtoAH:
		return k, false
	case spd.ProtoICMP, spd.ProtoICMPv6:
		if len(b) >= 2 {
			k.SrcPort, k.DstPort = uint16(b[0]), uint16(b[1])
		}
	case protoTCP, spd.ProtoUDP, protoSCTP, protoUDPLite:
		if len(b) >= 4 {
			k.SrcPort, k.DstPort = uint16(b[0])<<8|uint16(b[1]), uint16(b[2])<<8|uint16(b[3])
		}
	}
	return k, true
}

// Protocols with ports at their beginning (RFC 9293, RFC 9260, RFC 3828).
const (
	protoTCP     = 6
	protoSCTP    = 132
	protoUDPLite = 136
)

// aimed reports whether a packet goes where a guard for what leaves looks, from
// another source than it means: NAT may have changed that.
func aimed(guards []analyze.Guard, k analyze.ClearKey, dir analyze.Direction) bool {
	return dir == analyze.DirOut && slices.ContainsFunc(guards, func(g analyze.Guard) bool {
		s := &g.Selector
		return g.Direction == dir && s.Dst.Contains(k.Dst) && !s.Src.Contains(k.Src) && (s.Proto == 0 || s.Proto == k.Proto)
	})
}

// guarded reports whether a guard of that direction selects the packet.
func guarded(guards []analyze.Guard, k analyze.ClearKey, dir analyze.Direction) bool {
	f := spd.Flow{Src: k.Src, Dst: k.Dst, Proto: k.Proto, SrcPort: k.SrcPort, DstPort: k.DstPort}
	return slices.ContainsFunc(guards, func(g analyze.Guard) bool { return g.Direction == dir && g.Selector.Matches(f) })
}
