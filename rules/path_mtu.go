package rules

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// PathMTU finds a path on which small packets of ESP pass and large ones vanish.
var PathMTU = &Rule{
	ID:       "path-mtu",
	Severity: Error,
	Title:    "large packets do not get through, small ones do",
	Doc: Doc{
		Symptom: "Ping and login work, and whatever sends much hangs: a file transfer, a web page, a long listing.",
		Cause: "ESP makes packets longer, by 30 to 80 bytes, and somewhere on the way a link takes only shorter ones. The router there drops " +
			"what does not fit and may not be cut, and says so to the sender (ICMP fragmentation needed, ICMPv6 packet too big). Where that " +
			"message is dropped too, by a firewall or by the sender itself, the sender goes on with the same size for ever.",
		Recognised: "Too-big messages about ESP, at least three over more than 5 s, while the sender goes on with packets that are too long: " +
			"certain on the sender's own host, likely in another's capture. Or from both ends at once: in at least three seconds the " +
			"sender has sent packets longer than any that arrived, while shorter ones arrived: certain. A sender that was told and " +
			"adapts is mentioned for information only. From one end without the router's message it is not told: large packets out " +
			"and small ones in are what every upload looks like.",
		Remedy: "Let ICMP type 3 code 4 and ICMPv6 type 2 pass, at routers and at both hosts. Until then tell the sender the path's MTU by a " +
			"route (ip route … mtu), or bound the segments of TCP (nft: tcp option maxseg size set).",
		Sources: []string{
			"RFC 1191 (path MTU discovery), RFC 8201 (for IPv6), RFC 4890 section 4.3.1 (ICMPv6 that must not be dropped)",
			"RFC 4301 section 8.2 (path MTU of SAs); RFC 2923 section 2.1 (black holes)",
			"Linux net/ipv4/esp4.c: esp4_err; net/ipv6/esp6.c: esp6_err; net/xfrm/xfrm_state.c: xfrm_state_mtu",
		},
	},
	Check: checkPathMTU,
}

// Times and numbers of path MTU discovery. A sender that heeds a too-big message
// does so at once; what was under way by then may give some more of them. Linux
// forgets what it learned after 10 minutes (net.ipv4.route.mtu_expires).
const (
	mtuRepeats = 3
	mtuPersist = 5 * time.Second
	mtuRecent  = 10 * time.Second
)

// mtuMargin is what lengths on two wires may differ by: tags and link headers.
const mtuMargin = 24

func checkPathMTU(p *Pass) {
	if e := tooBig(p.View); e != nil {
		judgeTooBig(p, e)
		return
	}
	for _, f := range p.View.Flows {
		if f.Direction == analyze.DirIn || f.Longest == 0 || p.Exceeded(f.Last, mtuRecent) {
			continue
		}
		o, g := received(p, f)
		if g == nil {
			continue
		}
		if g.Longest+mtuMargin >= f.Longest {
			p.ResolvePair(g.Last, "packets as long as those sent arrive")
			continue
		}
		if n, first, last := f.LongerThan(g.Longest+mtuMargin, max(f.First.Mono, g.First.Mono)); n >= mtuRepeats &&
			p.reached(last+counterPoll+1) && g.PacketsBetween(first, p.Now) >= mtuRepeats {
			reportVanishing(p, f, o, g, n)
			return
		}
	}
}

// tooBig returns what a router said last of a packet of ESP or AH that did not
// fit.
func tooBig(v *analyze.View) (last *analyze.ICMPError) {
	for _, e := range v.Errors {
		q := &e.Quoted
		protected := q.Proto == spd.ProtoESP || q.Proto == spd.ProtoAH || q.SPI != 0
		if e.Kind == analyze.ICMPTooBig && protected && e.MTU > 0 && (last == nil || last.Last.Before(e.Last)) {
			last = e
		}
	}
	return last
}

func judgeTooBig(p *Pass, e *analyze.ICMPError) {
	switch {
	case e.Count >= mtuRepeats && e.Last.Mono-e.First.Mono >= mtuPersist && e.Quoted.Length > int(e.MTU):
		if !p.Exceeded(e.Last, mtuRecent) {
			reportIgnored(p, e)
		}
	case p.Exceeded(e.Last, mtuRecent) && !p.found:
		reportAdapted(p, e)
	}
	if at := sentAfter(p.View, e); p.Exceeded(e.Last, mtuRecent) && !at.IsZero() {
		p.ResolvePair(at, "ESP goes on, and no router says any more that it is too long")
	}
}

// sentAfter returns when the sender of what was too big last sent, if that was
// long after it was told.
func sentAfter(v *analyze.View, e *analyze.ICMPError) (at analyze.Sighting) {
	for _, f := range v.Flows {
		if f.Key.Src == e.Quoted.Src && f.Last.Mono-e.Last.Mono > mtuRecent && at.Before(f.Last) {
			at = f.Last
		}
	}
	return at
}

func reportIgnored(p *Pass, e *analyze.ICMPError) {
	f := p.Finding()
	f.Confidence = Likely
	if p.Host.Owns(e.To) {
		f.Confidence = Certain
	}
	q := &e.Quoted
	f.Explanation = fmt.Sprintf("%s drops packets of %s from %s to %s that are longer than %d bytes, and has said so to %s %s over %s. The sender goes "+
		"on all the same, last with %d bytes: the message does not reach it behind this wire (a firewall drops it), or it does not heed it. "+
		"Shorter packets pass.", e.From, protoWords(q), q.Src, q.Dst, e.MTU, e.To, times(e.Count), seconds(e.Last.Mono-e.First.Mono), q.Length)
	f.Evidence = tooBigEvidence(e)
	f.Remedies = mtuRemedies(p, q.Src, q.Dst, int(e.MTU))
	p.Report(f)
}

func reportAdapted(p *Pass, e *analyze.ICMPError) {
	if sentAfter(p.View, e).IsZero() {
		return
	}
	f := p.Finding()
	f.Severity, f.Confidence, f.State = Info, Certain, Resolved
	f.Title = "the path takes shorter packets only, and the sender adapts"
	f.Explanation = fmt.Sprintf("%s has said to %s that packets to %s must not be longer than %d bytes, and the sender keeps to it.",
		e.From, e.To, e.Quoted.Dst, e.MTU)
	f.Evidence = tooBigEvidence(e)
	p.Report(f)
}

func tooBigEvidence(e *analyze.ICMPError) []Evidence {
	ev := []Evidence{Saw(e.First, "%s says to %s: %s, at most %d bytes; about %s of %d bytes to %s", e.From, e.To, e.Kind, e.MTU,
		protoWords(&e.Quoted), e.Quoted.Length, e.Quoted.Dst)}
	if e.Count > 1 {
		ev = append(ev, Saw(e.Last, "%s says so for the %s", e.From, ordinal(e.Count)))
	}
	return ev
}

// ordinal renders a number of times: "2nd time".
func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix + " time"
}

func protoWords(q *analyze.QuotedPacket) string {
	switch q.Proto {
	case spd.ProtoAH:
		return "AH"
	case spd.ProtoUDP:
		return "ESP in UDP"
	}
	return "ESP"
}

// received returns what another observer got of a flow, nil where there is none
// who tells of lengths.
func received(p *Pass, f *analyze.FlowTotal) (*analyze.Host, *analyze.FlowTotal) {
	for _, o := range p.views() {
		if o.Host == p.Host {
			continue
		}
		for _, g := range o.Flows {
			if g.Key == f.Key && g.Longest > 0 && g.Direction != analyze.DirOut && g.Direction != f.Direction {
				return o.Host, g
			}
		}
	}
	return nil, nil
}

func reportVanishing(p *Pass, f *analyze.FlowTotal, o *analyze.Host, g *analyze.FlowTotal, n int) {
	r := p.Finding()
	r.Confidence = Certain
	if f.Direction != analyze.DirOut {
		r.Confidence = Likely
	}
	r.Explanation = fmt.Sprintf("%s sends ESP of up to %d bytes to %s (SPI %#x, with the link layer), and of those longer than %d bytes none has arrived at "+
		"%s, while shorter ones do. Somewhere between the two a link takes no longer ones, and no router's message about it has come to "+
		"%s.", f.Key.Src, f.Longest, f.Key.Dst, f.Key.SPI, g.Longest, o.Origin, p.Host.Origin)
	r.Evidence = []Evidence{
		Saw(f.Last, "%s: %s sent under SPI %#x, the longest of %d bytes; longer than %d in %d of the last seconds", p.Host.Origin,
			plural(f.Packets, "packet"), f.Key.SPI, f.Longest, g.Longest, n),
		Saw(g.Last, "%s: %s arrived, the longest of %d bytes", o.Origin, plural(g.Packets, "packet"), g.Longest),
	}
	r.Remedies = mtuRemedies(p, f.Key.Src, f.Key.Dst, 0)
	p.Report(r)
}

// mtuRemedies name the messages that must pass, and a route for the time until
// they do. IPv6 asks every link for 1280 bytes (RFC 8200 section 5).
func mtuRemedies(p *Pass, src, dst netip.Addr, mtu int) []remedy.Remedy {
	match, value := "icmp type destination-unreachable icmp code frag-needed", strconv.Itoa(mtu)
	if dst.Is6() {
		match = "icmpv6 type packet-too-big"
	}
	if mtu == 0 {
		value = "1280"
	}
	out := []remedy.Remedy{{
		Action: "let-too-big-pass", Params: map[string]string{"host": src.String()},
		Title:   "let the messages about too long packets pass, on the way and on " + src.String() + " (table and chain are those of your firewall)",
		Command: "nft insert rule inet filter input " + match + " accept",
	}}
	if r, ok := p.Host.NextHop(dst); ok && p.Host.Owns(src) {
		to := netip.PrefixFrom(dst.WithZone(""), dst.BitLen()).String()
		if r.Gateway.IsValid() && !r.Gateway.IsUnspecified() {
			to += " via " + r.Gateway.String()
		}
		out = append(out, remedy.Remedy{
			Action: "route-mtu", Params: map[string]string{"peer": dst.String(), "mtu": value},
			Title:   "until then tell the kernel the path's MTU by a route",
			Command: fmt.Sprintf("ip route replace %s dev %s mtu %s", to, p.Host.InterfaceName(r.IfIndex), value),
		})
	}
	return out
}
