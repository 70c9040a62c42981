package analyze

import "net/netip"

// Resolution is one host's search for another's link-layer address, by
// neighbour discovery (RFC 4861 section 7.2) or ARP (RFC 826), as one observer
// saw it on the wire.
type Resolution struct {
	Asker, Target netip.Addr
	Direction     Direction // of the solicitations, as the observer saw them
	ARP           bool

	// The present round: solicitations since the last answer, or since a pause
	// of roundPause.
	First, Last Sighting
	Count       int
	Unicast     int // of Count: NUD probes, sent to the target itself
	Repeats     int // of Count: within reaskWindow of the one before

	// Reasked counts answers that did not end the search: the asker solicited
	// again within reaskWindow of an answer.
	Reasked int
	// Ignored is when the asker was last seen to leave three answers in turn
	// untaken; zero where it never did.
	Ignored    Sighting
	Answered   int // advertisements or replies to the asker
	LastAnswer Sighting
	AnswerDir  Direction
}

// reaskWindow is how soon after an answer a new solicitation for the same
// address means that the answer was not taken. REACHABLE lasts at least 15 s
// by default (RFC 4861 section 10: REACHABLE_TIME times MIN_RANDOM_FACTOR), so
// whoever took the answer has no reason to ask again within 3 s, the length of
// one full resolution (MAX_MULTICAST_SOLICIT times RETRANS_TIMER).
const reaskWindow = 3e9

// maxReasked is how many answers in turn an asker leaves untaken that takes none:
// one or two may be lost on the way.
const maxReasked = 3

// roundPause is how long after a solicitation the next one begins a new search:
// the answer to the last may have gone out under an SA, where nobody sees it.
// While IKE cannot get through, daemons make the kernel ask again in pauses of
// up to 42 s (strongSwan's fifth retransmission).
const roundPause = 60e9

func (r *Resolution) solicited(at Sighting, unicast bool) {
	if !r.LastAnswer.IsZero() && r.Count == 0 {
		if at.Mono-r.LastAnswer.Mono < reaskWindow {
			if r.Reasked++; r.Reasked >= maxReasked {
				r.Ignored = at
			}
		} else {
			r.Reasked = 0
		}
	}
	if r.Count == 0 || at.Mono-r.Last.Mono > roundPause {
		r.First, r.Count, r.Unicast, r.Repeats = at, 0, 0, 0
	}
	if r.Count > 0 && at.Mono-r.Last.Mono < reaskWindow {
		r.Repeats++
	}
	r.Count++
	r.Last = at
	if unicast {
		r.Unicast++
	}
}

func (r *Resolution) answered(at Sighting, dir Direction) {
	r.Answered++
	r.LastAnswer, r.AnswerDir = at, dir
	r.Count, r.Unicast, r.Repeats = 0, 0, 0
}

// Open reports whether solicitations stand unanswered.
func (r *Resolution) Open() bool { return r.Count > 0 }
