package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// SAExpired finds SAs that ended with their hard lifetime, and nothing took
// their place though traffic wants it.
var SAExpired = &Rule{
	ID:       "sa-expired",
	Severity: Error,
	Title:    "an SA has expired and has no successor",
	Doc: Doc{
		Symptom: "The link worked, and from one moment on nothing passes any more, often after a round time such as an hour.",
		Cause: "An SA has a hard lifetime, at which the kernel deletes it. Before that, at the soft lifetime, the kernel asks the IKE daemon for a " +
			"successor. None comes where rekeying is switched off at both ends and the daemon does not make an expired SA anew (strongSwan does, " +
			"also with rekey_time = 0), where the daemon is gone, or where the SA was made by hand. The policy stays, and its packets are dropped for lack of an SA.",
		Recognised: "The kernel tells of the hard expiry, no usable SA between the two stands in its place, and a policy that " +
			"still wants it drops packets: XfrmOutNoStates rises, or the kernel asks for an SA. Where nobody listens for ACQUIREs that is " +
			"told at once, else after 30 s without any IKE message that would make an SA. On the receiving side: packets still come under " +
			"the SA that is gone, and XfrmInNoStates rises. Nothing is said of an idle link whose policy brings up an SA on " +
			"demand, nor where IKE is at work. It needs the kernel of that end.",
		Remedy: "Switch rekeying on at one end at least (strongSwan: leave out rekey_time = 0 in the child's section; libreswan: rekey = yes), see " +
			"that the daemon runs, and bring the connection up again. SAs made by hand: give them no lifetime, or replace them in time.",
		Sources: []string{
			"RFC 4301 section 4.4.2.1 (lifetime of an SA: soft and hard)",
			"RFC 7296 section 2.8 (rekeying)",
			"Linux net/xfrm/xfrm_state.c: xfrm_timer_handler, xfrm_state_check_expire, km_state_expired",
		},
	},
	Check: checkSAExpired,
}

func checkSAExpired(p *Pass) {
	if !p.Host.KernelSeen {
		return
	}
	for _, x := range slices.Backward(p.View.Expiries) {
		if x.Hard.IsZero() {
			continue
		}
		if o := successor(p.Host, &x.SA); o != nil {
			p.ResolvePair(nowAt(p, p.Host), "an SA stands in its place: %s", o)
			continue
		}
		if !p.Passed(x.Hard, counterPoll) || negotiating(p, x) {
			continue
		}
		if (p.Host.Owns(x.SA.Src) && expiredOut(p, x)) || (p.Host.Owns(x.SA.Dst) && expiredIn(p, x)) {
			return
		}
	}
}

// successor returns a usable SA that carries what s carried.
func successor(h *analyze.Host, s *spd.SA) *spd.SA {
	for i := range h.DB.SAs {
		if o := &h.DB.SAs[i]; o.Usable() && o.Src == s.Src && o.Dst == s.Dst && o.Proto == s.Proto && o.Mode == s.Mode {
			return o
		}
	}
	return nil
}

// negotiating reports whether IKE has tried to make an SA since one expired or
// was about to: if it fails, that is what is to be told. The longest pause of
// strongSwan's retransmission is 42 s.
func negotiating(p *Pass, x *analyze.Expiry) bool {
	for _, sa := range p.View.IKE {
		for i := range sa.Exchanges {
			e := &sa.Exchanges[i]
			last := max(e.Request.Last().Mono, e.Response.Last().Mono)
			if establishing(e.Type) && last > x.Hard.Mono-ikeWindow {
				return true
			}
		}
	}
	ends := spd.EndsOf(&x.SA)
	return slices.ContainsFunc(p.Host.DB.SAs, func(o spd.SA) bool { return o.Reserved() && spd.EndsOf(&o) == ends })
}

// unreplaced is for how long an SA must be missed until it counts as not replaced:
// where a daemon listens, as long as strongSwan gives an IKE SA that is half open;
// where nobody does, nobody is waited for.
func unreplaced(h *analyze.Host) time.Duration {
	if len(h.Daemons()) == 0 {
		return 0
	}
	return stallFailing
}

// expiredOut reports packets that the end of an outbound SA has left without
// one.
func expiredOut(p *Pass, x *analyze.Expiry) bool {
	q := wanting(p.Host, &x.SA)
	if q == nil {
		return false
	}
	lost, first, last := p.Host.Rise(analyze.XfrmOutNoStates, x.Hard.Mono)
	n := p.View.Need
	asked := n != nil && n.Open() && n.Since.Mono >= x.Hard.Mono
	wait := unreplaced(p.Host)
	if (lost == 0 || !p.Passed(first, wait)) && (!asked || !p.Passed(n.Since, wait)) {
		return false
	}
	f := p.Finding()
	f.Confidence = Likely
	if asked || onlyWanting(p.Host, q) {
		f.Confidence = Certain
	}
	f.Explanation = fmt.Sprintf("The SA from %s to %s (SPI %#x) ended with its hard lifetime%s, and nothing took its place. %s %s still wants "+
		"one, and its packets are dropped.", x.SA.Src, x.SA.Dst, x.SA.SPI, limitWords(x), whyNoSuccessor(p, x), capitalised(policyWords(q)))
	f.Evidence = append(expiryEvidence(x), p.SawPolicy(q))
	if lost > 0 {
		f.Evidence = append(f.Evidence, Saw(last, "XfrmOutNoStates has risen by %d since", lost))
	}
	if asked {
		f.Evidence = append(f.Evidence, needEvidence(p.Host, n)...)
	}
	f.Remedies = expiredRemedies(p, x)
	p.Report(f)
	return true
}

// wanting returns the outbound policy whose packets s carried and that lacks an
// SA now, nil where there is none.
func wanting(h *analyze.Host, s *spd.SA) *spd.Policy {
	q := h.PolicyFor(s.Src, s.Dst)
	if q == nil {
		return nil
	}
	f := sampleFlow(h, q)
	if s.Mode == spd.Transport {
		f.Src, f.Dst = s.Src, s.Dst
	}
	v := h.DB.Lookup(spd.Out, f)
	if n := v.MissingSA(); v.Decision != spd.Protect || n == nil || n.Policy != q {
		return nil
	}
	return q
}

// onlyWanting reports whether no other policy lacks an SA, so that what
// XfrmOutNoStates counts was for this one.
func onlyWanting(h *analyze.Host, q *spd.Policy) bool {
	all := unmetPolicies(h)
	return len(all) == 1 && all[0].policy == q
}

// expiredIn reports packets that still come under an inbound SA that has
// expired.
func expiredIn(p *Pass, x *analyze.Expiry) bool {
	for _, fl := range p.View.Flows {
		if fl.Key.SPI != x.SA.SPI || fl.Key.Dst != x.SA.Dst || fl.Direction == analyze.DirOut {
			continue
		}
		n := fl.PacketsBetween(x.Hard.Mono+time.Second, p.Now)
		lost, _, last := p.Host.Rise(xfrmInNoStates, x.Hard.Mono)
		if n < mismatchPackets || lost == 0 || fl.Last.Mono-x.Hard.Mono < unreplaced(p.Host) {
			continue
		}
		f := p.Finding()
		f.Confidence = Likely
		if lost+1 >= n {
			f.Confidence = Certain
		}
		f.Explanation = fmt.Sprintf("The SA from %s to %s (SPI %#x) ended with its hard lifetime%s on the receiving side, nothing took its place, and "+
			"%s still sends under it: its packets are dropped. %s", x.SA.Src, x.SA.Dst, x.SA.SPI, limitWords(x), x.SA.Src, whyNoSuccessor(p, x))
		f.Evidence = append(expiryEvidence(x),
			Saw(fl.Last, "%s under SPI %#x since", plural(n, "packet"), x.SA.SPI), Saw(last, "%s has risen by %d since", xfrmInNoStates, lost))
		f.Remedies = expiredRemedies(p, x)
		p.Report(f)
		return true
	}
	return false
}

// xfrmInNoStates counts packets for which there is no SA (xfrm_input).
const xfrmInNoStates = "XfrmInNoStates"

// limitWords says which limit was reached, where the SA's own numbers tell.
func limitWords(x *analyze.Expiry) string {
	l, u := &x.SA.Limits, &x.SA.Used
	switch {
	case l.HardBytes > 0 && u.Bytes >= l.HardBytes:
		return fmt.Sprintf(" of %d bytes", l.HardBytes)
	case l.HardPackets > 0 && u.Packets >= l.HardPackets:
		return fmt.Sprintf(" of %d packets", l.HardPackets)
	case l.HardAdd > 0:
		return fmt.Sprintf(" of %d s", l.HardAdd)
	case l.HardUse > 0:
		return fmt.Sprintf(" of %d s since its first use", l.HardUse)
	}
	return ""
}

// whyNoSuccessor says what is known of why nothing replaced the SA.
func whyNoSuccessor(p *Pass, x *analyze.Expiry) string {
	l := &x.SA.Limits
	var why []string
	switch {
	case !x.Soft.IsZero():
		why = append(why, fmt.Sprintf("at its soft lifetime, %s before, the kernel asked for a successor", seconds(x.Hard.Mono-x.Soft.Mono)))
	case l.SoftAdd == 0 && l.SoftUse == 0 && l.SoftBytes == 0 && l.SoftPackets == 0:
		why = append(why, "it had no soft lifetime, so that nobody was asked for a successor: rekeying is switched off")
	}
	if len(p.Host.Daemons()) == 0 {
		why = append(why, "no IKE daemon listens")
	}
	if len(why) == 0 {
		return "No IKE message that would make one was seen."
	}
	return capitalised(strings.Join(why, "; ")) + "."
}

func expiryEvidence(x *analyze.Expiry) []Evidence {
	var ev []Evidence
	if !x.Soft.IsZero() {
		ev = append(ev, Saw(x.Soft, "soft expiry of %s", &x.SA))
	}
	return append(ev, Saw(x.Hard, "hard expiry: the kernel deletes %s", &x.SA))
}

func expiredRemedies(p *Pass, x *analyze.Expiry) []remedy.Remedy {
	if len(p.Host.Daemons()) == 0 {
		return []remedy.Remedy{startDaemon(), {
			Action: "bring-up", Params: map[string]string{"local": x.SA.Src.String(), "peer": x.SA.Dst.String()},
			Title:   "or, where SAs are made by hand, make them anew, without a lifetime or with one that somebody looks after",
			Command: fmt.Sprintf("ipsecdiag fix bring-up --local %s --peer %s", p.own(x), p.other(x)),
		}}
	}
	return []remedy.Remedy{{
		Action: "rekey", Params: map[string]string{"local": x.SA.Src.String(), "peer": x.SA.Dst.String()},
		Title:   "let the daemon replace SAs in time: in swanctl.conf leave rekey_time = 0 out of the child's section (1h is the default; libreswan: rekey=yes), then load it and bring the connection up again",
		Command: "swanctl --load-all",
	}}
}

// own and other are the ends of an SA from this host's side.
func (p *Pass) own(x *analyze.Expiry) netip.Addr {
	if p.Host.Owns(x.SA.Src) {
		return x.SA.Src
	}
	return x.SA.Dst
}

func (p *Pass) other(x *analyze.Expiry) netip.Addr {
	if p.Host.Owns(x.SA.Src) {
		return x.SA.Dst
	}
	return x.SA.Src
}
