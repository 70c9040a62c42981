package ike

import (
	"fmt"
	"net/netip"
	"strings"
)

// TSType says what a traffic selector covers: RFC 7296 section 3.13.1, RFC
// 4595, RFC 9478.
type TSType uint8

// Traffic selector types.
const (
	TSIPv4AddrRange TSType = 7
	TSIPv6AddrRange TSType = 8
	TSFCAddrRange   TSType = 9
	TSSecLabel      TSType = 10
)

var tsNames = map[TSType]string{7: "TS_IPV4_ADDR_RANGE", 8: "TS_IPV6_ADDR_RANGE", 9: "TS_FC_ADDR_RANGE", 10: "TS_SECLABEL"}

func (t TSType) String() string { return named(tsNames, t, "traffic selector type") }

// TrafficSelectors is TSi or TSr: RFC 7296 section 3.13.
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Number of TSs |                   RESERVED                    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                      <Traffic Selectors>                      ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type TrafficSelectors struct {
	Count     uint8 // as the header says
	Selectors []TrafficSelector
}

// TrafficSelector is a range of addresses, ports and a protocol. For ICMP and
// ICMPv6 the ports hold type and code: RFC 7296 section 3.13.1.
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   TS Type     |IP Protocol ID*|       Selector Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|           Start Port*         |           End Port*           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                       Starting Address*                       ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                        Ending Address*                        ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type TrafficSelector struct {
	Type               TSType
	Protocol           uint8 // 0 for any
	StartPort, EndPort uint16
	Start, End         netip.Addr
	Data               []byte // of types other than address ranges
}

func parseTS(c *cursor) *TrafficSelectors {
	ts := &TrafficSelectors{Count: c.u8("Number of TSs")}
	c.bytes("RESERVED", 3)
	for c.more() && len(ts.Selectors) < int(ts.Count) {
		c.in = "Traffic Selector"
		ts.Selectors = append(ts.Selectors, parseSelector(c))
	}
	if c.err == nil && len(ts.Selectors) < int(ts.Count) {
		c.fail("Number of TSs", "%d announced, %d there", ts.Count, len(ts.Selectors))
	}
	return ts
}

func parseSelector(c *cursor) TrafficSelector {
	s := TrafficSelector{Type: TSType(c.u8("TS Type")), Protocol: c.u8("IP Protocol ID")}
	n := int(c.u16("Selector Length"))
	if c.err == nil && n < 4 {
		c.fail("Selector Length", "%d is less than 4", n)
	}
	if c.err != nil {
		return s
	}
	b := c.sub(c.in, "Selector Length", n-4)
	size := map[TSType]int{TSIPv4AddrRange: 4, TSIPv6AddrRange: 16}[s.Type]
	if size == 0 {
		s.Data = b.rest("selector")
	} else {
		s.StartPort, s.EndPort = b.u16("Start Port"), b.u16("End Port")
		s.Start, _ = netip.AddrFromSlice(b.bytes("Starting Address", size))
		s.End, _ = netip.AddrFromSlice(b.bytes("Ending Address", size))
	}
	c.adopt(&b)
	return s
}

func (s TrafficSelector) String() string {
	if !s.Start.IsValid() {
		return fmt.Sprintf("%s %s", s.Type, hexText(s.Data))
	}
	out := s.Start.String()
	if s.End != s.Start {
		out += "-" + s.End.String()
	}
	if s.Protocol != 0 {
		out += fmt.Sprintf(" protocol %d", s.Protocol)
	}
	if s.StartPort != 0 || s.EndPort != 65535 {
		out += fmt.Sprintf(" ports %d-%d", s.StartPort, s.EndPort)
	}
	return out
}

func (ts *TrafficSelectors) String() string {
	const most = 4
	var parts []string
	for i, s := range ts.Selectors {
		if i == most {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, s.String())
	}
	return strings.Join(parts, ", ")
}
func (*TrafficSelectors) body() {}
