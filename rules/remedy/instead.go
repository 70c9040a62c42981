package remedy

import (
	"fmt"
	"strings"

	"ipsecdiag/analyze/spd"
)

// refuseOwned refuses to replace a daemon's policy, and says what its own
// configuration can do.
func (b *ndBypass) refuseOwned(p *spd.Policy, kind daemonKind) error {
	r := refuse(DaemonOwns, "%s made the policy %s, and what a daemon made is not replaced under it", kind, p)
	switch kind {
	case strongSwan:
		var bypass []*spd.Policy
		for _, w := range b.wants {
			if w.dir != spd.Fwd {
				bypass = append(bypass, &spd.Policy{Selector: w.sel, Direction: w.dir, Priority: bypassPriority})
			}
		}
		var sb strings.Builder
		writeShunts(&sb, shuntsOf(bypass))
		r.Instead = "# in swanctl.conf; then: swanctl --load-conns\n" + sb.String()
	case libreswan:
		r.Instead = "# libreswan lets types 135 and 136 pass by itself, at priority 1: in ipsec.conf give the conn of this policy a\n" +
			"# priority= of more than 3, then: ipsec auto --replace NAME; ipsec auto --route NAME"
	default:
		r.Instead = fmt.Sprintf("# in the daemon's own configuration let ICMPv6 types 135 and 136 pass, or give the policy a priority of more than %d",
			2*bypassMargin)
	}
	return r
}
