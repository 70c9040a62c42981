package analyze

import (
	"net/netip"
	"slices"

	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
)

// applyFrame decodes a frame and folds what it is about. Frames that cannot be
// decoded change nothing.
func (s *State) applyFrame(h *Host, f *Frame) {
	ahead := f.ahead
	f.ahead.message = parsed{}
	if ahead.flow && !h.KernelSeen {
		return // see applyFlowFrame
	}
	p := &s.scratch
	if err := p.Decode(f.Link, f.Data); err != nil {
		return
	}
	s.trace.Packet = p
	s.across.frame(s.Now, f.Direction, p)
	if s.across.active() {
		h.capture(p.Mark())
	}
	switch {
	case p.IsARP():
		s.applyARP(h, f, p)
	case p.Proto == spd.ProtoUDP && p.Fragment && (p.FragMore || p.FragOffset > 0):
		s.applyFragment(h, f, p)
	case p.Proto == spd.ProtoESP, p.Proto == spd.ProtoAH, p.espInUDP():
		s.applyFlowFrame(h, f, p)
	case p.Proto == spd.ProtoUDP:
		m := ahead.message
		if m.Message == nil {
			m = parseIKE(p, p.Payload)
		}
		s.applyIKE(h, f, p, m, 0)
	case p.Proto == spd.ProtoICMPv6 && !s.applyICMPError(h, f, p):
		s.applyICMPv6(h, f, p)
	case p.Proto == spd.ProtoICMP:
		s.applyICMPError(h, f, p)
	}
}

// applyFlowFrame looks at one of the first packets of a flow. That it came is
// counted elsewhere, and its length is of account to a host that has its SA.
func (s *State) applyFlowFrame(h *Host, f *Frame, p *Packet) {
	k, _, ok := p.Flow()
	pair := s.Pair(zoned(p.Src, f.Origin), zoned(p.Dst, f.Origin))
	if !ok || p.Fragment || pair == nil {
		return
	}
	length := f.OrigLen - p.Offset
	for _, v := range pair.Views {
		if v.Host == h {
			s.judged.rouse(v)
			v.sawFlowFrame(k, length)
		}
	}
}

// applyFragment joins the fragments of a datagram. What the snap length has cut
// never becomes whole: the first one is read as far as it goes.
func (s *State) applyFragment(h *Host, f *Frame, p *Packet) {
	if p.Cut {
		if p.FragOffset == 0 {
			s.applyIKE(h, f, p, parseIKE(p, p.Payload), inIPFragments)
		}
		return
	}
	k := fragmentKey{origin: f.Origin, src: p.Src, dst: p.Dst, id: p.FragID, proto: p.Proto}
	whole, had := s.joiner.add(k, s.Now.Mono, p, p.Upper)
	switch {
	case len(whole) >= 8:
		s.headless(h, f, p, had, true)
		p.SrcPort, p.DstPort = be16(whole), be16(whole[2:])
		how := inIPFragments
		if had.first {
			how |= wasAlone
		}
		s.applyIKE(h, f, p, parseIKE(p, whole[8:]), how)
	case p.FragOffset == 0 && !had.first:
		s.headless(h, f, p, had, true)
		s.applyIKE(h, f, p, parseIKE(p, p.Payload), inIPFragments|firstAlone)
	case p.FragOffset > 0 && !had.any:
		s.headless(h, f, p, had, false)
	}
}

// headless counts the datagrams of a pair that speaks IKE of which later IP
// fragments were seen and not the first, so that nobody knows what they are.
func (s *State) headless(h *Host, f *Frame, p *Packet, had pieces, head bool) {
	if head && (had.first || !had.any) {
		return
	}
	pair := s.Pair(zoned(p.Src, f.Origin), zoned(p.Dst, f.Origin))
	if pair == nil {
		return
	}
	for _, v := range pair.Views {
		s.judged.rouse(v)
		switch {
		case v.Host != h || len(v.IKE) == 0:
		case head && v.Headless.Count > 0:
			v.Headless.Count--
		case !head:
			v.Headless.saw(s.Now, zoned(p.Src, f.Origin))
		}
	}
}

// zoned gives a link-local address the zone that tells its link: the
// interface's name, where there is one.
func zoned(a netip.Addr, o Origin) netip.Addr {
	if a.IsLinkLocalUnicast() && a.Is6() && o.Interface != "" {
		return a.WithZone(o.Interface)
	}
	return a
}

// carriage is how a UDP datagram came.
type carriage uint8

const (
	inIPFragments carriage = 1 << iota
	firstAlone             // the others are not there yet
	wasAlone               // its first fragment was folded as alone
)

// applyIKE folds an IKE message, where there is one.
func (s *State) applyIKE(h *Host, f *Frame, p *Packet, m parsed, how carriage) {
	if m.Message == nil {
		return
	}
	src, dst := zoned(p.Src, f.Origin), zoned(p.Dst, f.Origin)
	s.invalidSPI(h, m.Message, src, dst)
	if m.InitiatorSPI == 0 { // RFC 7296 section 3.1: it must not be zero
		return
	}
	e := s.ikeSA(h, m.Message, src, dst)
	s.view(h, e.view.Pair.Key.A, e.view.Pair.Key.B)
	if how&firstAlone == 0 {
		s.trace.IKE = m.raw
	}
	if MakePairKey(src, dst) == e.view.Pair.Key {
		e.view.sawUnicast(src, s.Now)
	}
	s.heard(e.sa, &heardMessage{
		at: s.Now, dir: f.Direction, m: m.Message, srcPort: p.SrcPort, dstPort: p.DstPort,
		ipFragments: how&inIPFragments != 0, incomplete: how&firstAlone != 0, completed: how&wasAlone != 0,
		own: f.Direction == DirOut && h.Owns(src),
	}, m.raw, src, dst)
}

// ikeSA finds the IKE SA of a message by its initiator SPI, whatever its
// addresses are now, or begins one.
func (s *State) ikeSA(h *Host, m *ike.Message, src, dst netip.Addr) *ikeEntry {
	k := ikeKey{h.order, m.InitiatorSPI}
	e := s.spis[k]
	if e.alive() {
		return e
	}
	sa := &IKESA{InitiatorSPI: m.InitiatorSPI, Major: m.Major, Initiator: src, Responder: dst, First: s.Now}
	if m.ResponderSPI != 0 && !m.FromInitiator() {
		sa.Initiator, sa.Responder = dst, src
	}
	v := s.view(h, src, dst)
	if len(v.IKE) >= maxIKESAs {
		s.unlinkIKE(v, v.IKE[0])
	}
	v.IKE = appendBounded(v.IKE, sa, maxIKESAs)
	if e != nil { // of a pair that was forgotten
		*e = ikeEntry{v, sa}
		return e
	}
	s.roomForSPI()
	e = &ikeEntry{v, sa}
	s.spis[k], s.spiLog = e, append(s.spiLog, k)
	s.meetAt(h, m.InitiatorSPI)
	return e
}

// IKEAt returns what host h saw of the IKE SA of that initiator SPI, under whatever
// addresses: NAT between two observers gives one IKE SA two pairs. Nil for nothing.
func (s *State) IKEAt(h *Host, spi ike.SPI) (*View, *IKESA) {
	e := s.spis[ikeKey{h.order, spi}]
	if !e.alive() {
		return nil, nil
	}
	return e.view, e.sa
}

// dropSPI forgets an IKE SA that is one too many.
func (s *State) dropSPI(k ikeKey) {
	if e := s.spis[k]; e.alive() {
		s.judged.rouse(e.view)
		e.view.IKE = slices.DeleteFunc(e.view.IKE, func(sa *IKESA) bool { return sa == e.sa })
	}
	delete(s.spis, k)
}
