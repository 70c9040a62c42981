package ike

import (
	"fmt"
	"net/netip"
	"strings"
)

// ConfigType says what a configuration payload does: RFC 7296 section 3.15.
// IKEv1's are the same with ISAKMP_ before them.
type ConfigType uint8

var configTypes = map[ConfigType]string{1: "CFG_REQUEST", 2: "CFG_REPLY", 3: "CFG_SET", 4: "CFG_ACK"}

func (t ConfigType) String() string { return named(configTypes, t, "CFG") }

// Configuration is the CP payload (IKEv2) or the Attributes payload of
// Transaction exchanges (IKEv1: Mode Config, XAUTH).
type Configuration struct {
	Major      uint8
	Type       ConfigType
	Identifier uint16 // IKEv1 only
	Attributes []ConfigAttribute
}

// ConfigAttribute is one attribute of a Configuration.
type ConfigAttribute struct {
	Type  uint16
	TV    bool // IKEv1: the value is two bytes in place of the length
	Value []byte
}

const maxConfigAttributes = 256

// parseConfigV2 reads a CP payload: RFC 7296 section 3.15.
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   CFG Type    |                    RESERVED                   |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|R|         Attribute Type      |            Length             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                             Value                             ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
func parseConfigV2(c *cursor) *Configuration {
	g := &Configuration{Major: 2, Type: ConfigType(c.u8("CFG Type"))}
	c.bytes("RESERVED", 3)
	return g.finish(c)
}

// parseConfigV1 reads an Attributes payload: draft-ietf-ipsec-isakmp-mode-cfg
// section 3.2. Two of the reserved bytes hold an identifier, and attributes
// may have the short form.
func parseConfigV1(c *cursor) *Configuration {
	g := &Configuration{Major: 1, Type: ConfigType(c.u8("Type"))}
	c.u8("RESERVED")
	g.Identifier = c.u16("Identifier")
	return g.finish(c)
}

func (g *Configuration) finish(c *cursor) *Configuration {
	for c.more() {
		if len(g.Attributes) == maxConfigAttributes {
			c.fail("Attribute", "more than %d", maxConfigAttributes)
			break
		}
		a := ConfigAttribute{}
		if g.Major == 1 {
			a.Type, a.TV, a.Value = readTLV(c)
		} else {
			a.Type = c.u16("Attribute Type") &^ 0x8000
			n := int(c.u16("Length"))
			a.Value = c.bytes("Value", n)
		}
		if c.err == nil {
			g.Attributes = append(g.Attributes, a)
		}
	}
	return g
}

var configAttributes = map[uint16]string{
	1: "INTERNAL_IP4_ADDRESS", 2: "INTERNAL_IP4_NETMASK", 3: "INTERNAL_IP4_DNS", 4: "INTERNAL_IP4_NBNS",
	5: "INTERNAL_ADDRESS_EXPIRY", 6: "INTERNAL_IP4_DHCP", 7: "APPLICATION_VERSION",
	8: "INTERNAL_IP6_ADDRESS", 9: "INTERNAL_IP6_NETMASK", 10: "INTERNAL_IP6_DNS",
	11: "INTERNAL_IP6_NBNS", 12: "INTERNAL_IP6_DHCP", 13: "INTERNAL_IP4_SUBNET",
	14: "SUPPORTED_ATTRIBUTES", 15: "INTERNAL_IP6_SUBNET", 16: "MIP6_HOME_PREFIX",
	17: "INTERNAL_IP6_LINK", 18: "INTERNAL_IP6_PREFIX", 19: "HOME_AGENT_ADDRESS",
	20: "P_CSCF_IP4_ADDRESS", 21: "P_CSCF_IP6_ADDRESS", 22: "FTT_KAT",
	23: "EXTERNAL_SOURCE_IP4_NAT_INFO", 24: "TIMEOUT_PERIOD_FOR_LIVENESS_CHECK",
	25: "INTERNAL_DNS_DOMAIN", 26: "INTERNAL_DNSSEC_TA", 27: "ENCDNS_IP4", 28: "ENCDNS_IP6",
	29: "ENCDNS_DIGEST_INFO",
	// draft-ietf-ipsec-isakmp-xauth and Cisco's Unity, IKEv1
	16520: "XAUTH-TYPE", 16521: "XAUTH-USER-NAME", 16522: "XAUTH-USER-PASSWORD",
	16523: "XAUTH-PASSCODE", 16524: "XAUTH-MESSAGE", 16525: "XAUTH-CHALLENGE", 16526: "XAUTH-DOMAIN",
	16527: "XAUTH-STATUS", 16528: "XAUTH-NEXT-PIN", 16529: "XAUTH-ANSWER",
	28672: "UNITY_BANNER", 28673: "UNITY_SAVE_PASSWD", 28674: "UNITY_DEF_DOMAIN",
	28675: "UNITY_SPLITDNS_NAME", 28676: "UNITY_SPLIT_INCLUDE", 28677: "UNITY_NATT_PORT",
	28678: "UNITY_SPLIT_EXCLUDE", 28679: "UNITY_PFS", 28680: "UNITY_FW_TYPE",
	28681: "UNITY_BACKUP_SERVERS", 28682: "UNITY_DDNS_HOSTNAME",
}

// secret tells whether the value must not be shown: a password, a pass code, a
// PIN, or the answer to a challenge.
func (a ConfigAttribute) secret() bool {
	return a.Type == 16522 || a.Type == 16523 || a.Type == 16528 || a.Type == 16529
}

// Name gives the attribute's name.
func (a ConfigAttribute) Name() string { return named(configAttributes, a.Type, "attribute") }

// Addr gives the address that a value begins with: INTERNAL_IP4_ADDRESS,
// INTERNAL_IP6_ADDRESS (with a prefix length), and the servers.
func (a ConfigAttribute) Addr() (netip.Addr, bool) {
	switch a.Type {
	case 1, 2, 3, 4, 6, 20:
		if len(a.Value) == 4 {
			return netip.AddrFromSlice(a.Value)
		}
	case 8, 10, 11, 12, 21:
		if len(a.Value) == 16 || a.Type == 8 && len(a.Value) == 17 {
			return netip.AddrFromSlice(a.Value[:16])
		}
	}
	return netip.Addr{}, false
}

// String gives name and value; secrets only by their length.
func (a ConfigAttribute) String() string {
	switch addr, ok := a.Addr(); {
	case len(a.Value) == 0:
		return a.Name()
	case a.secret():
		return fmt.Sprintf("%s=(%s withheld)", a.Name(), plural(len(a.Value), "byte"))
	case ok:
		return a.Name() + "=" + addr.String()
	case isText(a.Value):
		return a.Name() + "=" + Printable(a.Value)
	}
	return a.Name() + "=" + hexText(a.Value)
}

func (g *Configuration) String() string {
	const most = 8
	parts := []string{g.Type.String()}
	for i, a := range g.Attributes {
		if i == most {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, a.String())
	}
	return strings.Join(parts, ", ")
}
func (*Configuration) body() {}
