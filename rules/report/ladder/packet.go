package ladder

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/timeline"
)

// onePacket is how far apart two observers may have seen one packet. Nobody
// sends the same again so soon.
const onePacket = 400 * time.Millisecond

// packet makes a step of what went over the wire, or adds another observer's
// sight of it to the step that is there.
func (b *builder) packet(i *timeline.Item) {
	from, to := b.host(i.From), b.host(i.To)
	if from < 0 || to < 0 || from == to || b.seenBefore(i) {
		return
	}
	role := Kernel
	if i.Kind == timeline.IKE {
		role = IKE
	}
	s := Step{From: b.place(from, role), To: b.place(to, role)}
	s.Label, s.Detail = packetWords(b, i)
	if i.Kind == timeline.IKE {
		s.Brief = ikeBrief(i, s.Label)
	}
	s.key = fmt.Sprintf("%d %d %x", i.Kind, from, i.Same)
	if i.Kind == timeline.ESP {
		f := i.Event.(*analyze.Flow)
		s.key = fmt.Sprintf("esp %v", f.Key)
		s.At = analyze.Sighting{Time: f.Start.UTC(), Mono: i.At.Mono - max(0, i.At.Time.Sub(f.Start))}.In(i.At.Origin())
	}
	b.push(s, i)
}

// seenBefore adds an item to the step of the same packet, as another observer
// saw it, and reports whether there is one.
func (b *builder) seenBefore(i *timeline.Item) bool {
	for n := len(b.steps) - 1; n >= 0 && n >= len(b.steps)-64; n-- {
		m := &b.steps[n]
		if len(m.Items) == 0 || !samePacket(m.Items[0], i) {
			continue
		}
		if slices.ContainsFunc(m.Items, func(o *timeline.Item) bool { return o.At.Origin() == i.At.Origin() }) {
			continue
		}
		m.Items = append(m.Items, i)
		m.Seen = append(m.Seen, seenAt(i))
		return true
	}
	return false
}

// samePacket reports whether two items may be one packet, seen twice. Runs of
// ESP under one SPI are the same where they overlap.
func samePacket(a, b *timeline.Item) bool {
	if a.Kind != b.Kind || a.From != b.From {
		return false
	}
	if a.Kind == timeline.ESP {
		f, g := a.Event.(*analyze.Flow), b.Event.(*analyze.Flow)
		return f.Key == g.Key && f.MinSeq <= g.MaxSeq && g.MinSeq <= f.MaxSeq
	}
	return a.Same == b.Same && (a.At.Mono-b.At.Mono).Abs() <= onePacket
}

// packetWords says what a packet is: in short, and line by line.
func packetWords(b *builder, i *timeline.Item) (label string, detail []string) {
	switch i.Kind {
	case timeline.NS:
		label = "NS: who has " + i.To.String() + "?"
		detail = []string{"neighbour solicitation (ICMPv6 type 135): " + i.From.String() + " asks for the link-layer address of " + i.To.String()}
	case timeline.NA:
		label = "NA: here is " + i.From.String()
		detail = []string{"neighbour advertisement (ICMPv6 type 136): the link-layer address of " + i.From.String() + ", for " + i.To.String()}
	case timeline.ARPRequest:
		label = "ARP: who has " + i.To.String() + "?"
		detail = []string{"ARP request: " + i.From.String() + " asks for the link-layer address of " + i.To.String()}
	case timeline.ARPReply:
		label = "ARP: here is " + i.From.String()
		detail = []string{"ARP reply: the link-layer address of " + i.From.String()}
	case timeline.IKE:
		return ikeWords(i)
	case timeline.ESP:
		return espWords(i)
	case timeline.ICMPError:
		label = "ICMP: " + icmpWords(i)
		detail = []string{"an ICMP error (" + icmpWords(i) + ") about a packet from " + i.To.String() + " to " + i.From.String()}
	}
	return label, detail
}

// ikeWords says which exchange an IKE message belongs to and what it carries.
func ikeWords(i *timeline.Item) (label string, detail []string) {
	m := i.Message()
	if m == nil {
		return "IKE", nil
	}
	label = ikeTitle(m)
	if what := ikeCarries(m); what != "" {
		label += ": " + what
	}
	detail = []string{m.Summary(), fmt.Sprintf("SPIs %s and %s, message ID %d", m.InitiatorSPI, m.ResponderSPI, m.MessageID)}
	return label, append(detail, vendorWords(m)...)
}

// ikeBrief is what of an IKE message's label is said where there is little room:
// the error that it tells of, or the exchange.
func ikeBrief(i *timeline.Item, label string) string {
	m := i.Message()
	if m != nil && m.ErrorNotify() != nil {
		return m.Exchange.Short() + ": " + m.ErrorNotify().Name()
	}
	brief, _, _ := strings.Cut(label, ":")
	return brief
}

// icmpWords says what an ICMP error reports.
func icmpWords(i *timeline.Item) string {
	var p analyze.Packet
	if f, ok := i.Event.(*analyze.Frame); ok && p.Decode(f.Link, f.Data) == nil {
		if kind, ok := p.ICMPError(); ok {
			return kind.String()
		}
	}
	return "an error"
}

// maxVendorTexts bounds the vendor IDs that are told of one message, maxVendorText
// the bytes of each.
const (
	maxVendorTexts = 4
	maxVendorText  = 64
)

// vendorWords tells the vendor IDs that are text: some daemons put their name
// and version there.
func vendorWords(m *ike.Message) (lines []string) {
	for _, v := range m.VendorIDs() {
		if len(lines) < maxVendorTexts && isText(v.Data) {
			lines = append(lines, "vendor ID: "+string(v.Data[:min(len(v.Data), maxVendorText)]))
		}
	}
	return lines
}

// isText reports whether most of the bytes are printable ASCII.
func isText(b []byte) bool {
	printable := 0
	for _, c := range b {
		if c >= ' ' && c <= '~' {
			printable++
		}
	}
	return len(b) >= 4 && 4*printable >= 3*len(b)
}

// espWords sums up a run of ESP or AH packets.
func espWords(i *timeline.Item) (label string, detail []string) {
	f := i.Event.(*analyze.Flow)
	name := upperName(f.Key.Proto)
	label = fmt.Sprintf("%s %s, %s", name, plural(f.Packets, "packet"), bytesWords(f.Bytes))
	detail = []string{
		fmt.Sprintf("%s under SPI %#08x: %s, %d bytes on the wire", name, f.Key.SPI, plural(f.Packets, "packet"), f.Bytes),
		fmt.Sprintf("sequence numbers %d to %d", f.MinSeq, f.MaxSeq),
		fmt.Sprintf("from %s to %s UTC", f.Start.UTC().Format(clock), f.End.UTC().Format(clock)),
	}
	if f.Key.SrcPort != 0 || f.Key.DstPort != 0 {
		detail = append(detail, fmt.Sprintf("in UDP, port %d to %d (NAT traversal)", f.Key.SrcPort, f.Key.DstPort))
	}
	return label, detail
}

func upperName(proto uint8) string {
	if proto == spd.ProtoAH {
		return "AH"
	}
	return "ESP"
}
