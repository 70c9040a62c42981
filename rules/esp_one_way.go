package rules

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// ESPOneWay finds ESP that leaves and does not arrive, or is not answered.
var ESPOneWay = &Rule{
	ID:       "esp-one-way",
	Severity: Error,
	Title:    "ESP goes out, and none comes back",
	Doc:      espOneWayDoc,
	Check:    checkOneWay,
}

// Times and numbers of packets from which silence means something. A TCP connect
// is sent again after 1, 3, 7 and 15 s (RFC 6298: 1 s, doubling; Linux
// tcp_syn_retries 6): five packets that want an answer are a connect that has
// failed five times, or five pings. Where nothing tells that an answer is wanted,
// ten packets, and for information only.
const (
	oneWayAfter  = 10 * time.Second
	oneWayLeast  = 5
	oneWayIdlers = 10
	// otherWithin is how long before the flow something else of its sender may have
	// come and still show that the way there is open: an IKE SA that is quiet is
	// asked after by dead peer detection only, every 30 s or so where it is on.
	otherWithin = 5 * time.Minute
)

func checkOneWay(p *Pass) {
	switch lost, elsewhere := lostDirections(p); {
	case len(lost) > 0:
		reportLost(p, lost)
		return
	case elsewhere:
		return
	}
	for _, src := range []netip.Addr{p.View.Pair.Key.A, p.View.Pair.Key.B} {
		if reportSilence(p, src) {
			return
		}
	}
	if p.found {
		resolveOneWay(p)
	}
}

// resolveOneWay ends a finding when ESP goes both ways again.
func resolveOneWay(p *Pass) {
	for _, src := range []netip.Addr{p.View.Pair.Key.A, p.View.Pair.Key.B} {
		run, f := p.View.RunFrom(src), latestFrom(p, src)
		if run.Packets == 0 || f == nil {
			continue
		}
		if at, ok := run.Answered(f); ok && !p.Passed(at, oneWayAfter) && !p.reached(run.Last()+oneWayAfter) {
			p.ResolvePair(at, "ESP goes both ways")
		}
	}
}

// lostFlow is a flow that one observer saw leave and another did not see arrive.
type lostFlow struct {
	*analyze.FlowTotal
	packets      uint64 // while the other watched
	sent, missed *analyze.View
	certain      bool
}

// lostDirections compares what left one end with what arrived at the other, where
// both were recorded. Across NAT the two ends know different addresses, and what is
// lost belongs to the pair of its sender: elsewhere.
func lostDirections(p *Pass) (lost []lostFlow, elsewhere bool) {
	for _, o := range p.State.Counterparts(p.View) {
		if f, ok := lostBetween(p, p.View, o); ok {
			lost = append(lost, f)
		}
		f, ok := lostBetween(p, o, p.View)
		switch {
		case ok && o.Pair == p.View.Pair:
			lost = append(lost, f)
		case ok:
			elsewhere = true
		}
	}
	return lost, elsewhere
}

// lostBetween returns the latest flow that left the host of one view and did not
// arrive at that of the other, which was watching and got other packets from there.
func lostBetween(p *Pass, from, to *analyze.View) (lost lostFlow, ok bool) {
	for _, f := range from.Flows {
		n, until := sentWhile(p, f, to.Host)
		if n < oneWayLeast || !outbound(from, f) || until-f.First.Mono < oneWayAfter || p.reached(until+staleAfter/2+1) ||
			!to.Host.Captures(analyze.FlowMark(f.Key, 0).Class) || !to.Host.Watched(f.First.Mono, f.First.Mono+oneWayAfter) || !reached(to, f) || came(to, f) || !forLink(p, from, to, f) {
			continue
		}
		lost, ok = lostFlow{f, n, from, to, to.Host.KernelSeen && oneDevice(to.Host)}, true
	}
	return lost, ok
}

// sentWhile returns how many packets of a flow left while another host was still
// recorded, and when the last of them did.
func sentWhile(p *Pass, f *analyze.FlowTotal, to *analyze.Host) (n uint64, until time.Duration) {
	if end := p.State.NowAt(to).Mono; p.State.Over(to) && end < f.Last.Mono {
		return f.PacketsBetween(f.First.Mono-1, end), end
	}
	return f.Packets, f.Last.Mono
}

// forLink reports whether both ends are known to be of the same link: they belong
// together, or the receiver has an SA with the SPI, which IKE chose at random.
func forLink(p *Pass, from, to *analyze.View, f *analyze.FlowTotal) bool {
	if joined(p.State, from.Host, to.Host) {
		return true
	}
	sa := to.Host.DB.FindSA(f.Key.Dst, f.Key.Proto, f.Key.SPI)
	return sa != nil && to.Host.DB.Negotiated()[spd.EndsOf(sa)]
}

// outbound reports whether the observer itself sent the flow.
func outbound(v *analyze.View, f *analyze.FlowTotal) bool {
	if v.Local.IsValid() {
		return !v.Inbound(f)
	}
	return f.Direction == analyze.DirOut
}

// reached reports whether anything else of the sender arrived while the flow went,
// or IKE not long before: the way there was watched, and open.
func reached(to *analyze.View, f *analyze.FlowTotal) bool {
	s := otherSign(to, f)
	return !s.IsZero() && s.Mono >= f.First.Mono-otherWithin
}

// otherSign returns the latest of what came from the flow's sender that is none of
// it.
func otherSign(to *analyze.View, f *analyze.FlowTotal) analyze.Sighting {
	src := f.Key.Src
	if to.Peer.IsValid() {
		src = to.Peer // what NAT has made of it
	}
	last := to.LastUnicast(src)
	for _, sa := range to.IKE {
		if sa.BothSpoke() && last.Before(sa.Last) {
			last = sa.Last
		}
	}
	return last
}

// came reports whether packets of the flow came, by SPI: NAT changes addresses
// and ports.
func came(to *analyze.View, f *analyze.FlowTotal) bool {
	for _, o := range to.Flows {
		if o.Key.SPI == f.Key.SPI && o.Key.Proto == f.Key.Proto && o.Packets > 0 && !outbound(to, o) {
			return true
		}
	}
	return false
}

// oneDevice reports whether a host has addresses on one device only, beside lo: what
// comes to it comes by that one.
func oneDevice(h *analyze.Host) bool {
	devices := map[int]bool{}
	for _, a := range h.Addresses {
		if !a.Prefix.Addr().IsLoopback() {
			devices[a.IfIndex] = true
		}
	}
	return len(devices) == 1
}

func reportLost(p *Pass, lost []lostFlow) {
	f := p.Finding()
	f.Title, f.Confidence = "ESP is lost on the way", Certain
	var words []string
	for _, l := range lost {
		if !l.certain {
			f.Confidence = Likely
		}
		words = append(words, fmt.Sprintf("%s has sent %s to %s under %s, and not one has arrived there", l.Key.Src, plural(l.packets, "packet"), l.Key.Dst,
			flowWords(l.Key)))
		f.Evidence = append(f.Evidence, flowEvidence(l.FlowTotal)...)
		f.Evidence = append(f.Evidence, Saw(otherSign(l.missed, l.FlowTotal), "the latest that came here from %s, and no %s", l.Key.Src, flowWords(l.Key)))
	}
	what := carriedAs(lost[0].Key)
	f.Explanation = strings.Join(words, "; ") + fmt.Sprintf(". Something between the two, such as a firewall, drops %s", what)
	if len(lost) > 1 {
		f.Explanation += " in both directions."
	} else {
		f.Explanation += fmt.Sprintf(" from %s to %s.", lost[0].Key.Src, lost[0].Key.Dst)
	}
	f.Remedies = passESP(lost[0].Key)
	p.Report(f)
}

// reportSilence reports that one host sends and the other does not, seen from one
// place, and whether it did.
func reportSilence(p *Pass, src netip.Addr) bool {
	if p.receives() && src == p.View.Peer {
		return false // this host gets it, and what it thinks of it is known
	}
	run := p.View.RunFrom(src)
	if run.Packets < oneWayLeast || run.Lasted() < oneWayAfter || p.reached(run.Last()+espNow+1) {
		return false
	}
	f := latestFrom(p, src)
	if f == nil || f.Key.Dst.IsMulticast() || !p.heard(espTo(p, src), &run, f) {
		return false
	}
	refused := espRefused(p, f)
	wanted := wantedAnswer(p, f, &run)
	if refused == nil && wanted == "" && run.Packets < oneWayIdlers {
		return false
	}
	r := p.Finding()
	r.Confidence, r.Severity, r.Title = Likely, Info, "ESP goes one way only"
	r.Explanation = fmt.Sprintf("For %s %s has sent to %s under SAs (%s), and nothing has come back under one%s.", seconds(run.Lasted()), src, f.Key.Dst,
		plural(run.Packets, "packet"), sinceWords(f, &run))
	r.Evidence = append([]Evidence{Saw(run.First(f), "%s → %s, %s: nothing comes back from here on", src, f.Key.Dst, flowWords(f.Key))}, flowEvidence(f)[1])
	switch {
	case refused != nil:
		r.Severity, r.Title = Error, p.Rule.Title
		r.Explanation += fmt.Sprintf(" %s answers it with %s.", refused.From, refused.Kind)
		r.Evidence = append(r.Evidence, Saw(refused.First, "%s: %s, about ESP to %s", refused.From, refused.Kind, refused.Quoted.Dst))
	case wanted != "":
		r.Severity, r.Title = Error, p.Rule.Title
		r.Explanation += fmt.Sprintf(" The first of it was %s, which wants an answer. Either ESP is dropped on the way, in one direction or the other, or %s "+
			"drops what it receives; a recording there tells which.", wanted, f.Key.Dst)
	default:
		r.Explanation += " That may well be so: some traffic has no answer. If this traffic should have one, ESP is dropped on the way, or at the other end."
	}
	r.Remedies = []remedy.Remedy{watchOn(f.Key.Dst)}
	if r.Severity == Error {
		r.Remedies = append(r.Remedies, passESP(f.Key)...)
	}
	p.Report(r)
	return true
}

func sinceWords(f *analyze.FlowTotal, run *analyze.Run) string {
	at, ok := run.Answered(f)
	if !ok {
		return ""
	}
	return fmt.Sprintf(" since %s UTC", at.Time.UTC().Format("15:04:05"))
}

// heard reports whether anything at all came from the other host, IKE or an answer to
// ARP, while the run lasted or not long before: it is there, and what comes from it
// is recorded.
func (p *Pass) heard(other netip.Addr, run *analyze.Run, f *analyze.FlowTotal) bool {
	at := p.View.LastUnicast(other)
	return !at.IsZero() && run.First(f).Mono-at.Mono <= otherWithin
}

// espTo returns the other host of the pair.
func espTo(p *Pass, a netip.Addr) netip.Addr {
	if k := p.View.Pair.Key; a == k.A {
		return k.B
	}
	return p.View.Pair.Key.A
}

// latestFrom returns the flow of a host that was seen last.
func latestFrom(p *Pass, src netip.Addr) (latest *analyze.FlowTotal) {
	for _, f := range p.View.Flows {
		if f.Packets > 0 && f.Key.Src == src && (latest == nil || latest.Last.Before(f.Last)) {
			latest = f
		}
	}
	return latest
}

// espRefused returns an ICMP error that says that ESP is not let through or not
// understood.
func espRefused(p *Pass, f *analyze.FlowTotal) *analyze.ICMPError {
	for _, e := range p.View.Errors {
		if e.Quoted.Src != f.Key.Src || (e.Quoted.SPI == 0 && e.Quoted.Proto != f.Key.Proto) || p.Exceeded(e.Last, staleAfter) {
			continue
		}
		switch e.Kind {
		case analyze.ICMPProtocol, analyze.ICMPProhibited, analyze.ICMPPort, analyze.ICMPNoRoute, analyze.ICMPAddress:
			return e
		}
	}
	return nil
}

// wantedAnswer names the packet for which the SA was made, if its nature is to be
// answered, nothing has ever come back, and it was this host that sent it.
func wantedAnswer(p *Pass, f *analyze.FlowTotal, run *analyze.Run) string {
	n := p.View.Need
	if _, answered := run.Answered(f); n == nil || answered || n.Local != f.Key.Src || n.Satisfied.IsZero() {
		return ""
	}
	const echo4, echo6, dns = 8, 128, 53
	const probe = 1025 // to which ping of iputils connects, to learn its own address (ping4_run, ping6_run)
	switch q := n.Flow; {
	case q.Proto == spd.ProtoTCP:
		return fmt.Sprintf("TCP to port %d", q.DstPort)
	case q.Proto == spd.ProtoICMP && q.SrcPort == echo4, q.Proto == spd.ProtoICMPv6 && q.SrcPort == echo6:
		return "an echo request (ping)"
	case q.Proto == spd.ProtoUDP && q.DstPort == probe && p.pingProtected(n):
		return "that of a ping (it looks for its way by UDP to port 1025)"
	case q.Proto == spd.ProtoUDP && q.DstPort == dns:
		return "a DNS query"
	}
	return ""
}

// pingProtected reports whether a ping to the peer goes under an SA, and not past the
// policies.
func (p *Pass) pingProtected(n *analyze.Need) bool {
	f := spd.ICMPv6Flow(n.Local.WithZone(""), n.Peer.WithZone(""), 128)
	if n.Peer.Is4() {
		f.Proto, f.SrcPort = spd.ProtoICMP, 8
	}
	return p.Host.DB.Lookup(spd.Out, f).Decision == spd.Protect
}

// carriedAs names what a firewall must let pass.
func carriedAs(k analyze.FlowKey) string {
	switch {
	case inUDP(k):
		return "ESP in UDP port 4500"
	case k.Proto == spd.ProtoAH:
		return "protocol 51 (AH)"
	}
	return "protocol 50 (ESP)"
}

// passESP are the remedies for ESP that is dropped between.
func passESP(k analyze.FlowKey) []remedy.Remedy {
	family := "-4"
	if k.Dst.Is6() {
		family = "-6"
	}
	if inUDP(k) {
		return []remedy.Remedy{{
			Action: "pass-esp", Params: map[string]string{"local": k.Src.String(), "peer": k.Dst.String()},
			Title:   fmt.Sprintf("let %s pass on the firewalls between, in both directions; see how far such packets come, run this on %s", carriedAs(k), k.Src),
			Command: fmt.Sprintf("traceroute %s -U -p 4500 %s", family, k.Dst),
		}}
	}
	return []remedy.Remedy{{
		Action: "pass-esp", Params: map[string]string{"local": k.Src.String(), "peer": k.Dst.String()},
		Title: fmt.Sprintf("let %s pass on the firewalls between, in both directions, or have it put into UDP, which passes where IKE does (strongSwan: encap = "+
			"yes in the connection; libreswan: encapsulation=yes); see how far it comes, run this on %s", carriedAs(k), k.Src),
		Command: fmt.Sprintf("traceroute %s -P %d %s", family, k.Proto, k.Dst),
	}}
}
