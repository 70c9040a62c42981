package capture

import (
	"slices"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// maxClearKeys bounds the keys of one interval.
const maxClearKeys = 64

// clearMeter counts packets in the clear by key, direction and interface, for one
// interval.
type clearMeter struct {
	origin func(index int) analyze.Origin
	counts map[clearMeterKey]*analyze.Clear
	order  []*analyze.Clear
	some   bool // there were more
	packet analyze.Packet
}

type clearMeterKey struct {
	key   analyze.ClearKey
	dir   analyze.Direction
	index int
}

// take counts a packet, given from its network header on, if a guard means it.
func (m *clearMeter) take(guards []analyze.Guard, data []byte, dir analyze.Direction, index int, at int64) {
	link := analyze.LinkRaw
	if err := m.packet.Decode(link, data); err != nil {
		return
	}
	k, ok := clearKey(&m.packet)
	if !ok || !guarded(guards, k, dir) {
		return
	}
	mk := clearMeterKey{k, dir, index}
	c := m.counts[mk]
	switch {
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
		m.order = append(m.order, c)
	}
	c.End = unixTime(at)
	c.Packets++
}

// flush ends the interval.
func (m *clearMeter) flush(at int64) []*analyze.Clear {
	out := m.order
	for _, c := range out {
		c.Time, c.Some = unixTime(at), m.some
	}
	m.counts, m.order, m.some = nil, nil, false
	return out
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

// guarded reports whether a guard of that direction selects the packet.
func guarded(guards []analyze.Guard, k analyze.ClearKey, dir analyze.Direction) bool {
	f := spd.Flow{Src: k.Src, Dst: k.Dst, Proto: k.Proto, SrcPort: k.SrcPort, DstPort: k.DstPort}
	return slices.ContainsFunc(guards, func(g analyze.Guard) bool { return g.Direction == dir && g.Selector.Matches(f) })
}
