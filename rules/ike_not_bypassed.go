package rules

import (
	"fmt"
	"net/netip"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// IKENotBypassed finds IKE daemons whose own messages a policy catches.
var IKENotBypassed = &Rule{
	ID:       "ike-not-bypassed",
	Severity: Warning,
	Title:    "a policy catches the IKE daemon's own messages",
	Doc: Doc{
		Symptom: "An IKE daemon runs and says in its log that it sends requests, and none is on the wire; or the peer's requests come in and " +
			"are never answered.",
		Cause: "IKE makes the SAs, so that it must not need one itself. Daemons see to that with a policy of their own on each of their sockets " +
			"(setsockopt IP_XFRM_POLICY, IPV6_XFRM_POLICY), or with policies for UDP ports 500 and 4500. Without either a policy from host to " +
			"host catches IKE like everything else: the request needs an SA, which needs the request. ip xfrm policy flush removes such port " +
			"policies, and leaves those of sockets.",
		Recognised: "A daemon listens for ACQUIREs, no socket has a policy of its own in that direction and family, and a lookup for UDP port 500 " +
			"between the ends of a policy says protect, with no SA. Likely: the listener is taken for an IKE daemon by what it listens to.",
		Remedy: "Restart the daemon, which makes its bypass anew, or add bypasses for UDP ports 500 and 4500 in both directions at a better priority.",
		Sources: []string{
			"RFC 7296 section 2 (IKE over UDP 500 and 4500), RFC 4301 section 4.4.1 (IKE must be bypassed)",
			"Linux net/xfrm/xfrm_policy.c: xfrm_sk_policy_lookup; net/xfrm/xfrm_state.c: xfrm_user_policy",
			"strongswan.conf(5): charon.plugins.kernel-netlink.port_bypass",
		},
	},
	Needs: []string{analyze.PartPolicies, analyze.PartSAs, analyze.PartListeners, analyze.PartSockets},
	Audit: checkIKENotBypassed,
}

const ikePort = 500

func checkIKENotBypassed(p *Pass) {
	h := p.Host
	if len(h.Daemons()) == 0 {
		return
	}
	exempt := map[socketSide]bool{}
	for i := range h.DB.Policies {
		if q := &h.DB.Policies[i]; q.Socket {
			exempt[socketSide{q.Direction, q.Selector.Family}] = true
		}
	}
	seen := map[analyze.PairKey]bool{}
	for i := range h.DB.Policies {
		q := &h.DB.Policies[i]
		if q.Socket || q.Direction != spd.Out || !q.Requires() {
			continue
		}
		local, peer := ikeEnds(h, q)
		k := analyze.MakePairKey(local, peer)
		if seen[k] {
			continue
		}
		seen[k] = true
		reportCaughtIKE(p, q, exempt)
	}
}

type socketSide struct {
	dir    spd.Direction
	family spd.Family
}

// ikeEnds returns the addresses between which IKE for a policy is spoken; of one
// for networks, those of some hosts in them.
func ikeEnds(h *analyze.Host, q *spd.Policy) (local, peer netip.Addr) {
	if a, b, ok := policyEnds(q); ok {
		return a, b
	}
	f := sampleFlow(h, q)
	return f.Src, f.Dst
}

// reportCaughtIKE looks at both directions of IKE between the hosts that a policy
// is for.
func reportCaughtIKE(p *Pass, q *spd.Policy, exempt map[socketSide]bool) {
	local, peer := ikeEnds(p.Host, q)
	out := spd.Flow{Src: local, Dst: peer, Proto: spd.ProtoUDP, SrcPort: ikePort, DstPort: ikePort}
	family := spd.IPv6
	if local.Is4() {
		family = spd.IPv4
	}
	var by []*spd.Policy
	words := ""
	for _, c := range []struct {
		dir  spd.Direction
		flow spd.Flow
		what string
	}{{spd.Out, out, "what it sends is dropped"}, {spd.In, reversed(out), "what it is sent is dropped"}} {
		v := p.Host.DB.Lookup(c.dir, c.flow)
		if exempt[socketSide{c.dir, family}] || exempt[socketSide{c.dir, spd.Unspecified}] || v.Decision != spd.Protect || v.MissingSA() == nil {
			continue
		}
		by = append(by, v.MissingSA().Policy)
		if words != "" {
			words += ", and "
		}
		words += c.what
	}
	if len(by) == 0 {
		return
	}
	f, catch := p.PairFinding(local, peer), fmt.Sprintf("policies from %s to %s catch", local, peer)
	if _, _, named := policyEnds(q); !named {
		f, catch = p.PolicyFinding(q), holderWords(q)+" catches"
	}
	f.Explanation = fmt.Sprintf("%s runs on this host, its sockets have no policy of their own, and %s UDP port %d: "+
		"%s, because the SA that it needs is the one that it is to make.", daemonWords(p.Host), catch, ikePort, words)
	f.Evidence = policyList(p, by)
	f.Remedies = []remedy.Remedy{{
		Action: "restart-daemon", Params: map[string]string{},
		Title:   "restart the IKE daemon, which makes its bypass anew (strongSwan; for libreswan the unit is ipsec)",
		Command: "systemctl restart strongswan",
	}}
	p.Report(f)
}
