package rules

import (
	"fmt"
	"strconv"
	"strings"

	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// bypassPriority is the priority of the bypass where it beats the policy that
// catches: below everything that strongSwan computes (its pass shunts end at
// 200000, its trap policies begin above them) and setkey's 0x80000000, above
// libreswan's 1, so that there is room on both sides.
const bypassPriority = 100

// demotedPriority is what a policy of priority 0 is given instead.
const demotedPriority = 1000

// ndBypass is the remedy for neighbour discovery that a policy catches: let
// types 135 and 136 pass on both hosts, in both directions. Nothing beats
// priority 0, so a policy that has it gets another number first.
func ndBypass(p *Pass, c *ndCase) []remedy.Remedy {
	priority, zero := uint32(bypassPriority), []string(nil)
	for _, q := range catching(p, c) {
		switch {
		case q.Priority == 0:
			zero = append(zero, demoteCommand(q))
		case q.Priority <= priority:
			priority = q.Priority - 1
		}
	}
	title := "let neighbour discovery pass; run this on both hosts"
	if len(zero) > 0 {
		title = "nothing beats a policy of priority 0: give those of this host another number (the first lines; the other " +
			"host's likewise), then let neighbour discovery pass on both hosts"
	}
	return []remedy.Remedy{{
		Action:  "nd-bypass",
		Params:  map[string]string{"priority": strconv.FormatUint(uint64(priority), 10), "types": "135,136"},
		Title:   title,
		Command: strings.Join(append(zero, bypassCommands(priority)...), "\n"),
	}}
}

// catching returns the policies that catch the pair's neighbour discovery: the
// one of the case, and those of the observer's own kernel in both directions.
func catching(p *Pass, c *ndCase) []*spd.Policy {
	var found []*spd.Policy
	add := func(q *spd.Policy) {
		for _, o := range found {
			if o.Identity() == q.Identity() {
				return
			}
		}
		found = append(found, q)
	}
	if q := c.policy(); q != nil {
		add(q)
	}
	if !p.Host.KernelSeen {
		return found
	}
	for _, dir := range []spd.Direction{spd.Out, spd.In} {
		for _, f := range []spd.Flow{
			spd.ICMPv6Flow(c.asker, c.target, spd.NeighborAdvertisement),
			spd.ICMPv6Flow(c.target, c.asker, spd.NeighborAdvertisement),
		} {
			for _, q := range p.Host.DB.Lookup(dir, f).Policies {
				if q.Requires() {
					add(q)
				}
			}
		}
	}
	return found
}

// bypassCommands are the same on both hosts. `update` adds a policy, and
// replaces one that has the same selector, where `add` fails with EEXIST.
func bypassCommands(priority uint32) []string {
	var cmds []string
	for _, dir := range []string{"out", "in"} {
		for _, typ := range []int{spd.NeighborSolicitation, spd.NeighborAdvertisement} {
			cmds = append(cmds, fmt.Sprintf(
				"ip xfrm policy update src ::/0 dst ::/0 proto ipv6-icmp type %d dir %s priority %d", typ, dir, priority))
		}
	}
	return cmds
}

// demoteCommand replaces a policy by itself at demotedPriority.
func demoteCommand(p *spd.Policy) string {
	cmd := fmt.Sprintf("ip xfrm policy update %s dir %s priority %d", p.Selector, p.Direction, demotedPriority)
	if p.Type == spd.Sub {
		cmd += " ptype sub"
	}
	if p.Mark.Mask != 0 {
		cmd += fmt.Sprintf(" mark %#x mask %#x", p.Mark.Value, p.Mark.Mask)
	}
	if p.IfID != 0 {
		cmd += fmt.Sprintf(" if_id %#x", p.IfID)
	}
	for i := range p.Templates {
		cmd += " " + templateWords(&p.Templates[i])
	}
	return cmd
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
