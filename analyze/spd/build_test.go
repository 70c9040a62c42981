package spd

import "net/netip"

// The hosts of the tests: glass asks, teapot answers.
var (
	glass   = netip.MustParseAddr("fd00::1")
	teapot  = netip.MustParseAddr("fd00::2")
	glassLL = netip.MustParseAddr("fe80::1%eth0")
	gate1   = netip.MustParseAddr("198.51.100.1")
	gate2   = netip.MustParseAddr("198.51.100.2")
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// between makes a selector, IPv6 unless the prefixes are IPv4.
func between(src, dst string) Selector {
	s := Selector{Src: prefix(src), Dst: prefix(dst), Family: IPv6}
	if s.Src.Addr().Is4() {
		s.Family = IPv4
	}
	return s
}

// icmp6 narrows a selector to one type, and to one code where it is not
// negative.
func icmp6(s Selector, typ, code int) Selector {
	s.Proto, s.SrcPort, s.SrcPortMask = ProtoICMPv6, uint16(typ), 0xffff
	if code >= 0 {
		s.DstPort, s.DstPortMask = uint16(code), 0xffff
	}
	return s
}

// pol makes a bypass; the options change it.
func pol(dir Direction, s Selector, priority uint32, options ...func(*Policy)) Policy {
	p := Policy{Direction: dir, Selector: s, Priority: priority}
	for _, o := range options {
		o(&p)
	}
	return p
}

func tmpl(ts ...Template) func(*Policy) { return func(p *Policy) { p.Templates = ts } }

// espTransport is what host-to-host policies ask for.
var espTransport = Template{Proto: ProtoESP, Mode: Transport, ReqID: 7}

func withESP(p *Policy)                { p.Templates = []Template{espTransport} }
func block(p *Policy)                  { p.Action = Block }
func sub(p *Policy)                    { p.Type = Sub }
func socket(p *Policy)                 { p.Socket = true }
func marked(v, m uint32) func(*Policy) { return func(p *Policy) { p.Mark = Mark{v, m} } }
func ifID(id uint32) func(*Policy)     { return func(p *Policy) { p.IfID = id } }

// sa makes an SA that fits espTransport.
func sa(src, dst netip.Addr, spi uint32, options ...func(*SA)) SA {
	s := SA{
		Src: src, Dst: dst, SPI: spi, Proto: ProtoESP, Mode: Transport, ReqID: 7,
		Enc: &Algorithm{Name: "cbc(aes)", KeyBits: 128},
	}
	for _, o := range options {
		o(&s)
	}
	return s
}
