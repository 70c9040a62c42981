package rules

import (
	"fmt"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
)

// ESPReplay finds packets that the receiver's replay check drops although they are
// no replays.
var ESPReplay = &Rule{
	ID:       "esp-replay",
	Severity: Error,
	Title:    "packets are taken for replays and dropped",
	Doc: Doc{
		Symptom: "After a restart of one end nothing goes through for a while, and then it goes again by itself; or throughput is poor, with losses " +
			"that no link shows.",
		Cause: "A receiver remembers the newest sequence number of an SA and a window below it, and drops what is older or was there. Keys set by " +
			"hand outlive a restart of the sender, which then counts from 1 again: all is dropped until it has passed the old number. Or the " +
			"network lets packets overtake others by more than the window (32 packets by default in Linux daemons): several links or queues, " +
			"or a sender with several processors.",
		Recognised: "Certain on the receiver's side: the SA's own counters (ip -s xfrm state: replay-window, replay) rise with XfrmInStateSeqError, and " +
			"the wire shows numbers that began again, or late ones, 10 packets and 1 % or more of the SA's. Fewer are told for " +
			"information; packets that come twice are rightly dropped and not told. From the wire alone, where numbers begin again under an SPI, it is " +
			"likely if the answers end with it, else for information: not every SA has a replay window.",
		Remedy: "After a restart give both ends new keys and SPIs (ipsecdiag fix manual-sa), or use IKE, which does. Against reordering enlarge the window at " +
			"the receiver (strongSwan: replay_window = 1024 in the child; libreswan: replay-window=1024; ip xfrm: flag esn replay-window 1024).",
		Sources: []string{
			"RFC 4303 section 3.4.3 (sequence number verification), section 2.2 (manual keys)",
			"Linux net/xfrm/xfrm_replay.c: xfrm_replay_check (XfrmInStateSeqError, stats.replay_window, stats.replay)",
			"swanctl.conf(5): replay_window; ipsec.conf(5): replay-window",
		},
	},
	Check: checkReplay,
}

// Bounds from which late packets are a fault: TCP's throughput suffers from 1 % of
// loss on (RFC 3649 section 1, Mathis et al. 1997), and some late packets are
// normal where links are bundled (RFC 4737 section 1).
const (
	manyLate  = 10
	shareLate = 100
)

// refusedLasts is for how long an SA must refuse packets: SAs and packets are counted
// each second, and not at the same moment, and one burst is no fault.
const refusedLasts = 3 * time.Second

func checkReplay(p *Pass) {
	if !p.receives() || !p.dropping(analyze.XfrmInStateSeqError) {
		checkRestartOnWire(p)
		return
	}
	for f := range p.inbound() {
		if f.sa == nil {
			continue
		}
		r := p.Host.Refusals(f.sa)
		if r == nil {
			continue
		}
		refused := uint64(r.Refused.ReplayWindow) + uint64(r.Refused.Replay)
		switch {
		case refused < fewESP:
		case p.Exceeded(r.Last, espNow):
			if p.found && r.PassedSince > 0 {
				p.ResolvePair(f.Last, "packets under %s pass", flowWords(f.Key))
			}
		case f.Behind() && r.Last.Mono >= f.Restart.At.Mono:
			reportReplay(p, f, r, Error, restartWords(f, refused))
			return
		case r.Last.Mono-r.First.Mono < refusedLasts:
		case r.PassedSince == 0 && f.sa.Replay.InSeq > uint64(f.MaxSeq)+uint64(f.sa.Replay.Window):
			reportReplay(p, f, r, Error, behindWords(f, refused))
			return
		case uint64(r.Refused.ReplayWindow) < manyLate || f.Twice() >= refused/2:
		default:
			severity := Error
			if uint64(r.Refused.ReplayWindow)*shareLate < r.Passed+refused {
				severity = Info
			}
			reportReplay(p, f, r, severity, lateWords(f, r))
			return
		}
	}
	checkRestartOnWire(p)
}

func restartWords(f inboundFlow, refused uint64) string {
	words := fmt.Sprintf("The sequence numbers of %s to %s under %s began again, at %d after %d: its SA was made anew with the same SPI and keys, as after a restart with "+
		"manual keys. %s takes all of it for a replay (window %d) and has dropped %s.",
		f.Key.Src, f.Key.Dst, flowWords(f.Key), f.Restart.From, f.Restart.After, f.Key.Dst, f.sa.Replay.Window, plural(refused, "packet"))
	return words + " It goes on so until the numbers have passed the old ones; and whatever is recorded under such keys can be replayed by anybody."
}

func behindWords(f inboundFlow, refused uint64) string {
	return fmt.Sprintf("What %s sends to %s under %s has sequence numbers up to %d, and %s has seen %d: it takes all of it for a replay (window %d) and has "+
		"dropped %s. The sender's SA was probably made anew with the same SPI and keys.",
		f.Key.Src, f.Key.Dst, flowWords(f.Key), f.MaxSeq, f.Key.Dst, f.sa.Replay.InSeq, f.sa.Replay.Window, plural(refused, "packet"))
}

func lateWords(f inboundFlow, r *analyze.SARefusals) string {
	late := uint64(r.Refused.ReplayWindow)
	return fmt.Sprintf("Packets from %s to %s under %s overtake each other on the way by more than the replay window of %d packets: %s of %s came too late and "+
		"were dropped.", f.Key.Src, f.Key.Dst, flowWords(f.Key), f.sa.Replay.Window, count(late), plural(r.Passed+late, "packet"))
}

func reportReplay(p *Pass, f inboundFlow, r *analyze.SARefusals, severity Severity, words string) {
	rep := p.Finding()
	rep.Confidence, rep.Severity = Certain, severity
	rep.Explanation = words
	rep.Evidence = flowEvidence(f.FlowTotal)
	if f.Restarts > 0 {
		rep.Evidence = append(rep.Evidence, restartEvidence(f.FlowTotal))
	}
	rep.Evidence = append(rep.Evidence, Saw(r.First, "the SA of %s refuses packets: %s, window %d", f.Key.Dst, f.sa, f.sa.Replay.Window),
		Saw(r.Last, "it has refused %d outside of the window, %d seen before", r.Refused.ReplayWindow, r.Refused.Replay))
	if n, _, last := p.Host.Rise(analyze.XfrmInStateSeqError, r.First.Mono-counterPoll); n > 0 {
		rep.Evidence = append(rep.Evidence, Saw(last, "XfrmInStateSeqError has risen by %d", n))
	}
	rep.Remedies = []remedy.Remedy{replayRemedy(f.FlowTotal)}
	p.Report(rep)
}

func restartEvidence(f *analyze.FlowTotal) Evidence {
	return Saw(f.Restart.At, "%s → %s, %s: sequence number %d after %d", f.Key.Src, f.Key.Dst, flowWords(f.Key), f.Restart.From, f.Restart.After)
}

// replayRemedy is new keys where the numbers began again, else a larger window.
func replayRemedy(f *analyze.FlowTotal) remedy.Remedy {
	if f.Restarts > 0 {
		return remedy.Remedy{
			Action: "new-keys", Params: map[string]string{"local": f.Key.Src.String(), "peer": f.Key.Dst.String()},
			Title:   fmt.Sprintf("give both ends new keys and SPIs; run peer.ip on %s, and this on %s", f.Key.Dst, f.Key.Src),
			Command: fmt.Sprintf("ipsecdiag fix manual-sa --local %s --peer %s --peer-script peer.ip", f.Key.Src, f.Key.Dst),
		}
	}
	return remedy.Remedy{
		Action: "replay-window", Params: map[string]string{"host": f.Key.Dst.String()},
		Title: fmt.Sprintf("enlarge the replay window of %s: replay_window = 1024 in the child of swanctl.conf (libreswan: replay-window=1024), then load it "+
			"and have the SAs made anew; run this there", f.Key.Dst),
		Command: "swanctl --load-conns",
	}
}

// checkRestartOnWire tells of numbers that began again, where the receiver's kernel is
// not seen. Where answers came before and none since, the receiver drops it, likely;
// else it may have no replay window.
func checkRestartOnWire(p *Pass) {
	for _, f := range p.View.Flows {
		if !f.Behind() || (p.receives() && p.View.Inbound(f)) || p.Exceeded(f.Last, espNow) || f.Last.Mono-f.Restart.At.Mono < espNow {
			continue
		}
		before, since := p.answers(f)
		r := p.Finding()
		r.Confidence, r.Severity = Likely, Info
		r.Explanation = fmt.Sprintf("The sequence numbers of %s to %s under %s began again, at %d after %d: the SA was made anew with the same SPI. If %s checks for "+
			"replays, it drops all of it until the numbers have passed the old ones.", f.Key.Src, f.Key.Dst, flowWords(f.Key), f.Restart.From, f.Restart.After, f.Key.Dst)
		if before && !since {
			r.Severity = Error
			r.Explanation += fmt.Sprintf(" It probably does: %s has sent nothing since.", f.Key.Dst)
		}
		r.Evidence = append(flowEvidence(f), restartEvidence(f))
		r.Remedies = []remedy.Remedy{replayRemedy(f)}
		p.Report(r)
		return
	}
}

// answers reports whether the receiver of a flow has sent anything under an SA before
// the numbers began again, and since, a second left out that answers may be on
// their way.
func (p *Pass) answers(f *analyze.FlowTotal) (before, since bool) {
	for _, o := range p.View.Flows {
		if o.Packets > 0 && o.Key.Src == f.Key.Dst && o.Key.Dst == f.Key.Src {
			before = before || o.First.Before(f.Restart.At)
			since = since || o.Last.Mono > f.Restart.At.Mono+counterPoll
		}
	}
	return before, since
}
