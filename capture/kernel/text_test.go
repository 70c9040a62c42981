//go:build linux

package kernel

import (
	"fmt"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// policyText renders a policy exactly as `ip xfrm policy` of iproute2 does
// (ip/ipxfrm.c: xfrm_policy_info_print), so that the two can be compared.
func policyText(p spd.Policy, links []analyze.Link) string {
	var b strings.Builder
	b.WriteString(selectorText(p.Selector, links) + "\n\t")
	if p.Socket {
		fmt.Fprintf(&b, "socket %s ", p.Direction)
	} else {
		fmt.Fprintf(&b, "dir %s ", p.Direction)
	}
	if p.Action == spd.Block {
		b.WriteString("action block ")
	}
	fmt.Fprintf(&b, "priority %d ", p.Priority)
	if p.Type == spd.Main {
		b.WriteString("ptype main ")
	} else {
		b.WriteString("ptype sub ")
	}
	b.WriteString("\n")
	for _, t := range p.Templates {
		b.WriteString(templateText(t))
	}
	if p.Mark.Mask != 0 {
		fmt.Fprintf(&b, "\tmark %#x/%#x \n", p.Mark.Value, p.Mark.Mask)
	}
	if p.IfID != 0 {
		fmt.Fprintf(&b, "\tif_id %#x\n", p.IfID)
	}
	return b.String()
}

func templateText(t spd.Template) string {
	s := fmt.Sprintf("\ttmpl src %s dst %s\n\t\tproto %s ", t.Src, t.Dst, spd.ProtocolName(t.Proto))
	if t.SPI != 0 {
		s += fmt.Sprintf("spi %#08x ", t.SPI)
	}
	s += fmt.Sprintf("reqid %d mode %s\n", t.ReqID, t.Mode)
	if t.Optional {
		s += "\t\tlevel use \n"
	}
	return s
}

func selectorText(s spd.Selector, links []analyze.Link) string {
	text := fmt.Sprintf("src %s dst %s ", s.Src, s.Dst)
	if s.Proto != 0 {
		text += fmt.Sprintf("proto %s ", spd.ProtocolName(s.Proto))
	}
	icmp := s.Proto == spd.ProtoICMP || s.Proto == spd.ProtoICMPv6
	port := func(icmpWord, word string, port, mask uint16) {
		if mask == 0 {
			return
		}
		if icmp {
			word = icmpWord
		}
		text += fmt.Sprintf("%s %d ", word, port)
		if mask != 0xffff {
			text += fmt.Sprintf("mask %#x ", mask)
		}
	}
	port("type", "sport", s.SrcPort, s.SrcPortMask)
	port("code", "dport", s.DstPort, s.DstPortMask)
	for _, l := range links {
		if l.Index == s.IfIndex {
			text += fmt.Sprintf("dev %s ", l.Name)
		}
	}
	return text
}

// squeeze makes blanks at the ends of lines irrelevant.
func squeeze(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
