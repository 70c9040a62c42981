package analyze

import (
	"net/netip"

	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
)

// applyFrame decodes a frame and folds what it is about. Frames that cannot be
// decoded change nothing.
func (s *State) applyFrame(h *Host, f *Frame) {
	p := &s.scratch
	if err := p.Decode(f.Link, f.Data); err != nil {
		return
	}
	s.trace.Packet = p
	switch {
	case p.IsARP():
		s.applyARP(h, f, p)
	case p.Proto == spd.ProtoUDP && p.Fragment && (p.FragMore || p.FragOffset > 0):
		s.applyFragment(h, f, p)
	case p.Proto == spd.ProtoUDP:
		s.applyUDP(h, f, p, p.Payload)
	case p.Proto == spd.ProtoICMPv6:
		s.applyICMPv6(h, f, p)
	}
}

// applyFragment joins the fragments of a datagram. What the snap length has cut
// never becomes whole: the first one is read as far as it goes.
func (s *State) applyFragment(h *Host, f *Frame, p *Packet) {
	if p.Cut {
		if p.FragOffset == 0 {
			s.applyUDP(h, f, p, p.Payload)
		}
		return
	}
	k := fragmentKey{origin: f.Origin, src: p.Src, dst: p.Dst, id: p.FragID, proto: p.Proto}
	whole := s.joiner.add(k, s.Now.Mono, p, p.Upper)
	if len(whole) < 8 {
		return
	}
	p.SrcPort, p.DstPort = be16(whole), be16(whole[2:])
	s.applyUDP(h, f, p, whole[8:])
}

// zoned gives a link-local address the zone that tells its link: the
// interface's name, where there is one.
func zoned(a netip.Addr, o Origin) netip.Addr {
	if a.IsLinkLocalUnicast() && a.Is6() && o.Interface != "" {
		return a.WithZone(o.Interface)
	}
	return a
}

// applyUDP folds an IKE message.
func (s *State) applyUDP(h *Host, f *Frame, p *Packet, payload []byte) {
	kind, rest := ike.Demux(p.SrcPort, p.DstPort, payload)
	if kind != ike.UDPIKE {
		return
	}
	m, _ := ike.Parse(rest)
	if m == nil || m.InitiatorSPI == 0 { // RFC 7296 section 3.1: it must not be zero
		return
	}
	s.trace.IKE = rest
	src, dst := zoned(p.Src, f.Origin), zoned(p.Dst, f.Origin)
	e := s.ikeSA(h, m, src, dst)
	s.view(h, e.view.Pair.Key.A, e.view.Pair.Key.B)
	if MakePairKey(src, dst) == e.view.Pair.Key {
		e.view.sawUnicast(src, s.Now)
	}
	e.sa.heard(s.Now, f.Direction, m, rest, src, dst)
}

// ikeSA finds the IKE SA of a message by its initiator SPI, whatever its
// addresses are now, or begins one.
func (s *State) ikeSA(h *Host, m *ike.Message, src, dst netip.Addr) *ikeEntry {
	k := ikeKey{h.Origin, m.InitiatorSPI}
	e := s.spis[k]
	if e != nil && !e.view.Pair.forgotten {
		return e
	}
	sa := &IKESA{InitiatorSPI: m.InitiatorSPI, Major: m.Major, Initiator: src, Responder: dst, First: s.Now}
	if m.ResponderSPI != 0 && !m.FromInitiator() {
		sa.Initiator, sa.Responder = dst, src
	}
	v := s.view(h, src, dst)
	v.IKE = appendBounded(v.IKE, sa, maxIKESAs)
	if e != nil { // of a pair that was forgotten
		*e = ikeEntry{v, sa}
		return e
	}
	for len(s.spiLog) >= maxSPIs {
		delete(s.spis, s.spiLog[0])
		s.spiLog = s.spiLog[1:]
		s.Evicted++
	}
	e = &ikeEntry{v, sa}
	s.spis[k], s.spiLog = e, append(s.spiLog, k)
	return e
}
