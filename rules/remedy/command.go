package remedy

import (
	"encoding/hex"
	"fmt"
	"strings"

	"ipsecdiag/analyze/spd"
)

// Masked is what stands in a command where a key belongs.
const Masked = "<secret>"

// Command returns the step as a command line of iproute2 or sysctl, with
// Masked in place of the keys.
func (s Step) Command() string { return s.command(func(KeyRef) string { return Masked }) }

// Commands returns the commands of the steps, masked.
func Commands(steps []Step) []string {
	var out []string
	for _, s := range steps {
		out = append(out, s.Command())
	}
	return out
}

// Advice returns the commands of the steps for somebody to copy, masked. Policies
// are put with update, which adds one, and replaces one that has the same
// selector, where add fails: the same lines do on a host that has some already.
func Advice(steps []Step) []string {
	var out []string
	for _, s := range steps {
		if s.Op == AddPolicy {
			s.Op = ReplacePolicy
		}
		out = append(out, s.Command())
	}
	return out
}

// command writes the keys as word gives them.
func (s Step) command(word func(KeyRef) string) string {
	switch s.Op {
	case AddPolicy:
		return "ip xfrm policy add " + policyWords(s.Policy, s.Device)
	case ReplacePolicy:
		return "ip xfrm policy update " + policyWords(s.Policy, s.Device)
	case DeletePolicy:
		return "ip xfrm policy delete " + policyName(s.Policy, s.Device)
	case AddSA:
		return "ip xfrm state add " + saWords(s.SA, s.Keys, word)
	case DeleteSA:
		return "ip xfrm state delete " + saName(s.SA)
	case SetNeighbour:
		return fmt.Sprintf("ip neigh replace %s lladdr %s dev %s nud %s", s.Neighbour.Addr, s.Neighbour.LinkAddr, s.Device,
			strings.ToLower(s.Neighbour.State))
	case DelNeighbour:
		return fmt.Sprintf("ip neigh delete %s dev %s", s.Neighbour.Addr, s.Device)
	case SetSysctl:
		return fmt.Sprintf("sysctl -w %s=%s", s.Sysctl.Name, s.Sysctl.Value)
	}
	return "# unknown step " + string(s.Op)
}

// hexKey writes a key as ip and setkey read it.
func (k Keyring) hexKey(ref KeyRef) string { return "0x" + hex.EncodeToString(k[ref].Reveal()) }

// policyName are the words that name a policy (do_xfrm_policy_get_or_delete in
// iproute2's ip/xfrm_policy.c).
func policyName(p *spd.Policy, dev string) string {
	s := selectorWords(p.Selector, dev) + " dir " + p.Direction.String()
	if p.Mark.Mask != 0 {
		s += fmt.Sprintf(" mark %#x mask %#x", p.Mark.Value, p.Mark.Mask)
	}
	if p.Type != spd.Main {
		s += " ptype " + p.Type.String()
	}
	if p.IfID != 0 {
		s += fmt.Sprintf(" if_id %#x", p.IfID)
	}
	return s
}

func policyWords(p *spd.Policy, dev string) string {
	s := policyName(p, dev)
	if p.Action == spd.Block {
		s += " action block"
	}
	s += fmt.Sprintf(" priority %d", p.Priority)
	for bit, name := range []string{"localok", "icmp"} {
		if p.Flags&(1<<bit) != 0 {
			s += " flag " + name
		}
	}
	s += limitWords(&p.Limits)
	for i := range p.Templates {
		s += " " + templateWords(&p.Templates[i])
	}
	return s
}

// limitWords are the words of a lifetime (xfrm_lifetime_cfg_parse); 0 is no
// limit, and is not written.
func limitWords(l *spd.Lifetime) string {
	var s string
	for _, v := range []struct {
		name  string
		value uint64
	}{
		{"time-soft", l.SoftAdd}, {"time-hard", l.HardAdd}, {"time-use-soft", l.SoftUse}, {"time-use-hard", l.HardUse},
		{"byte-soft", l.SoftBytes}, {"byte-hard", l.HardBytes}, {"packet-soft", l.SoftPackets}, {"packet-hard", l.HardPackets},
	} {
		if v.value != 0 {
			s += fmt.Sprintf(" limit %s %d", v.name, v.value)
		}
	}
	return s
}

// selectorWords are a selector's words. Masks of ports other than all ones
// cannot be written; Selector.String shows them behind a slash.
func selectorWords(sel spd.Selector, dev string) string {
	ifindex := sel.IfIndex
	sel.IfIndex = 0
	s := sel.String()
	if ifindex != 0 {
		s += " dev " + dev
	}
	return s
}

func templateWords(t *spd.Template) string {
	s := "tmpl"
	if t.Src.IsValid() && t.Dst.IsValid() && !t.Dst.IsUnspecified() {
		s += fmt.Sprintf(" src %s dst %s", t.Src, t.Dst)
	}
	s += " proto " + spd.ProtocolName(t.Proto)
	if t.SPI != 0 {
		s += fmt.Sprintf(" spi %#x", t.SPI)
	}
	if t.ReqID != 0 {
		s += fmt.Sprintf(" reqid %d", t.ReqID)
	}
	s += " mode " + t.Mode.String()
	if t.Optional {
		s += " level use"
	}
	return s
}

func saName(s *spd.SA) string {
	str := fmt.Sprintf("src %s dst %s proto %s spi %#08x", s.Src, s.Dst, spd.ProtocolName(s.Proto), s.SPI)
	if s.Mark.Mask != 0 {
		str += fmt.Sprintf(" mark %#x mask %#x", s.Mark.Value, s.Mark.Mask)
	}
	return str
}

func saWords(s *spd.SA, keys *SAKeys, word func(KeyRef) string) string {
	str := saName(s)
	if s.ReqID != 0 {
		str += fmt.Sprintf(" reqid %d", s.ReqID)
	}
	str += " mode " + s.Mode.String()
	if s.Enc != nil {
		str += fmt.Sprintf(" enc '%s' %s", s.Enc.Name, word(keys.Enc))
	}
	if s.Auth != nil {
		str += fmt.Sprintf(" auth-trunc '%s' %s %d", s.Auth.Name, word(keys.Auth), s.Auth.ICVBits)
	}
	return str
}
