package ladder

import (
	"ipsecdiag/analyze"
	"ipsecdiag/analyze/timeline"
)

// said makes a step of what a host's IKE daemon told. The line itself is a
// stranger's text of any length: it is in the detail.
func (b *builder) said(n int, i *timeline.Item, w *analyze.Word) {
	place := Place{n, IKE}
	s := Step{From: place, To: place, Fate: Event, Detail: []string{analyze.Describe(i.Event)}}
	switch y := w.Saying; {
	case y != nil:
		s.Label = w.Daemon + ": " + string(y.Topic)
		s.Brief = s.Label
		if y.FromPeer {
			s.Label += ", the peer says"
		}
		if y.Connection != "" {
			s.Label += " (" + y.Connection + ")"
		}
	case w.Silent != "":
		s.Label = w.Daemon + " is not heard any more"
	default:
		s.Label = w.Daemon + " tells of itself"
	}
	s.key = "said " + s.Label
	b.push(s, i)
}

// saidWeight is how much a daemon's word helps to understand what went wrong.
func saidWeight(i *timeline.Item) int {
	w := i.Event.(*analyze.Daemon).Word
	switch {
	case w.Saying == nil:
		return 5
	case w.Saying.Topic.Failure():
		return 65
	case w.Saying.Topic == analyze.SaidProposals:
		return 30
	}
	return 20
}
