package scrub

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"ipsecdiag/analyze/lazy"
)

// plainInterface are names that the kernel or udev give and that tell nothing.
// Those by MAC address (enx…) do.
var plainInterface = lazy.Regexp(`^(lo|any|all|default|(eth|wlan|br|bond|team|veth|vlan|dummy|tun|tap|vti|vti6_|ip_vti|ip6_vti|gre|gre|gretap|erspan|sit|ip6tnl|ip6gre|tunl|xfrm|ipsec|wg|nlmon)\d*|(en|wl|ww)([ops]\d+|[bcdfpnsuv]\d+)+|eth\d+\.\d+)$`)

// interfaceName replaces the name of an interface unless it tells nothing.
func (s *Scrubber) interfaceName(name string) string {
	if name == "" || plainInterface().MatchString(name) {
		return name
	}
	return s.secret.name("if-", name)
}

// setting replaces the interface's name in the name of a kernel setting:
// net.ipv6.conf.eth0.disable_policy.
func (s *Scrubber) setting(name string) string {
	for _, prefix := range []string{"net.ipv4.conf.", "net.ipv6.conf.", "net.ipv4.neigh.", "net.ipv6.neigh."} {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		if i := strings.LastIndexByte(rest, '.'); i > 0 { // names of interfaces may hold dots
			return prefix + s.interfaceName(rest[:i]) + rest[i:]
		}
	}
	return name
}

// programs are listeners for ACQUIRE that are named to everybody.
var programs = []string{
	"charon", "charon-systemd", "charon-nm", "starter", "pluto", "racoon", "iked", "isakmpd", "ip", "ipsecdiag", "setkey",
}

func (s *Scrubber) program(name string) string {
	if name == "" || slices.Contains(programs, name) {
		return name
	}
	return "program"
}

// mac replaces a MAC address in text; a hardware address of another size is
// removed.
func (s *Scrubber) mac(text string) string {
	b, err := net.ParseMAC(text)
	if err != nil || len(b) != 6 {
		return ""
	}
	s.macBytes(b)
	return b.String()
}

// macBytes replaces a MAC address in place. Group addresses stay, but for the
// ones that end in a solicited-node address (RFC 2464 section 7); stand-ins are
// locally administered.
func (s *Scrubber) macBytes(b []byte) {
	switch {
	case len(b) != 6 || allEqual(b, 0):
	case b[0] == 0x33 && b[1] == 0x33 && b[2] == 0xff:
		a := solicited.Addr().As16()
		copy(a[13:], b[3:])
		to := s.addresses.addr(netip.AddrFrom16(a)).As16()
		copy(b[3:], to[13:])
	case b[0]&1 == 0:
		sum := s.secret.derive("mac", b)
		copy(b, sum[:])
		b[0] = 0x02
	}
}

func allEqual(b []byte, v byte) bool {
	return !slices.ContainsFunc(b, func(x byte) bool { return x != v })
}

// word is what text looks for addresses in: what stands between spaces,
// brackets, quotes and commas.
var word = lazy.Regexp(`[^\s\[\](){}<>"',;=|]+`)

// text replaces addresses, prefixes and MAC addresses in a sentence of the
// program's own.
func (s *Scrubber) text(t string) string {
	return word().ReplaceAllStringFunc(t, func(w string) string {
		bare := strings.TrimRight(w, ".:")
		rest := w[len(bare):]
		if to, ok := s.token(bare); ok {
			return to + rest
		}
		return w
	})
}

// token replaces an address, a prefix, an address with a port or a MAC address.
func (s *Scrubber) token(w string) (string, bool) {
	if a, err := netip.ParseAddr(w); err == nil {
		return s.zoned(s.addresses.addr(a)).String(), true
	}
	if p, err := netip.ParsePrefix(w); err == nil {
		return s.addresses.prefix(p).String(), true
	}
	if ap, err := netip.ParseAddrPort(w); err == nil {
		return netip.AddrPortFrom(s.zoned(s.addresses.addr(ap.Addr())), ap.Port()).String(), true
	}
	if b, err := net.ParseMAC(w); err == nil && len(b) == 6 {
		return s.mac(w), true
	}
	return "", false
}

// zoned replaces the interface in an address's zone.
func (s *Scrubber) zoned(a netip.Addr) netip.Addr {
	if a.Zone() == "" {
		return a
	}
	return a.WithZone(s.interfaceName(a.Zone()))
}

// removed stands for text of which nothing is known.
const removed = "removed"
