package report

import (
	"fmt"
	"strings"
	"time"

	"ipsecdiag/analyze"
)

// Summary is what was looked at.
type Summary struct {
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Hosts   []string  `json:"hosts"`   // all observers
	Kernels []string  `json:"kernels"` // those of them whose kernel was seen
	Frames  uint64    `json:"frames"`  // frames of control traffic, and the first of each SPI
	// Daemons are the IKE daemons that told of themselves, with their hosts.
	Daemons []string `json:"daemons,omitempty"`
	// ESPPackets are ESP and AH packets.
	ESPPackets  uint64 `json:"esp_packets"`
	Pairs       int    `json:"pairs"`
	IKEMessages int    `json:"ike_messages"`
	// Searches are pairs of which one asked for the other by neighbour
	// discovery or ARP.
	Searches int    `json:"searches"`
	Losses   []Loss `json:"losses"`
	Evicted  uint64 `json:"evicted"` // pairs and IKE SAs forgotten for lack of room
	// Observers are the files, where there were several: how their clocks stood
	// to each other. Crossings is what became of packets between them, Dropped
	// what arrived and its kernel dropped.
	Observers []analyze.Observer `json:"observers,omitempty"`
	Crossings []Crossing         `json:"crossings,omitempty"`
	Dropped   []Dropped          `json:"dropped,omitempty"`
	// Audited is what an audit looked at, host by host; nil where none was asked
	// for.
	Audited []Audited `json:"audited,omitempty"`
}

// Loss is something that happened and was not seen.
type Loss struct {
	Time   time.Time `json:"time"`
	Origin string    `json:"origin"`
	What   string    `json:"what"`
	Count  uint64    `json:"count"` // 0 where unknown
}

// Summarize tells what a state has seen.
func Summarize(s *analyze.State) Summary {
	sum := Summary{
		From: s.Start.Time.UTC(), To: s.Now.Time.UTC(), Frames: s.Frames, ESPPackets: s.Packets,
		Evicted: s.Evicted, Hosts: []string{}, Kernels: []string{}, Losses: []Loss{},
	}
	for _, h := range s.Hosts {
		sum.Hosts = append(sum.Hosts, h.Origin.String())
		if h.KernelSeen {
			sum.Kernels = append(sum.Kernels, h.Origin.String())
		}
		for _, d := range h.IKEDaemons {
			sum.Daemons = append(sum.Daemons, d.Name()+" on "+h.Origin.String())
		}
	}
	s.Pairs(func(p *analyze.Pair) {
		sum.Pairs++
		sum.Searches += searches(p)
		sum.IKEMessages += messages(p)
	})
	for _, l := range s.Losses {
		sum.Losses = append(sum.Losses, Loss{l.At.Time.UTC(), l.At.Origin().String(), l.What, l.Count})
	}
	sum.between(s)
	return sum
}

func searches(p *analyze.Pair) int {
	for _, v := range p.Views {
		if len(v.Resolutions) > 0 {
			return 1
		}
	}
	return 0
}

// messages counts the pair's IKE messages as the observer who saw most of them
// did: both ends see the same ones.
func messages(p *analyze.Pair) int {
	most := 0
	for _, v := range p.Views {
		n := 0
		for _, sa := range v.IKE {
			n += sa.FromInitiator.Sent + sa.FromResponder.Sent
		}
		most = max(most, n)
	}
	return most
}

// Empty reports whether there was nothing in it that a rule could judge.
func (s *Summary) Empty() bool {
	return s.Audited == nil && len(s.Kernels) == 0 && s.ESPPackets == 0 && s.IKEMessages == 0 && s.Searches == 0
}

// String says it in one sentence.
func (s *Summary) String() string {
	text := fmt.Sprintf("%s, %s and neighbour discovery of %s", count(uint64(s.IKEMessages), "IKE message"),
		count(s.ESPPackets, "ESP or AH packet"), count(uint64(s.Searches), "pair"))
	if len(s.Hosts) > 0 {
		text += ", seen by " + list(s.Hosts)
	}
	switch n := len(s.Kernels); {
	case n == 1 && len(s.Hosts) == 1:
		text += " with its kernel"
	case n > 0 && n == len(s.Hosts):
		text += " with their kernels"
	case n > 0:
		text += " (with the kernel of " + list(s.Kernels) + ")"
	}
	if len(s.Daemons) > 0 {
		text += ", and heard from " + list(s.Daemons)
	}
	return text + s.period() + "."
}

// period says when it was; days are named once.
func (s *Summary) period() string {
	if s.From.IsZero() {
		return ""
	}
	to := s.To.Format(time.DateTime)
	if s.From.Format(time.DateOnly) == s.To.Format(time.DateOnly) {
		to = s.To.Format(time.TimeOnly)
	}
	return fmt.Sprintf(", from %s to %s UTC (%s)", s.From.Format(time.DateTime), to,
		s.To.Sub(s.From).Round(100*time.Millisecond))
}

// maxListed bounds the names in a sentence.
const maxListed = 4

func list(names []string) string {
	if extra := len(names) - maxListed; extra > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), extra)
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

func count(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
