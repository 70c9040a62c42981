package ike

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net/netip"
)

// IDType says what an identity is.
type IDType uint8

// Identification types: RFC 2407 section 4.6.2.1, RFC 7296 section 3.5. IKEv2
// dropped the subnets and ranges.
const (
	IDIPv4Addr   IDType = 1
	IDFQDN       IDType = 2
	IDRFC822Addr IDType = 3 // IKEv1: ID_USER_FQDN
	IDIPv4Subnet IDType = 4
	IDIPv6Addr   IDType = 5
	IDIPv6Subnet IDType = 6
	IDIPv4Range  IDType = 7
	IDIPv6Range  IDType = 8
	IDDERASN1DN  IDType = 9
	IDDERASN1GN  IDType = 10
	IDKeyID      IDType = 11
	IDNull       IDType = 13
)

var idNamesV1 = map[IDType]string{
	1: "ID_IPV4_ADDR", 2: "ID_FQDN", 3: "ID_USER_FQDN", 4: "ID_IPV4_ADDR_SUBNET", 5: "ID_IPV6_ADDR",
	6: "ID_IPV6_ADDR_SUBNET", 7: "ID_IPV4_ADDR_RANGE", 8: "ID_IPV6_ADDR_RANGE", 9: "ID_DER_ASN1_DN",
	10: "ID_DER_ASN1_GN", 11: "ID_KEY_ID", 12: "ID_LIST",
}

var idNamesV2 = map[IDType]string{
	1: "ID_IPV4_ADDR", 2: "ID_FQDN", 3: "ID_RFC822_ADDR", 5: "ID_IPV6_ADDR", 9: "ID_DER_ASN1_DN",
	10: "ID_DER_ASN1_GN", 11: "ID_KEY_ID", 12: "ID_FC_NAME", 13: "ID_NULL",
}

// Identification is an identity. In IKEv1's Quick Mode it is a traffic
// selector: addresses, protocol and port.
type Identification struct {
	Major    uint8
	Type     IDType
	Protocol uint8  // IKEv1: IP protocol, 0 for any
	Port     uint16 // IKEv1: 0 for any
	Data     []byte
}

// parseIDV1 reads an IKEv1 ID payload: RFC 2407 section 4.6.2.
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   ID Type     |  Protocol ID  |             Port              |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                     Identification Data                       ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
func parseIDV1(c *cursor) *Identification {
	id := &Identification{Major: 1, Type: IDType(c.u8("ID Type")), Protocol: c.u8("Protocol ID"), Port: c.u16("Port")}
	return id.finish(c)
}

// parseIDV2 reads an IKEv2 ID payload: RFC 7296 section 3.5. Protocol and
// port became reserved.
func parseIDV2(c *cursor) *Identification {
	id := &Identification{Major: 2, Type: IDType(c.u8("ID Type"))}
	c.bytes("RESERVED", 3)
	return id.finish(c)
}

// finish reads the data and checks the length where the type fixes it.
func (id *Identification) finish(c *cursor) *Identification {
	at := *c
	id.Data = c.rest("Identification Data")
	if want := id.length(); c.err == nil && want >= 0 && len(id.Data) != want {
		at.fail("Identification Data", "%s has %d bytes", id.TypeName(), want)
		c.err = at.err
	}
	return id
}

// length is what the type asks for; -1 where it may be any.
func (id *Identification) length() int {
	v1 := id.Major == 1
	switch t := id.Type; {
	case t == IDIPv4Addr:
		return 4
	case t == IDIPv6Addr:
		return 16
	case v1 && (t == IDIPv4Subnet || t == IDIPv4Range):
		return 8
	case v1 && (t == IDIPv6Subnet || t == IDIPv6Range):
		return 32
	}
	return -1
}

// TypeName gives the registry's name of the type.
func (id *Identification) TypeName() string {
	return named(byVersion(id.Major, idNamesV1, idNamesV2), id.Type, "ID type")
}

// Addrs gives the addresses an identity covers, first and last; they are the
// same for a single one. A subnet's mask need not be a prefix: see Prefix.
func (id *Identification) Addrs() (first, last netip.Addr, ok bool) {
	d := id.Data
	if want := id.length(); want < 0 || len(d) != want {
		return first, last, false
	}
	switch id.Type {
	case IDIPv4Addr, IDIPv6Addr:
		first, ok = netip.AddrFromSlice(d)
		return first, first, ok
	case IDIPv4Range, IDIPv6Range:
		first, _ = netip.AddrFromSlice(d[:len(d)/2])
		last, ok = netip.AddrFromSlice(d[len(d)/2:])
		return first, last, ok
	}
	half := len(d) / 2
	end := make([]byte, half)
	for i := range end {
		end[i] = d[i] | ^d[half+i]
	}
	first, _ = netip.AddrFromSlice(d[:half])
	last, ok = netip.AddrFromSlice(end)
	return first, last, ok
}

// Prefix gives a subnet identity as a prefix, where its mask is one.
func (id *Identification) Prefix() (p netip.Prefix, ok bool) {
	if id.Type != IDIPv4Subnet && id.Type != IDIPv6Subnet || len(id.Data) != id.length() {
		return p, false
	}
	half := len(id.Data) / 2
	bits := 0
	for bits < half*8 && id.Data[half+bits/8]&(0x80>>(bits%8)) != 0 {
		bits++
	}
	for i := bits; i < half*8; i++ {
		if id.Data[half+i/8]&(0x80>>(i%8)) != 0 {
			return p, false
		}
	}
	addr, _ := netip.AddrFromSlice(id.Data[:half])
	return netip.PrefixFrom(addr, bits), true
}

// Text gives the identity itself, safe to print.
func (id *Identification) Text() string {
	if p, ok := id.Prefix(); ok {
		return p.String()
	}
	if a, b, ok := id.Addrs(); ok {
		if a == b {
			return a.String()
		}
		return a.String() + "-" + b.String()
	}
	switch id.Type {
	case IDDERASN1DN:
		return dnText(id.Data)
	case IDFQDN, IDRFC822Addr:
		return Printable(id.Data)
	}
	if isText(id.Data) {
		return Printable(id.Data)
	}
	return hexText(id.Data)
}

// dnText renders a distinguished name, RFC 2253 style.
func dnText(der []byte) string {
	const most = 4096 // no name of a host needs more
	var rdn pkix.RDNSequence
	if len(der) <= most {
		if rest, err := asn1.Unmarshal(der, &rdn); err == nil && len(rest) == 0 {
			return Printable([]byte(rdn.String()))
		}
	}
	return hexText(der)
}

func (id *Identification) String() string {
	s := fmt.Sprintf("%s %s", id.TypeName(), id.Text())
	if id.Protocol != 0 || id.Port != 0 {
		s += fmt.Sprintf(", protocol %d port %d", id.Protocol, id.Port)
	}
	return s
}
func (*Identification) body() {}
