package rules

import (
	"fmt"
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// ListenerMissing finds policies that need IKE on a host where nobody speaks it.
var ListenerMissing = &Rule{
	ID:       "listener-missing",
	Severity: Warning,
	Title:    "policies need IKE, and no daemon listens",
	Doc: Doc{
		Symptom: "What the policies select vanishes without an error and without a single IKE message on the wire.",
		Cause: "A policy requires an SA and there is none. The kernel would ask for it with an ACQUIRE, and no IKE daemon is there to hear " +
			"it: none was started, it ended and left its policies behind, or it runs in another network namespace. A program that only " +
			"watches, such as ip xfrm monitor, makes the kernel keep larval SAs, and answers nothing.",
		Recognised: "An outbound policy whose packets lack an SA, and no socket in the kernel's ACQUIRE group (/proc/net/netlink) nor a PF_KEY " +
			"socket except those of programs that are known to watch only (ip, setkey, ipsecdiag). Policies whose SAs stand, made by hand for " +
			"instance, need no daemon. Certain where the listeners could be read; a PF_KEY socket whose owner is not known counts as a daemon.",
		Remedy: "Start the IKE daemon (systemctl start strongswan; libreswan's unit is ipsec), or remove policies that a daemon left behind, or " +
			"make the SAs by hand.",
		Sources: []string{
			"RFC 4301 section 4.4.1 (PROTECT without an SA)",
			"Linux net/xfrm/xfrm_state.c: xfrm_state_find, km_query (ACQUIRE)",
			"Linux net/xfrm/xfrm_user.c: xfrm_send_acquire; net/key/af_key.c: pfkey_send_acquire",
		},
	},
	Needs: []string{analyze.PartPolicies, analyze.PartSAs, analyze.PartListeners},
	Audit: checkListenerMissing,
}

func checkListenerMissing(p *Pass) {
	if len(p.Host.Daemons()) > 0 {
		return
	}
	stray := newOneWayAudit(p)
	need := slices.DeleteFunc(unmetPolicies(p.Host), func(u unmet) bool { // those have SAs, and ask for others
		return stray.strayReqID(u.policy, u.template) != nil
	})
	if len(need) == 0 {
		return
	}
	f := p.Finding()
	f.Confidence = Certain
	who := "nobody listens for ACQUIREs"
	if m := monitors(p.Host); len(m) > 0 {
		var names []string
		for _, l := range m {
			names = append(names, listenerWords(l.Name, l.PID))
		}
		who = "only " + strings.Join(names, ", ") + " listens for ACQUIREs, which watches and makes no SA"
	}
	f.Explanation = fmt.Sprintf("%s of this host want their packets protected and have no SA for it, and %s. Such packets are lost until "+
		"an IKE daemon runs or SAs are made by hand.", capitalised(policies(len(need))), who)
	if len(need) == 1 {
		f.Explanation = strings.Replace(f.Explanation, "want their packets protected and have", "wants its packets protected and has", 1)
	}
	var list []*spd.Policy
	for _, u := range need {
		list = append(list, u.policy)
	}
	f.Pair = onlyPair(list)
	f.Evidence = policyList(p, list)
	f.Remedies = append(f.Remedies, startDaemon())
	p.Report(f)
}
