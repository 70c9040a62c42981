package analyze

import "ipsecdiag/analyze/spd"

// Flow returns the key and the sequence number of an ESP, AH or ESP-in-UDP
// packet (RFC 4303 section 2, RFC 4302 section 2, RFC 3948 section 2.1). It
// reads 8 bytes of ESP, 12 of AH.
func (p *Packet) Flow() (key FlowKey, seq uint32, ok bool) {
	b := p.Payload
	if p.FragOffset > 0 {
		return key, 0, false
	}
	switch {
	case p.Proto == spd.ProtoESP && len(b) >= 8:
		key.SPI, seq = be32(b), be32(b[4:])
	case p.Proto == spd.ProtoAH && len(b) >= 12:
		key.SPI, seq = be32(b[4:]), be32(b[8:])
	case p.espInUDP():
		key.SPI, seq = be32(b), be32(b[4:])
		key.SrcPort, key.DstPort = p.SrcPort, p.DstPort
	default:
		return key, 0, false
	}
	key.Src, key.Dst, key.Proto = p.Src, p.Dst, p.Proto
	if key.SrcPort != 0 || key.DstPort != 0 {
		key.Proto = spd.ProtoESP
	}
	return key, seq, true
}

// espInUDP reports whether this is UDP-encapsulated ESP: port 4500, and where
// IKE has the non-ESP marker, four zero bytes, there is an SPI. Between 4500
// and 500 it is IKE, whose marker some daemons leave out there: ESP never has
// port 500 (RFC 3948 section 2.1).
func (p *Packet) espInUDP() bool {
	return p.Proto == spd.ProtoUDP && p.FragOffset == 0 && len(p.Payload) >= 8 &&
		(p.SrcPort == PortNATT || p.DstPort == PortNATT) &&
		p.SrcPort != PortIKE && p.DstPort != PortIKE && be32(p.Payload) != 0
}

// Interesting reports whether the state wants to see this frame whole: IKE and
// its keepalives, fragments that may belong to it, neighbour discovery, ARP,
// and the ICMP errors that concern IPsec. ESP and AH are not: they are counted.
func (p *Packet) Interesting() bool {
	switch {
	case p.IsARP():
		return true
	case p.Proto == spd.ProtoUDP:
		return p.FragOffset > 0 || (p.isIKEPort() && !p.espInUDP())
	case p.Proto == spd.ProtoICMPv6:
		return p.interestingICMPv6()
	case p.Proto == spd.ProtoICMP:
		return p.interestingICMP()
	}
	return false
}

func (p *Packet) isIKEPort() bool {
	return p.SrcPort == PortIKE || p.DstPort == PortIKE || p.SrcPort == PortNATT || p.DstPort == PortNATT
}

// interestingICMPv6 picks neighbour discovery (RFC 4861 section 4) and errors
// (RFC 4443 section 3: types 1 to 4) about IPsec.
func (p *Packet) interestingICMPv6() bool {
	typ, ok := p.ICMPv6Type()
	if !ok {
		return false
	}
	if typ >= spd.RouterSolicitation && typ <= spd.Redirect {
		return true
	}
	return typ >= 1 && typ <= 4 && p.quotesIPsec()
}

// interestingICMP picks unreachable (3), time exceeded (11) and parameter
// problem (12) about IPsec (RFC 792).
func (p *Packet) interestingICMP() bool {
	if p.FragOffset > 0 || len(p.Payload) == 0 {
		return false
	}
	typ := p.Payload[0]
	return (typ == 3 || typ == 11 || typ == 12) && p.quotesIPsec()
}

// quotesIPsec reports whether the packet quoted in an ICMP error is ESP, AH,
// IKE or neighbour discovery.
func (p *Packet) quotesIPsec() bool {
	quoted, ok := p.Quoted()
	if !ok {
		return false
	}
	switch quoted.Proto {
	case spd.ProtoESP, spd.ProtoAH:
		return true
	case spd.ProtoUDP:
		return quoted.isIKEPort()
	case spd.ProtoICMPv6:
		typ, ok := quoted.ICMPv6Type()
		return ok && typ >= spd.RouterSolicitation && typ <= spd.Redirect
	}
	return false
}

// Quoted decodes the packet that an ICMP or ICMPv6 error quotes from its eighth
// byte on. It is usually cut.
func (p *Packet) Quoted() (Packet, bool) {
	var q Packet
	if len(p.Payload) < 8 {
		return q, false
	}
	typ, rest, err := rawIP(p.Payload[8:])
	if err != nil {
		return q, false
	}
	if typ == etherTypeIPv4 {
		err = q.decodeIPv4(rest)
	} else {
		err = q.decodeIPv6(rest)
	}
	return q, err == nil
}
