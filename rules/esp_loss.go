package rules

import (
	"fmt"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
)

// ESPLoss tells of gaps in the sequence numbers.
var ESPLoss = &Rule{
	ID:       "esp-loss",
	Severity: Info,
	Title:    "ESP or AH packets are missing",
	Doc: Doc{
		Symptom: "The link works, with losses: slow transfers, stuttering speech, pings that are missing now and then.",
		Cause: "Packets were lost between the sender's IPsec and the place where this was recorded: on a link, in a queue that was full, by a firewall or a " +
			"limit. IPsec numbers its packets, so that each one that is missing shows.",
		Recognised: "Sequence numbers under an SPI, between the smallest and the largest seen, that no packet had, told for each second. Packets that come " +
			"late, within two seconds, are not missing. Where one sender uses an SPI towards several destinations, as routing protocols do with keys set by hand, they share " +
			"the numbers, and nothing is told. Nothing is told where the recording itself has lost frames. Where the recording shows a part of " +
			"the packets only, because it was sampled or they go by several links, that looks the same.",
		Remedy: "Record at both ends at once: what is missing at one and not at the other was lost between. Then look at the links and queues between " +
			"(ip -s link, tc -s qdisc), and at limits for ESP.",
		Sources: []string{"RFC 4303 section 2.2 (sequence number)", "RFC 4302 section 2.5.1 (sequence number of AH)"},
	},
	Check: checkLoss,
}

// lateBy is how late a packet may come and not be called missing: twice the
// interval in which packets are counted.
const lateBy = 2 * time.Second

func checkLoss(p *Pass) {
	if lossy(p) {
		return
	}
	var worst *analyze.FlowTotal
	missing := uint64(0)
	for _, f := range p.View.Flows {
		n := settled(f)
		if n < fewESP || f.Shared || p.Exceeded(f.Last, espNow) {
			continue
		}
		if worst == nil || n > missing {
			worst, missing = f, n
		}
	}
	if worst != nil {
		reportLoss(p, worst, missing)
	}
}

// lossy reports whether the recording itself lacks frames.
func lossy(p *Pass) bool {
	for _, l := range p.State.Losses {
		if l.At.Origin().Kernel() == p.Host.Origin && (strings.Contains(l.What, "frames") || strings.Contains(l.What, "packets")) {
			return true
		}
	}
	return false
}

// settled returns how many numbers are missing that will hardly come any more.
func settled(f *analyze.FlowTotal) uint64 {
	n := f.Missing
	for i := range f.Gaps {
		if !closed(f, &f.Gaps[i]) {
			n -= min(n, f.Gaps[i].Missing)
		}
	}
	return n
}

// closed reports whether a gap will hardly be filled: the flow has gone on, as far as
// it was counted, and what was late had time to come.
func closed(f *analyze.FlowTotal, g *analyze.Gap) bool { return f.Last.Mono-g.At.Mono >= lateBy }

func reportLoss(p *Pass, f *analyze.FlowTotal, missing uint64) {
	all := f.Packets + missing
	r := p.Finding()
	r.Confidence = Certain
	where := "between"
	switch {
	case !p.View.Local.IsValid():
	case p.View.Inbound(f):
		where = fmt.Sprintf("on the way to %s", f.Key.Dst)
	default:
		where = fmt.Sprintf("by %s itself, in a queue of its own", f.Key.Src)
	}
	r.Explanation = fmt.Sprintf("Of %s from %s to %s under %s, %d (%s) were not seen here: they were lost %s, or went another way.", plural(all, "packet"),
		f.Key.Src, f.Key.Dst, flowWords(f.Key), missing, share(missing, all), where)
	for i := range f.Gaps {
		if g := &f.Gaps[i]; closed(f, g) {
			r.Evidence = append(r.Evidence, Saw(g.At, "%s: %s missing in this second, %d seen", flowWords(f.Key), plural(g.Missing, "packet"), g.Packets))
		}
	}
	r.Remedies = lossRemedies(p, f)
	p.Report(r)
}

// lossRemedies find out where packets are lost: by a recording of both ends, or where
// there is one, at the links and queues.
func lossRemedies(p *Pass, f *analyze.FlowTotal) []remedy.Remedy {
	if p.bothRecorded() {
		return []remedy.Remedy{{
			Action: "look", Params: map[string]string{"local": f.Key.Src.String(), "peer": f.Key.Dst.String()},
			Title: "both ends were recorded, and the lines headed Between say what was lost between them; look for drops at the links and queues of both, " +
				"and of what lies between; run this on both",
			Command: "ip -s -s link",
		}}
	}
	return []remedy.Remedy{{
		Action: "watch-both", Params: map[string]string{"local": f.Key.Dst.String(), "peer": f.Key.Src.String()},
		Title:   "record at both ends at the same time, and analyse the two recordings together; run this on both",
		Command: "ipsecdiag watch any --for 60s -w it.pcapng",
	}}
}

// share renders a part in percent.
func share(part, all uint64) string {
	if percent := float64(part) / float64(max(all, 1)) * 100; percent < 10 {
		return fmt.Sprintf("%.1f %%", percent)
	}
	return fmt.Sprintf("%d %%", part*100/max(all, 1))
}
