package rules

import (
	"fmt"
	"net/netip"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// checkStarved finds packets that die for lack of an SA while no ACQUIRE tells
// for whom: usually nobody listens for ACQUIREs.
func checkStarved(p *Pass) {
	s := p.Host.Starved
	defer p.ResolveOthers(Saw(nowAt(p, p.Host), "a daemon is asked for the SAs now, or no policy lacks one any more"))
	if s == nil || s.Total == 0 {
		return
	}
	wait := stallNoIKE
	if len(p.Host.Daemons()) == 0 {
		wait = stallNoListener
	}
	if !p.Passed(s.Since, wait) {
		return
	}
	reportStarved(p, s)
}

// starvedSubject is the pair where only one policy can be meant, else the host.
func starvedSubject(p *Pass, s *analyze.Starvation) (subject string, pair []netip.Addr) {
	if s.Total != 1 {
		return p.HostSubject(), []netip.Addr{}
	}
	a, b, ok := policyEnds(&s.Policies[0])
	if !ok {
		return p.HostSubject(), []netip.Addr{}
	}
	k := analyze.MakePairKey(a, b)
	return k.String(), []netip.Addr{k.A, k.B}
}

// policyEnds returns the two hosts that a policy wants an SA between, or lets
// speak without one, where it names them.
func policyEnds(p *spd.Policy) (local, peer netip.Addr, ok bool) {
	if len(p.Templates) > 0 {
		if t := p.Templates[0]; t.Mode == spd.Tunnel && t.Src.IsValid() && t.Dst.IsValid() && !t.Dst.IsUnspecified() {
			return t.Src, t.Dst, true
		}
	}
	s := p.Selector
	return s.Src.Addr(), s.Dst.Addr(), s.Src.IsSingleIP() && s.Dst.IsSingleIP()
}

func reportStarved(p *Pass, s *analyze.Starvation) {
	f := p.Finding()
	f.Subject, f.Pair = starvedSubject(p, s)
	f.Confidence = Certain
	f.Explanation = fmt.Sprintf("For %s, packets have been lost because a policy wants an SA and there is none: %s. %s",
		seconds(p.Since(s.Since)), starvedWords(p.Host), applicationWords(p.Host, s.Lost))
	f.Evidence = []Evidence{Saw(s.Last, "XfrmOutNoStates has risen by %d since this was first seen", s.Lost)}
	for i := range s.Policies {
		f.Evidence = append(f.Evidence, Saw(s.Since, "no SA for %s", &s.Policies[i]))
	}
	if s.Total > len(s.Policies) {
		f.Evidence = append(f.Evidence, Saw(s.Since, "and for %d policies more", s.Total-len(s.Policies)))
	}
	if len(p.Host.Daemons()) == 0 {
		f.Remedies = append(f.Remedies, startDaemon())
	}
	p.Report(f)
}

func starvedWords(h *analyze.Host) string {
	if len(h.Daemons()) == 0 {
		return "no IKE daemon listens for ACQUIREs, so that nobody can bring one up"
	}
	return fmt.Sprintf("%s listens for ACQUIREs, and no ACQUIRE was seen", daemonWords(h))
}
