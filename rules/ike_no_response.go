package rules

import (
	"fmt"
	"net/netip"
	"slices"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
)

// IKENoResponse finds IKE requests that are sent again and again and not answered.
var IKENoResponse = &Rule{
	ID:       "ike-no-response",
	Severity: Error,
	Title:    "IKE requests are not answered",
	Doc: Doc{
		Symptom: "The link does not come up: the daemon's log says that it sends a request again, and in the end that it gives up. Or a link " +
			"that worked is dead, and dead peer detection says so.",
		Cause: "The requests do not arrive, or nobody takes them, or the answers do not come back: no IKE daemon runs at the peer, a firewall " +
			"drops UDP port 500 at the peer or on the way, the address is another's, or the way back is another and closed. A tap on the peer " +
			"shows a request also where the peer's own firewall drops it: it comes before the firewall.",
		Recognised: "A request that was sent at least three times over 10 s (strongSwan sends again after 4, 11.2, 24 s, libreswan after 0.5, " +
			"1.5, 3.5 s), and nothing from the other side since; of dead peer detection (INFORMATIONAL) four times over 20 s. Or a request that " +
			"is answered each time, and sent again all the same: the answers are lost. Certain where an ICMP error refuses the request, where " +
			"the peer's kernel is seen and no IKE daemon listens there, or where both ends were observed; from one end alone it is likely, since " +
			"it does not show what becomes of the requests. Not claimed where who is asked looks for the asker's link-layer address in vain, and so " +
			"cannot answer. For information where somebody asks a host that has no policy for it, and where all that was seen of an IKE SA " +
			"is that it is asked after in vain, while ESP is answered or none is sent: another may have taken its place.",
		Remedy: "Run ipsecdiag watch on the peer: it shows whether the requests arrive. Port unreachable: start the IKE daemon there. " +
			"Prohibited: the host that says so has a firewall in the way. Nothing at all: let UDP ports 500 and 4500 pass at the peer and on " +
			"the way, in both directions.",
		Sources: []string{
			"RFC 7296 section 2.1 (retransmission), section 2.4 (a peer that is dead), RFC 2408 section 5.1",
			"RFC 4443 section 3.1, RFC 792, RFC 1812 section 5.2.7.1 (destination unreachable)",
			"strongswan.conf(5): charon.retransmit_tries, retransmit_timeout, retransmit_base; libreswan ipsec.conf(5): retransmit-interval",
		},
	},
	Check: checkIKENoResponse,
}

// kindLater is the kind of finding that a peer that has lost its SAs explains: what is
// not answered comes after the IKE SA stood.
const kindLater = "later exchange"

func checkIKENoResponse(p *Pass) { checkSilence(p, silencePlain, 0, reportIKENoResponse) }

func reportIKENoResponse(p *Pass, s *silence) {
	if cannotAnswer(p, s) {
		return
	}
	f := p.Finding()
	f.Confidence = Likely
	why, certain := s.why(p)
	if certain {
		f.Confidence = Certain
	}
	if uninvited(p, s) || leftOver(p, s) {
		f.Severity = Info
	}
	if !establishing(s.x.Type) {
		f.kind = kindLater
	}
	f.Explanation = fmt.Sprintf("%s %s", s.askingWords(p), why)
	f.Evidence = s.evidence(p)
	f.Remedies = s.remedies(p)
	p.Report(f)
}

// leftOver reports whether the request may belong to an IKE SA that another has taken
// the place of: nothing was seen of its life, and ESP is answered, or none is sent that
// would have to be. A peer that has restarted has forgotten it (RFC 7296 section 2.4).
func leftOver(p *Pass, s *silence) bool {
	if establishing(s.x.Type) || slices.ContainsFunc(s.sa.Exchanges, func(x analyze.IKEExchange) bool { return x.Response.Seen() }) {
		return false
	}
	since := func(src netip.Addr) bool {
		return slices.ContainsFunc(p.View.Flows, func(f *analyze.FlowTotal) bool {
			return f.Key.Src == src && s.x.Request.First().Before(f.Last)
		})
	}
	return since(s.to) || !since(s.from)
}

// cannotAnswer reports whether who is asked looks for the asker's link-layer address
// in vain, so that no answer can be sent: the rules on neighbour discovery tell that.
func cannotAnswer(p *Pass, s *silence) bool {
	r := p.View.Resolution(s.to, s.from)
	return r != nil && r.Open() && !s.unheard && p.View.LastUnicast(s.to).Before(r.First)
}

// askingWords say what is asked, how often, and how it came to be.
func (s *silence) askingWords(p *Pass) string {
	x := s.x
	words := fmt.Sprintf("%s has sent %s to %s %s in %s", s.from, messageWords(x), s.to, times(int(x.Request.Count)), seconds(sightingGap(x.Request.First(), x.Request.Last())))
	switch {
	case s.unheard:
		return words + fmt.Sprintf(", and %s has answered each time: the answers do not arrive.", s.to)
	case !establishing(x.Type):
		return words + ": dead peer detection, or the end of the SA, and no answer was seen. The link was up before."
	case s.earlier() != nil:
		return words + fmt.Sprintf(", and no answer was seen, though %s was answered before.", messageWords(s.earlier()))
	}
	return words + ", and no answer was seen."
}

// why says what is known of the reason, and whether that is certain.
func (s *silence) why(p *Pass) (words string, certain bool) {
	if e := s.refusal(p.View); e != nil {
		return refusalWords(s, e), true
	}
	if words, certain := s.bothEnds(p); words != "" {
		return words, certain
	}
	if s.unheard {
		return fmt.Sprintf("They are lost on the way back to %s, or dropped there, by a firewall for instance.", s.from), false
	}
	if p.Host.KernelSeen && p.Host.Owns(s.to) {
		return s.askedHere(p)
	}
	if !establishing(s.x.Type) {
		return fmt.Sprintf("Whether the requests do not arrive, %s does not take them or has restarted and does not know the IKE SA any more, or its "+
			"answers are lost cannot be told from here.", s.to), false
	}
	return fmt.Sprintf("Whether the requests do not arrive, %s does not take them, or its answers are lost cannot be told from here.", s.to), false
}

// refusalWords say who refuses the requests by ICMP.
func refusalWords(s *silence, e *analyze.ICMPError) string {
	port := e.Quoted.DstPort
	switch e.Kind {
	case analyze.ICMPPort:
		if e.From == s.to {
			return fmt.Sprintf("%s says that its UDP port %d is unreachable: no IKE daemon listens there, or its firewall rejects the request in these words.", s.to, port)
		}
		return fmt.Sprintf("%s, on the way, rejects the requests as if UDP port %d of %s were unreachable: a firewall.", e.From, port, s.to)
	case analyze.ICMPProhibited:
		return fmt.Sprintf("%s says that this is administratively prohibited: its firewall does not let UDP port %d pass.", e.From, port)
	case analyze.ICMPNoRoute:
		return fmt.Sprintf("%s says that it has no route to %s.", e.From, s.to)
	case analyze.ICMPAddress:
		return fmt.Sprintf("%s says that %s cannot be reached: nobody answers for that address on its link.", e.From, s.to)
	case analyze.ICMPTimeExceeded:
		return fmt.Sprintf("%s says that the hop limit was reached: a routing loop, most likely.", e.From)
	}
	return fmt.Sprintf("%s says: %s.", e.From, e.Kind)
}

// askedHere is what the host that is asked knows of itself: the tap shows what
// comes in before a firewall sees it.
func (s *silence) askedHere(p *Pass) (words string, certain bool) {
	h := p.Host
	if len(h.Daemons()) == 0 && !h.Lacks(analyze.PartListeners) {
		return fmt.Sprintf("They reach %s, and no IKE daemon runs there: nobody listens for ACQUIREs, and nothing is answered.", h.Origin), true
	}
	if !establishing(s.x.Type) {
		return fmt.Sprintf("They reach %s, where %s runs, and nothing is answered: it may have restarted, and not know that IKE SA any more. Or this host's "+
			"own firewall, behind the tap, drops UDP port %d.", h.Origin, daemonWords(h), s.x.Request.DstPort), false
	}
	return fmt.Sprintf("They reach %s, where %s runs, and nothing is answered. What the tap shows has not passed this host's own firewall yet: that it "+
		"drops UDP port %d is the first thing to look at, then what the daemon's log says.", h.Origin, daemonWords(h), s.x.Request.DstPort), false
}

// bothEnds compares with what the other end's observer saw; "" where there is
// none, or nothing follows.
func (s *silence) bothEnds(p *Pass) (words string, certain bool) {
	far, ok := s.farEnd(p)
	switch {
	case !ok:
		return "", false
	case far.x == nil:
		if !joined(p.State, p.Host, far.host) {
			return fmt.Sprintf("%s has that address and has seen none of these requests: if it was recorded on the same link, which no packet "+
				"that both saw shows, they are lost on the way.", far.host.Origin), false
		}
		return fmt.Sprintf("On the interfaces that are watched on %s none of these requests was seen: they are lost on the way.", far.host.Origin),
			far.began || p.lostOnTheWay(far.host, analyze.MarkIKE, uint64(s.sa.InitiatorSPI), silentSent)
	case far.x.Response.Seen() && !s.x.Response.Seen():
		return fmt.Sprintf("%s got the requests and has answered: the answers are lost on the way back.", far.host.Origin), true
	case s.unheard && !far.x.Response.Seen():
		return fmt.Sprintf("%s has seen none of the answers: they are lost on the way back.", far.host.Origin), true
	case !s.unheard && far.host.Owns(s.to) && !far.x.Response.Seen():
		words, _ := s.askedHere(&Pass{Host: far.host})
		return words, true
	}
	return "", false
}

// uninvited reports whether it is this host that is asked, and nothing on it is
// for IPsec with who asks: a scan, or somebody's old configuration.
func uninvited(p *Pass, s *silence) bool {
	h := p.Host
	return h.KernelSeen && h.Owns(s.to) && len(h.Daemons()) == 0 && h.PolicyFor(s.to, s.from) == nil
}

// evidence is the exchange and what bears on it.
func (s *silence) evidence(p *Pass) []Evidence {
	m := &s.x.Request
	ports := ""
	if m.DstPort != ikePort || m.SrcPort != ikePort {
		ports = fmt.Sprintf(" from UDP port %d to %d", m.SrcPort, m.DstPort)
	}
	var ev []Evidence
	if e := s.earlier(); e != nil {
		ev = append(ev, Saw(e.Response.First(), "%s answers %s on UDP port %d", s.answerer(e), messageWords(e), e.Response.SrcPort))
	}
	if m.Count > 0 {
		ev = append(ev, Saw(m.First(), "%s sends %s to %s%s (SPI %s)", s.from, messageWords(s.x), s.to, ports, s.sa.InitiatorSPI))
	}
	if m.Count > 1 {
		ev = append(ev, Saw(m.Last(), "%s has sent it again %s", s.from, times(int(m.Count)-1)))
	}
	if r := &s.x.Response; r.Count > 0 {
		ev = append(ev, Saw(r.Last(), "%s has answered it %s", s.to, times(int(r.Count))))
	}
	for _, e := range s.refusals(p.View) {
		ev = append(ev, Saw(e.Last, "%s says %s to %s, %s", e.From, errorWords(e), e.To, times(e.Count)))
	}
	return ev
}

// answerer is the end that answered an exchange.
func (s *silence) answerer(x *analyze.IKEExchange) netip.Addr {
	_, to := s.sa.Asker(x)
	return to
}

// errorWords name an ICMP error.
func errorWords(e *analyze.ICMPError) string {
	proto := "ICMP"
	if e.From.Is6() {
		proto = "ICMPv6"
	}
	return fmt.Sprintf("%s %s (type %d code %d)", proto, e.Kind, e.Type, e.Code)
}

// remedies are what to look at next, and where.
func (s *silence) remedies(p *Pass) []remedy.Remedy {
	here := p.Host.KernelSeen && p.Host.Owns(s.to)
	e := s.refusal(p.View)
	switch {
	case e != nil && e.Kind == analyze.ICMPPort && e.From == s.to, here && len(p.Host.Daemons()) == 0:
		r := startDaemon()
		r.Params = map[string]string{"host": s.to.String()}
		r.Title = fmt.Sprintf("start the IKE daemon on %s (strongSwan; for libreswan the unit is ipsec); run this there", s.to)
		return []remedy.Remedy{r}
	case e != nil && (e.Kind == analyze.ICMPNoRoute || e.Kind == analyze.ICMPAddress || e.Kind == analyze.ICMPTimeExceeded):
		return []remedy.Remedy{{
			Action: "look", Params: map[string]string{"host": e.From.String()},
			Title:   fmt.Sprintf("look at the route; run this on %s", e.From),
			Command: "ip route get " + s.to.WithZone("").String(),
		}}
	case e != nil:
		return []remedy.Remedy{lookAtFirewall(e.From)}
	case s.unheard && p.bothRecorded():
		return []remedy.Remedy{lookAtFirewall(s.from)}
	case s.unheard:
		return []remedy.Remedy{watchOn(s.from), lookAtFirewall(s.from)}
	case here, s.arrived(p):
		return []remedy.Remedy{lookAtFirewall(s.to)}
	}
	switch far, ok := s.farEnd(p); {
	case ok && far.x == nil && joined(p.State, p.Host, far.host):
		return []remedy.Remedy{s.traceWay()}
	case ok && far.x != nil && far.x.Response.Seen():
		return []remedy.Remedy{lookAtFirewall(s.from)}
	}
	return []remedy.Remedy{watchOn(s.to)}
}

// traceWay finds where requests are lost that never came to the other end.
func (s *silence) traceWay() remedy.Remedy {
	family := "-4"
	if s.to.Is6() {
		family = "-6"
	}
	port := s.x.Request.DstPort
	return remedy.Remedy{
		Action: "trace", Params: map[string]string{"local": s.from.String(), "peer": s.to.String()},
		Title: fmt.Sprintf("let UDP port %d pass at every firewall between the two, for the requests do not come to %s; see how far such packets come, "+
			"run this on %s", port, s.to, s.from),
		Command: fmt.Sprintf("traceroute %s -U -p %d %s", family, port, s.to.WithZone("")),
	}
}

func lookAtFirewall(host netip.Addr) remedy.Remedy {
	return remedy.Remedy{
		Action: "look", Params: map[string]string{"host": host.String()},
		Title:   fmt.Sprintf("see whether the firewall lets UDP ports 500 and 4500 and ESP pass; run this on %s", host),
		Command: "nft list ruleset",
	}
}
