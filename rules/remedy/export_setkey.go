package remedy

import (
	"fmt"
	"net/netip"
	"strings"

	"ipsecdiag/analyze/spd"
)

// setkey writes a setkey.conf: what `setkey -f` reads.
func (e *export) setkey() error {
	var b strings.Builder
	b.WriteString("#!/usr/sbin/setkey -f\n" + e.head())
	in := map[spd.Selector]bool{}
	for _, s := range e.plan.Steps {
		line, err := "", error(nil)
		switch s.Op {
		case AddSA:
			line, err = e.setkeySA(&s)
		case AddPolicy, ReplacePolicy:
			in[s.Policy.Selector] = in[s.Policy.Selector] || s.Policy.Direction == spd.In
			if s.Policy.Direction == spd.Fwd && in[s.Policy.Selector] {
				continue // setkey makes it of the inbound one
			}
			word := "spdadd"
			if s.Op == ReplacePolicy {
				word = "spdupdate"
			}
			line, err = setkeyPolicy(word, s.Policy)
		default:
			err = refuse(Inexpressive, "setkey.conf has no words for %s", s.Command())
		}
		if err != nil {
			return err
		}
		b.WriteString(line + ";\n")
	}
	name := e.name() + ".conf"
	e.add(name, "/etc/racoon", e.has(AddSA), b.String())
	e.out.Notes = append(e.out.Notes, "apply it with: setkey -f "+name)
	return nil
}

// pfkeyAlgorithm returns the row of an algorithm that PF_KEY has words for.
func pfkeyAlgorithm(format string, all []algorithm, a *spd.Algorithm) (*algorithm, error) {
	for i := range all {
		r := &all[i]
		if r.kernel != a.Name || r.bits != a.KeyBits || r.icv != a.ICVBits {
			continue
		}
		if r.narrower {
			return nil, refuse(Inexpressive, "%s cannot say that %s is cut to %d bits, and the kernel then cuts it to 96: "+
				"take --auth sha512 on both ends", format, r.kernel, r.icv)
		}
		return r, nil
	}
	return nil, refuse(Inexpressive, "%s has no words for %s with a key of %d bits", format, a.Name, a.KeyBits)
}

func (e *export) setkeySA(s *Step) (string, error) {
	sa := s.SA
	line := fmt.Sprintf("add %s %s %s %#x -m %s", sa.Src, sa.Dst, spd.ProtocolName(sa.Proto), sa.SPI, sa.Mode)
	if sa.ReqID != 0 {
		line += fmt.Sprintf(" -u %d", sa.ReqID)
	}
	if sa.Enc != nil {
		a, err := pfkeyAlgorithm("setkey.conf", encryption, sa.Enc)
		if err != nil {
			return "", err
		}
		line += fmt.Sprintf(" -E %s %s", a.setkey, e.keys.hexKey(s.Keys.Enc))
	}
	a, err := pfkeyAlgorithm("setkey.conf", authentication, sa.Auth)
	if err != nil {
		return "", err
	}
	return line + fmt.Sprintf(" -A %s %s", a.setkey, e.keys.hexKey(s.Keys.Auth)), nil
}

// SetkeyLine writes a policy as a line of setkey.conf that adds it. It fails with
// a *Refusal where PF_KEY cannot tell of all that it says.
func SetkeyLine(p *spd.Policy) (string, error) { return setkeyPolicy("spdadd", p) }

// setkeyPolicy writes a policy, if PF_KEY can tell of all that it says.
func setkeyPolicy(word string, p *spd.Policy) (string, error) {
	s := &p.Selector
	icmp := s.Proto == spd.ProtoICMP || s.Proto == spd.ProtoICMPv6
	switch {
	case p.Type != spd.Main, p.Mark.Mask != 0, p.IfID != 0, s.IfIndex != 0, p.Flags != 0, p.Offload != nil, p.Limits != spd.Lifetime{},
		!whole(s.SrcPortMask), !whole(s.DstPortMask),
		s.SrcPortMask != 0 && s.SrcPort == 0, !icmp && s.DstPortMask != 0 && s.DstPort == 0:
		return "", refuse(Inexpressive, "setkey.conf has no words for the policy %s", p)
	}
	line := word + " "
	if icmp {
		line += fmt.Sprintf("%s %s %s", s.Src, s.Dst, map[uint8]string{spd.ProtoICMP: "icmp", spd.ProtoICMPv6: "icmp6"}[s.Proto])
		if s.SrcPortMask != 0 {
			line += fmt.Sprintf(" %d,%d", s.SrcPort, s.DstPort)
		}
	} else {
		line += fmt.Sprintf("%s %s %s", setkeyRange(s.Src, s.SrcPort, s.SrcPortMask), setkeyRange(s.Dst, s.DstPort, s.DstPortMask), setkeyProto(s.Proto))
	}
	line += fmt.Sprintf(" -P %s %s", p.Direction, setkeyPriority(p.Priority))
	switch {
	case p.Action == spd.Block:
		return line + " discard", nil
	case p.Bypass():
		return line + " none", nil
	}
	line += " ipsec"
	for i := range p.Templates {
		r, err := setkeyRequest(&p.Templates[i])
		if err != nil {
			return "", err
		}
		line += " " + r
	}
	return line, nil
}

func setkeyRange(p netip.Prefix, port, mask uint16) string {
	if mask == 0 {
		return p.String()
	}
	return fmt.Sprintf("%s[%d]", p, port)
}

func setkeyProto(proto uint8) string {
	switch proto {
	case spd.ProtoAny, spd.ProtoTCP, spd.ProtoUDP:
		return spd.ProtocolName(proto)
	}
	return fmt.Sprint(proto)
}

// setkeyPriority writes a number of the kernel as setkey does: as an offset
// from a base, and the other way round (libipsec's policy_parse.y).
func setkeyPriority(p uint32) string {
	const high, def, low = 0x40000000, 0x80000000, 0xc0000000
	switch {
	case p <= high:
		return fmt.Sprintf("prio high + %d", high-p)
	case p <= def:
		return fmt.Sprintf("prio def + %d", def-p)
	case p <= low:
		return fmt.Sprintf("prio low + %d", low-p)
	}
	return fmt.Sprintf("prio low - %d", p-low)
}

// lastManualReqID is the largest reqid that PF_KEY takes from a person
// (IPSEC_MANUAL_REQID_MAX).
const lastManualReqID = 0x3fff

func setkeyRequest(t *spd.Template) (string, error) {
	ends := ""
	if t.Mode == spd.Tunnel {
		ends = fmt.Sprintf("%s-%s", t.Src, t.Dst)
	}
	level := "require"
	switch {
	case t.ReqID > lastManualReqID, t.SPI != 0, t.Optional && t.ReqID != 0, t.Mode != spd.Tunnel && t.Mode != spd.Transport:
		return "", refuse(Inexpressive, "setkey.conf has no words for the template %s", t)
	case t.Optional:
		level = "use"
	case t.ReqID != 0:
		level = fmt.Sprintf("unique:%d", t.ReqID)
	}
	return fmt.Sprintf("%s/%s/%s/%s", spd.ProtocolName(t.Proto), t.Mode, ends, level), nil
}
