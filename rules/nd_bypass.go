package rules

import (
	"fmt"
	"strconv"
	"strings"

	"ipsecdiag/rules/remedy"
)

// bypassPriority is the priority of the bypass where it beats the policy that
// catches: below everything that strongSwan computes (its pass shunts end at
// 200000, its trap policies begin above them) and setkey's 0x80000000, above
// libreswan's 1, so that there is room on both sides.
const bypassPriority = 100

// ndBypass is the remedy for neighbour discovery that a policy catches: let
// types 135 and 136 pass on both hosts, in both directions.
func ndBypass(c *ndCase) []remedy.Remedy {
	priority := uint32(bypassPriority)
	if p := c.policy(); p != nil {
		switch {
		case p.Priority == 0:
			return []remedy.Remedy{unbeatable(c)}
		case p.Priority <= bypassPriority:
			priority = p.Priority - 1
		}
	}
	return []remedy.Remedy{{
		Action:  "nd-bypass",
		Params:  map[string]string{"priority": strconv.FormatUint(uint64(priority), 10), "types": "135,136"},
		Title:   "let neighbour discovery pass; run this on both hosts",
		Command: strings.Join(bypassCommands(priority), "\n"),
	}}
}

func bypassCommands(priority uint32) []string {
	var cmds []string
	for _, dir := range []string{"out", "in"} {
		for _, typ := range []int{135, 136} {
			cmds = append(cmds, fmt.Sprintf(
				"ip xfrm policy add src ::/0 dst ::/0 proto ipv6-icmp type %d dir %s priority %d", typ, dir, priority))
		}
	}
	return cmds
}

// unbeatable is the remedy where the policy that catches has priority 0: no
// other can win against it, so it must be replaced by one with a larger number.
func unbeatable(c *ndCase) remedy.Remedy {
	return remedy.Remedy{
		Action: "policy-priority",
		Params: map[string]string{"selector": c.policy().Selector.String(), "dir": c.policy().Direction.String()},
		Title: "give the policy that catches neighbour discovery a priority number above 0: nothing can beat priority 0. " +
			"Look at it with this command, replace it by `ip xfrm policy update` with the same templates and priority 1000, then let " +
			"types 135 and 136 pass at priority 100 on both hosts",
		Command: "ip xfrm policy list dir " + c.policy().Direction.String(),
	}
}
