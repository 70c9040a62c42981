package spd

import (
	"fmt"
	"strconv"
	"strings"
)

// Direction is the side of the host at which a policy is asked
// (XFRM_POLICY_IN, OUT, FWD in include/uapi/linux/xfrm.h).
type Direction uint8

// The directions, with the kernel's numbers.
const (
	In  Direction = 0
	Out Direction = 1
	Fwd Direction = 2
)

var directionNames = names[Direction]{In: "in", Out: "out", Fwd: "fwd"}

// String returns the name `ip xfrm policy` uses.
func (d Direction) String() string { return directionNames.name(d) }

// MarshalText encodes d as its name, an unknown value as its number.
func (d Direction) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText accepts what MarshalText writes.
func (d *Direction) UnmarshalText(b []byte) error { return directionNames.parse(d, b, "direction") }

// Action is what a policy says about a packet that it selects.
type Action uint8

// The actions, with the kernel's numbers (XFRM_POLICY_ALLOW, XFRM_POLICY_BLOCK).
// Allow with templates means "protect", without any "bypass" (RFC 4301
// section 4.4.1: PROTECT, BYPASS, DISCARD).
const (
	Allow Action = 0
	Block Action = 1
)

var actionNames = names[Action]{Allow: "allow", Block: "block"}

// String returns the name `ip xfrm policy` uses.
func (a Action) String() string { return actionNames.name(a) }

// MarshalText encodes a as its name, an unknown value as its number.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText accepts what MarshalText writes.
func (a *Action) UnmarshalText(b []byte) error { return actionNames.parse(a, b, "action") }

// PolicyType tells the two policy databases of one host apart
// (XFRM_POLICY_TYPE_MAIN, XFRM_POLICY_TYPE_SUB). Sub policies are asked first,
// and main policies still apply to what they let pass.
type PolicyType uint8

// The policy types, with the kernel's numbers.
const (
	Main PolicyType = 0
	Sub  PolicyType = 1
)

var policyTypeNames = names[PolicyType]{Main: "main", Sub: "sub"}

// String returns the name `ip xfrm policy` uses.
func (t PolicyType) String() string { return policyTypeNames.name(t) }

// MarshalText encodes t as its name, an unknown value as its number.
func (t PolicyType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText accepts what MarshalText writes.
func (t *PolicyType) UnmarshalText(b []byte) error { return policyTypeNames.parse(t, b, "policy type") }

// Mode is how an SA wraps a packet (XFRM_MODE_*).
type Mode uint8

// The modes, with the kernel's numbers.
const (
	Transport         Mode = 0
	Tunnel            Mode = 1
	RouteOptimization Mode = 2
	InTrigger         Mode = 3
	BEET              Mode = 4
	IPTFS             Mode = 5
)

var modeNames = names[Mode]{
	Transport: "transport", Tunnel: "tunnel", RouteOptimization: "ro",
	InTrigger: "in_trigger", BEET: "beet", IPTFS: "iptfs",
}

// String returns the name `ip xfrm state` uses.
func (m Mode) String() string { return modeNames.name(m) }

// MarshalText encodes m as its name, an unknown value as its number.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText accepts what MarshalText writes.
func (m *Mode) UnmarshalText(b []byte) error { return modeNames.parse(m, b, "mode") }

// outer reports whether an SA of that mode gives a packet new addresses, those
// of its template.
func (m Mode) outer() bool { return m == Tunnel || m == BEET || m == IPTFS }

// Family is the address family of a selector; zero means that the kernel left
// it open (AF_UNSPEC).
type Family uint8

// The families.
const (
	Unspecified Family = 0
	IPv4        Family = 4
	IPv6        Family = 6
)

// names maps the values of one enumeration to the field's terms.
type names[T ~uint8] map[T]string

func (n names[T]) name(v T) string {
	if s, ok := n[v]; ok {
		return s
	}
	return strconv.Itoa(int(v))
}

func (n names[T]) parse(dst *T, text []byte, what string) error {
	s := strings.TrimSpace(string(text))
	for v, name := range n {
		if name == s {
			*dst = v
			return nil
		}
	}
	v, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return fmt.Errorf("parse %s %q: not a known name or number", what, s)
	}
	*dst = T(v)
	return nil
}

// Protocol numbers of the IANA registry that policies and SAs are about.
const (
	ProtoAny     = 0
	ProtoICMP    = 1
	ProtoTCP     = 6
	ProtoUDP     = 17
	ProtoRouting = 43
	ProtoESP     = 50
	ProtoAH      = 51
	ProtoICMPv6  = 58
	ProtoDstOpts = 60
	ProtoSCTP    = 132
	ProtoIPComp  = 108
)

var protocolNames = names[uint8]{
	ProtoAny: "any", ProtoICMP: "icmp", ProtoTCP: "tcp", ProtoUDP: "udp", ProtoESP: "esp",
	ProtoAH: "ah", ProtoICMPv6: "ipv6-icmp", ProtoSCTP: "sctp", ProtoIPComp: "comp",
	ProtoRouting: "route2", ProtoDstOpts: "hao",
}

// ProtocolName returns the name that `ip xfrm` prints for an IP protocol,
// "any" for 0 and the number for the others.
func ProtocolName(p uint8) string { return protocolNames.name(p) }
