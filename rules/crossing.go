package rules

import "ipsecdiag/analyze"

// lostOnTheWay reports whether it is certain that packets of a kind, which this
// host or file saw leave for another one that was read together with it, never
// came there: so many at least, none of them arrived, both watched for long enough,
// and their clocks were compared.
func (p *Pass) lostOnTheWay(to *analyze.Host, class analyze.MarkClass, spi uint64, atLeast uint64) bool {
	for _, c := range p.State.Crossings() {
		if c.From == p.Host.Origin && c.To == to.Origin && c.Class == class && c.SPI == spi {
			return !c.Unsure && c.Arrived == 0 && c.Lost() >= atLeast
		}
	}
	return false
}
