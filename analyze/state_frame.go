package analyze

import (
	"net/netip"

	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
)

// applyFrame decodes a frame and folds what it is about. Frames that cannot be
// decoded change nothing.
func (s *State) applyFrame(f *Frame) {
	p := &s.scratch
	if err := p.Decode(f.Link, f.Data); err != nil {
		return
	}
	switch {
	case p.IsARP():
		s.applyARP(f, p)
	case p.Proto == spd.ProtoUDP && p.Fragment && (p.FragMore || p.FragOffset > 0):
		s.applyFragment(f, p)
	case p.Proto == spd.ProtoUDP:
		s.applyUDP(f, p, p.Payload)
	case p.Proto == spd.ProtoICMPv6:
		s.applyICMPv6(f, p)
	}
}

// applyFragment joins the fragments of a datagram. What the snap length has cut
// never becomes whole: the first one is read as far as it goes.
func (s *State) applyFragment(f *Frame, p *Packet) {
	if p.Cut {
		if p.FragOffset == 0 {
			s.applyUDP(f, p, p.Payload)
		}
		return
	}
	k := fragmentKey{origin: f.Origin, src: p.Src, dst: p.Dst, id: p.FragID, proto: p.Proto}
	whole := s.joiner.add(k, s.Now.Mono, p, p.Upper)
	if len(whole) < 8 {
		return
	}
	p.SrcPort, p.DstPort = be16(whole), be16(whole[2:])
	s.applyUDP(f, p, whole[8:])
}

// zoned gives a link-local address the zone that tells its link: the
// interface's name, where there is one.
func zoned(a netip.Addr, o Origin) netip.Addr {
	if a.IsLinkLocalUnicast() && a.Is6() && o.Interface != "" {
		return a.WithZone(o.Interface)
	}
	return a
}

// seenUnicast notes a unicast packet between the two addresses of a pair.
func (s *State) seenUnicast(f *Frame, src, dst netip.Addr) *View {
	v := s.view(s.Host(f.Origin), src, dst)
	v.sawUnicast(src, s.Now)
	return v
}

func (s *State) applyUDP(f *Frame, p *Packet, payload []byte) {
	kind, rest := ike.Demux(p.SrcPort, p.DstPort, payload)
	if kind != ike.UDPIKE {
		return
	}
	m, _ := ike.Parse(rest)
	if m == nil {
		return
	}
	src, dst := zoned(p.Src, f.Origin), zoned(p.Dst, f.Origin)
	v := s.seenUnicast(f, src, dst)
	v, sa := s.ikeSA(v, m, src, dst)
	sa.Last = s.Now
	if sa.ResponderSPI == 0 {
		sa.ResponderSPI = m.ResponderSPI
	}
	sp := sa.Speaker(src)
	if sp == nil { // MOBIKE or NAT moved one end
		sp = sa.movedSpeaker(m)
	}
	sp.said(s.Now, f.Direction, m, rest)
	sa.notified(s.Now, src, m)
	s.touch(v)
}

// movedSpeaker tells the side by the flag of the header where the address is
// new.
func (sa *IKESA) movedSpeaker(m *ike.Message) *Speaker {
	if m.FromInitiator() {
		return &sa.FromInitiator
	}
	return &sa.FromResponder
}

// ikeSA finds the IKE SA of a message by its initiator SPI, whatever its
// addresses are now, or begins one.
func (s *State) ikeSA(v *View, m *ike.Message, src, dst netip.Addr) (*View, *IKESA) {
	k := ikeKey{v.Host.Origin, m.InitiatorSPI}
	if e := s.spis[k]; e != nil {
		return e.view, e.sa
	}
	sa := &IKESA{InitiatorSPI: m.InitiatorSPI, ResponderSPI: m.ResponderSPI, Major: m.Major, Initiator: src, Responder: dst, First: s.Now}
	if m.ResponderSPI != 0 && !m.FromInitiator() {
		sa.Initiator, sa.Responder = dst, src
	}
	v.IKE = appendBounded(v.IKE, sa, maxIKESAs)
	for len(s.spiLog) >= maxSPIs {
		delete(s.spis, s.spiLog[0])
		s.spiLog = s.spiLog[1:]
		s.Evicted++
	}
	s.spis[k] = &ikeEntry{v, sa}
	s.spiLog = append(s.spiLog, k)
	return v, sa
}
