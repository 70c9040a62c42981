package rules

import (
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
)

// joined reports whether two observers may be held against each other. What one
// program recorded belongs together; files may come from anywhere, and of those some
// packet must show that they are of the same link.
func joined(s *analyze.State, a, b *analyze.Host) bool {
	return a == b || s.Alignment == nil || s.SameLink(a, b)
}

// views are what this observer, and those that belong together with it, saw of the
// pair.
func (p *Pass) views() []*analyze.View {
	all := p.View.Pair.Views
	if len(all) < 2 || p.State.Alignment == nil {
		return all
	}
	var out []*analyze.View
	for _, v := range all {
		if joined(p.State, p.Host, v.Host) {
			out = append(out, v)
		}
	}
	return out
}

// runHere says of remedies for this host that they are, where others were recorded too.
func (p *Pass) runHere(all []remedy.Remedy) []remedy.Remedy {
	if len(p.State.Hosts) < 2 {
		return all
	}
	for i := range all {
		if !strings.Contains(all[i].Title, "run this") {
			all[i].Title += "; run this on " + hostWords(p.Host)
		}
	}
	return all
}

// bothRecorded reports whether another observer that belongs together with this one has
// seen the pair as well.
func (p *Pass) bothRecorded() bool {
	for _, v := range p.State.Counterparts(p.View) {
		if joined(p.State, p.Host, v.Host) {
			return true
		}
	}
	return false
}

// lostOnTheWay reports whether it is certain that packets of a kind, which this
// host or file saw leave for another one that was read together with it, never
// came there: so many at least, none of them arrived, both watched for long enough,
// and their clocks were compared.
func (p *Pass) lostOnTheWay(to *analyze.Host, class analyze.MarkClass, spi uint64, atLeast uint64) bool {
	for _, c := range p.State.Crossings() {
		if c.From == p.Host.Origin && c.To == to.Origin && c.Class == class && c.SPI == spi {
			return !c.Unsure && joined(p.State, p.Host, to) && to.Captures(class) && c.Arrived == 0 && c.Lost() >= atLeast
		}
	}
	return false
}
