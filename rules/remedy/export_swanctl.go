package remedy

import (
	"strings"

	"ipsecdiag/analyze/spd"
)

// swanctl writes pass shunts. It has words for the bypass only.
func (e *export) swanctl() error {
	var bypass []*spd.Policy
	for _, s := range e.plan.Steps {
		switch {
		case s.Op == AddSA:
			return refuse(Inexpressive, "swanctl.conf has no words for manual SAs (%s): strongSwan keys its SAs by IKE alone", s.SA)
		case s.Policy == nil:
			return refuse(Inexpressive, "swanctl.conf has no words for %s", s.Command())
		case s.Policy.Type == spd.Sub || !s.Policy.Bypass():
			return refuse(Inexpressive, "swanctl.conf has no words for the policy %s", s.Policy)
		}
		if s.Policy.Direction != spd.Fwd {
			bypass = append(bypass, s.Policy)
		}
	}
	var b strings.Builder
	b.WriteString(e.head())
	writeShunts(&b, shuntsOf(bypass))
	e.add(e.name()+".conf", "/etc/swanctl/conf.d", false, b.String())
	e.out.Notes = append(e.out.Notes, "load it with: swanctl --load-conns",
		"a shunt works in both directions alike, so that it is wider than the policies where those name the peer")
	return nil
}
