package rules

import (
	"fmt"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// PlaintextLeak finds traffic that is to be protected and leaves in the clear.
var PlaintextLeak = &Rule{
	ID:       "plaintext-leak",
	Severity: Error,
	Title:    "traffic that is to be protected leaves in the clear",
	Doc: Doc{
		Symptom: "Everything works, or one end complains of packets it will not take; and on the wire anybody can read what should be ESP.",
		Cause: "The policy that protected the traffic was removed, by hand or with its connection; or it is optional (level use), so that without " +
			"an SA the packet goes out as it is; or only the other direction has a policy; or NAT (masquerading) on the host gives the packet " +
			"another source on its way out, and no policy is for that.",
		Recognised: "While watch runs it looks on its interfaces for packets in the clear between hosts that policies are about: never " +
			"ESP, AH, IKE, neighbour discovery, what a bypass lets pass on purpose, what an interface shows that wraps it later (xfrm, vti, " +
			"gre …), or what a card encrypts. At least three of them over 2 s: an optional policy selects them and there is no SA " +
			"(certain); the policy for them was removed while it was watched (likely, certain where the inbound policy still wants the " +
			"answers protected or the other end's does); the inbound policy alone wants protection (likely, certain with the other " +
			"end's); the kernel's table of tracked connections tells that NAT changed what a policy selects into what none does (certain; " +
			"only where /proc/net/nf_conntrack can be read). On the receiving side: packets come in the clear that its policy wants protected, no ESP comes with them, and " +
			"XfrmInTmplMismatch rises. What was protected shows in the clear as well once it is decrypted: inbound packets beside ESP " +
			"are never told. At most 32 selectors are looked for, and of very much traffic a part. A capture file alone never tells.",
		Remedy: "Put the policy back, or have the daemon do it; make it required instead of optional; see that both directions have one; take what a policy protects " +
			"out of masquerading (nft: \"rt ipsec exists accept\" before it; iptables: -m policy --dir out --pol none on the rule). What " +
			"was in the clear must be held to be read: change passwords and keys that went over it.",
		Sources: []string{
			"RFC 4301 section 4.4.1 (PROTECT, BYPASS, DISCARD), section 5.1 (outbound), section 5.2 (inbound)",
			"Linux net/xfrm/xfrm_policy.c: xfrm_tmpl_resolve_one (optional templates), __xfrm_policy_check",
			"Linux net/netfilter/nf_nat_proto.c: nf_nat_ipv4_out (nf_xfrm_me_harder: the policy is looked for again after NAT); nft(8): rt ipsec",
			"setkey(8): level use",
		},
	},
	Check: checkPlaintextLeak,
}

// A daemon may replace a policy in two steps, and packets go between: leaks of
// less are not told.
const (
	leakPackets = 3
	leakTime    = 2 * time.Second
	leakRecent  = 5 * time.Second
)

func checkPlaintextLeak(p *Pass) {
	var worst *analyze.Leak
	for _, l := range p.View.Leaks {
		if l.Packets < leakPackets || l.Last.Mono-l.First.Mono < leakTime {
			continue
		}
		if l.Kind == analyze.LeakArrives && !arrivesClear(p, l) {
			continue
		}
		if !p.Exceeded(l.Last, leakRecent) && (worst == nil || worst.Kind == analyze.LeakArrives) {
			worst = l
		}
	}
	if worst != nil {
		reportLeak(p, worst)
		return
	}
	for _, l := range p.View.Leaks {
		if !p.Exceeded(l.Last, 2*leakRecent) {
			return
		}
	}
	if at := protectedSince(p); !at.IsZero() {
		p.ResolvePair(at, "what goes between the two is protected again")
	}
}

// arrivesClear reports whether packets that come in the clear did so on the wire:
// no ESP or AH came with them, and the kernel refuses them.
func arrivesClear(p *Pass, l *analyze.Leak) bool {
	for _, f := range p.View.Flows {
		if f.Key.Src == l.Key.Src && f.Last.Mono >= l.First.Mono-counterPoll {
			return false
		}
	}
	lost, _, _ := p.Host.Rise(analyze.XfrmInTmplMismatch, l.First.Mono-leakRecent)
	return lost >= leakPackets
}

// protectedSince returns when ESP or AH last went after the last packet in the
// clear.
func protectedSince(p *Pass) (at analyze.Sighting) {
	for _, l := range p.View.Leaks {
		if l.Kind == analyze.LeakArrives {
			continue
		}
		for _, f := range p.View.Flows {
			if f.Key.Src == l.Key.Src && f.Key.Dst == l.Key.Dst && l.Last.Before(f.Last) && at.Before(f.Last) {
				at = f.Last
			}
		}
	}
	return at
}

func reportLeak(p *Pass, l *analyze.Leak) {
	f := p.Finding()
	f.Confidence = Likely
	demands := peerDemands(p, l)
	inbound := p.Host.DB.Lookup(spd.In, reversed(flowOf(l)))
	switch {
	case l.Kind == analyze.LeakOptional, l.Kind == analyze.LeakArrives, l.Kind == analyze.LeakChanged, demands != nil:
		f.Confidence = Certain
	case l.Kind == analyze.LeakRemoved && inbound.Decision == spd.Protect:
		f.Confidence = Certain
	}
	f.Title, f.Explanation = leakWords(l)
	if demands != nil {
		f.Explanation += fmt.Sprintf(" %s wants them protected: %s.", demands.host.Origin, policyWords(demands.policy))
	}
	f.Evidence = leakEvidence(p, l)
	if inbound.Decision == spd.Protect && l.Kind != analyze.LeakArrives && len(inbound.Policies) > 0 {
		f.Evidence = append(f.Evidence, p.SawPolicy(inbound.Policies[0]))
	}
	f.Remedies = p.runHere(leakRemedies(p, l))
	p.Report(f)
}

// flowOf is the packet that a leak began with.
func flowOf(l *analyze.Leak) spd.Flow {
	k := &l.Key
	return spd.Flow{Src: k.Src, Dst: k.Dst, Proto: k.Proto, SrcPort: k.SrcPort, DstPort: k.DstPort}
}

// demand is an inbound policy of the other end that wants a leak's packets
// protected.
type demand struct {
	host   *analyze.Host
	policy *spd.Policy
}

func peerDemands(p *Pass, l *analyze.Leak) *demand {
	if l.Kind == analyze.LeakArrives {
		return nil
	}
	for _, v := range p.views() {
		if o := v.Host; o != p.Host && o.KernelSeen && o.Owns(l.Key.Dst) {
			if in := o.DB.Lookup(spd.In, flowOf(l)); in.Decision == spd.Protect && len(in.Policies) > 0 {
				return &demand{o, in.Policies[0]}
			}
		}
	}
	return nil
}

func leakWords(l *analyze.Leak) (title, explanation string) {
	what := fmt.Sprintf("packets of %s go in the clear (%s)", l.Key, plural(l.Packets, "packet"))
	switch l.Kind {
	case analyze.LeakOptional:
		return "an optional policy lets traffic out in the clear", capitalised(what) + fmt.Sprintf(": %s is optional (level use), and there is no "+
			"SA: then a packet goes as it is, and nobody notices.", policyWords(&l.Policy))
	case analyze.LeakRemoved:
		return "the policy was removed, and traffic leaves in the clear", capitalised(what) + fmt.Sprintf(": %s, which protected them, was removed, and no other "+
			"policy is for them.", policyWords(&l.Policy))
	case analyze.LeakInbound:
		return "traffic leaves in the clear that must come in protected", capitalised(what) + fmt.Sprintf(": no outbound policy is for them, though %s wants "+
			"the other direction protected.", policyWords(&l.Policy))
	}
	if l.Kind == analyze.LeakChanged {
		return "NAT changes packets, and they leave in the clear", capitalised(what) + fmt.Sprintf(": NAT on this host changes them on their way out. "+
			"They were %s, which %s wants protected; for what they have become there is no policy.", l.Was, policyWords(&l.Policy))
	}
	return "packets come in the clear that must be protected", fmt.Sprintf("Packets of %s come in the clear (%s), and no ESP comes with them: %s has sent them so. %s wants them "+
		"protected and drops them.", l.Key, plural(l.Packets, "packet"), l.Key.Src, capitalised(policyWords(&l.Policy)))
}

func leakEvidence(p *Pass, l *analyze.Leak) []Evidence {
	ev := []Evidence{
		Saw(l.First, "%s, in the clear, direction %s", l.Key, l.Direction),
		Saw(l.Last, "%s up to now", plural(l.Packets, "packet")),
	}
	switch l.Kind {
	case analyze.LeakRemoved:
		ev = append(ev, Saw(l.Removed, "removed: %s", &l.Policy))
	case analyze.LeakChanged:
		ev = append(ev, Saw(l.Last, "before NAT: %s (tracked connection)", l.Was), p.SawPolicy(&l.Policy))
	case analyze.LeakArrives:
		if lost, _, last := p.Host.Rise(analyze.XfrmInTmplMismatch, l.First.Mono-leakRecent); lost > 0 {
			ev = append(ev, Saw(last, "%s has risen by %d", analyze.XfrmInTmplMismatch, lost))
		}
		fallthrough
	default:
		ev = append(ev, p.SawPolicy(&l.Policy))
	}
	return ev
}

func leakRemedies(p *Pass, l *analyze.Leak) []remedy.Remedy {
	q := l.Policy
	switch l.Kind {
	case analyze.LeakOptional:
		q.Templates = append([]spd.Template(nil), q.Templates...)
		for i := range q.Templates {
			q.Templates[i].Optional = false
		}
		return []remedy.Remedy{policyRemedy(p.Host, "require", "let the policy require its SA; without one, packets are dropped then", remedy.ReplacePolicy, &q)}
	case analyze.LeakRemoved:
		return []remedy.Remedy{policyRemedy(p.Host, "add-policy", "put the policy back, if it was made by hand; else have its daemon bring the connection up", remedy.AddPolicy, &q)}
	case analyze.LeakInbound:
		c := q
		c.Direction, c.Selector = spd.Out, q.Selector.Reversed()
		c.Templates = append([]spd.Template(nil), q.Templates...)
		for i := range c.Templates {
			t := &c.Templates[i]
			t.Src, t.Dst, t.SPI = t.Dst, t.Src, 0
		}
		return []remedy.Remedy{policyRemedy(p.Host, "add-policy", "add the outbound policy, if no daemon is to do it", remedy.AddPolicy, &c)}
	}
	if l.Kind == analyze.LeakChanged {
		return []remedy.Remedy{{
			Action: "exempt-from-nat", Params: map[string]string{"host": l.Key.Src.String()},
			Title: "find the rule that changes them, and let what a policy protects pass before it: nft: \"rt ipsec exists accept\" in its chain; " +
				"iptables: -m policy --dir out --pol none on the rule itself",
			Command: "nft -a list ruleset",
		}}
	}
	return []remedy.Remedy{{
		Action: "watch", Params: map[string]string{"host": l.Key.Src.String()},
		Title:   fmt.Sprintf("see why it leaves in the clear; run this on %s", l.Key.Src),
		Command: fmt.Sprintf("ipsecdiag lookup %s %s", l.Key.Src, l.Key.Dst),
	}}
}
