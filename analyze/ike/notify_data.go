package ike

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// Group gives the group that INVALID_KE_PAYLOAD asks for: RFC 7296 section
// 1.3.
func (n *Notify) Group() (g DHGroup, ok bool) {
	if !n.is(2, NotifyInvalidKEPayload) || len(n.Data) != 2 {
		return 0, false
	}
	return DHGroup(binary.BigEndian.Uint16(n.Data)), true
}

// Number gives the data of notifications that carry a single number of 1, 2
// or 4 bytes: SET_WINDOW_SIZE, AUTH_LIFETIME (seconds), R-U-THERE and its
// acknowledgement (sequence), UNSUPPORTED_CRITICAL_PAYLOAD (payload type),
// REPLAY-STATUS.
func (n *Notify) Number() (v uint32, ok bool) {
	for _, b := range n.Data {
		v = v<<8 | uint32(b)
	}
	return v, numberNotifies[notifyKey{n.Major, n.Type}] == len(n.Data) && len(n.Data) > 0
}

type notifyKey struct {
	major uint8
	t     NotifyType
}

var numberNotifies = map[notifyKey]int{
	{1, NotifyReplayStatus}:               4,
	{1, NotifyRUThere}:                    4,
	{1, NotifyRUThereAck}:                 4,
	{2, NotifyUnsupportedCriticalPayload}: 1,
	{2, NotifySetWindowSize}:              4,
	{2, NotifyAuthLifetime}:               4,
}

// Addr gives the address of ADDITIONAL_IP4_ADDRESS and
// ADDITIONAL_IP6_ADDRESS: RFC 4555 section 4.2.
func (n *Notify) Addr() (netip.Addr, bool) {
	if n.is(2, NotifyAdditionalIP4Address) && len(n.Data) == 4 || n.is(2, NotifyAdditionalIP6Address) && len(n.Data) == 16 {
		return netip.AddrFromSlice(n.Data)
	}
	return netip.Addr{}, false
}

var hashNames = map[uint16]string{1: "SHA1", 2: "SHA2-256", 3: "SHA2-384", 4: "SHA2-512", 5: "Identity",
	6: "STREEBOG_256", 7: "STREEBOG_512"}

// HashAlgorithms gives the names in SIGNATURE_HASH_ALGORITHMS: RFC 7427
// section 4.
func (n *Notify) HashAlgorithms() []string {
	if !n.is(2, NotifySignatureHashAlgorithms) || len(n.Data)%2 != 0 {
		return nil
	}
	var out []string
	for d := n.Data; len(d) >= 2 && len(out) < 32; d = d[2:] {
		out = append(out, named(hashNames, binary.BigEndian.Uint16(d), "hash"))
	}
	return out
}

// Redirect gives the gateway that REDIRECT or REDIRECTED_FROM names: RFC 5685
// section 7.
func (n *Notify) Redirect() (gateway string, ok bool) {
	if n.Major != 2 || n.Type != NotifyRedirect && n.Type != NotifyRedirectedFrom {
		return "", false
	}
	c := &cursor{b: n.Data}
	kind := c.u8("GW Ident Type")
	id := c.bytes("New Responder GW Identity", int(c.u8("GW Ident Len")))
	if c.err != nil {
		return "", false
	}
	if kind == 3 {
		return Printable(id), true
	}
	a, ok := netip.AddrFromSlice(id)
	return a.String(), ok
}

// Lifetimes gives the limits in IKEv1's RESPONDER-LIFETIME: RFC 2407 section
// 4.6.3.1.
func (n *Notify) Lifetimes() []Lifetime {
	if !n.is(1, NotifyResponderLifetime) {
		return nil
	}
	class := AttributesPhase2
	if n.Protocol == ProtocolIKE {
		class = AttributesPhase1
	}
	return Lifetimes(parseAttributes(&cursor{b: n.Data}, class))
}

var ipcompNames = map[uint8]string{1: "IPCOMP_OUI", 2: "IPCOMP_DEFLATE", 3: "IPCOMP_LZS", 4: "IPCOMP_LZJH"}

// DataText says in words what the data holds; empty where there is none or
// nothing is known about it.
func (n *Notify) DataText() string {
	if g, ok := n.Group(); ok {
		return g.String()
	}
	if a, ok := n.Addr(); ok {
		return a.String()
	}
	if h := n.HashAlgorithms(); h != nil {
		return strings.Join(h, ", ")
	}
	if gw, ok := n.Redirect(); ok {
		return gw
	}
	if l := n.Lifetimes(); l != nil {
		return lifetimeText(l)
	}
	if v, ok := n.Number(); ok {
		if n.Type == NotifyUnsupportedCriticalPayload {
			return PayloadType(v).Name()
		}
		return fmt.Sprint(v)
	}
	return n.opaqueText()
}

func (n *Notify) opaqueText() string {
	switch {
	case n.Major != 2:
		return ""
	case n.Type == NotifyCookie || n.Type == NotifyCookie2:
		return plural(len(n.Data), "byte")
	case n.Type == NotifyRekeySA || n.Type == NotifyChildSANotFound || n.Type == NotifyInvalidSelectors:
		return strings.TrimSpace(n.Protocol.Name(2) + " " + hexText(n.SPI))
	case n.Type == NotifyInvalidSPI && len(n.Data) > 0:
		return hexText(n.Data) // the SPI itself is the data
	case n.Type == NotifyIPCOMPSupported && len(n.Data) == 3:
		return fmt.Sprintf("%s, CPI %#04x", named(ipcompNames, n.Data[2], "IPCOMP"), binary.BigEndian.Uint16(n.Data))
	}
	return ""
}

func lifetimeText(limits []Lifetime) string {
	parts := make([]string, 0, len(limits))
	for _, l := range limits {
		unit := "s"
		if l.Kilobytes {
			unit = " kB"
		}
		parts = append(parts, fmt.Sprintf("%d%s", l.Value, unit))
	}
	return strings.Join(parts, ", ")
}
