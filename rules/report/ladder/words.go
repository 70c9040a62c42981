package ladder

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
)

// clock is how times are shown, in UTC.
const clock = "15:04:05.000"

func plural(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatUint(n, 10) + " " + noun + "s"
}

// bytesWords renders a number of bytes in decimal units.
func bytesWords(n uint64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v, u := float64(n)/1000, 0
	for v >= 999.5 && u < len(units)-1 {
		v, u = v/1000, u+1
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f %cB", v, units[u])
	}
	return fmt.Sprintf("%.0f %cB", v, units[u])
}

// ikeTitle names exchange, direction and message ID. IKEv1's message IDs are
// random and tell nothing.
func ikeTitle(m *ike.Message) string {
	name := m.Exchange.Short()
	if m.Major != 2 {
		return name
	}
	if m.IsResponse() {
		name += " response"
	} else {
		name += " request"
	}
	return name + " " + strconv.FormatUint(uint64(m.MessageID), 10)
}

// maxCarried bounds the payloads named in a label.
const maxCarried = 6

// ikeCarries names what a message carries: the error that it reports, else its
// payloads, without those that come with every message.
func ikeCarries(m *ike.Message) string {
	if n := m.ErrorNotify(); n != nil {
		return n.Name()
	}
	if number, total, ok := m.Fragment(); ok {
		if total > 0 {
			return fmt.Sprintf("fragment %d of %d", number, total)
		}
		return fmt.Sprintf("fragment %d", number)
	}
	if m.Encrypted() {
		return "encrypted"
	}
	var names []string
	for i := range m.Payloads {
		switch m.Payloads[i].Body.(type) {
		case *ike.VendorID, *ike.NATD, *ike.Notify:
			continue
		}
		if name := m.Payloads[i].Type.String(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > maxCarried {
		names = append(names[:maxCarried], "…")
	}
	return strings.Join(names, ", ")
}

// flowWords says what kind of packet a selector of one flow is for, and whether
// the kernel itself sent it.
func flowWords(s spd.Selector) (words string, kernel bool) {
	switch s.Proto {
	case spd.ProtoICMPv6:
		return icmpv6Words(s.SrcPort)
	case spd.ProtoICMP:
		if s.SrcPort == 0 {
			return "ping reply", true
		}
		if s.SrcPort == 8 {
			return "ping", false
		}
		return fmt.Sprintf("ICMP type %d", s.SrcPort), true
	case spd.ProtoAny:
		return "packet", false
	}
	words = strings.ToUpper(spd.ProtocolName(s.Proto))
	if s.DstPortMask != 0 && s.DstPort != 0 {
		words += fmt.Sprintf(" to port %d", s.DstPort)
	}
	return words, false
}

// icmpv6Words names ICMPv6 types (RFC 4443, RFC 4861).
func icmpv6Words(typ uint16) (words string, kernel bool) {
	switch typ {
	case spd.RouterSolicitation:
		return "RS", true
	case spd.RouterAdvertisement:
		return "RA", true
	case spd.NeighborSolicitation:
		return "NS", true
	case spd.NeighborAdvertisement:
		return "NA", true
	case 128:
		return "ping", false
	case 129:
		return "ping reply", true
	}
	return fmt.Sprintf("ICMPv6 type %d", typ), true
}

// policyShort names a policy in a few words.
func policyShort(p *spd.Policy) string {
	if p == nil {
		return "the default policy"
	}
	return "policy, priority " + strconv.FormatUint(uint64(p.Priority), 10)
}
