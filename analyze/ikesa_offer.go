package analyze

import (
	"bytes"
	"slices"

	"ipsecdiag/analyze/ike"
)

// Bounds on the offers that are kept. Most hosts of one configuration offer the
// same, so that a few are enough for many IKE SAs.
const (
	maxOffers     = 2048
	maxOfferBytes = 4096 // of an SA payload; strongSwan's longest by default has 600
	// maxOffersSize bounds all of them together, about, bytes. Read, an offer takes
	// offerSize times its length: each transform has eight bytes at least.
	maxOffersSize = 32 << 20
	offerSize     = 12
)

// offer is what an SA payload in the clear says; all IKE SAs in which the same was
// said share it.
type offer struct {
	key       string
	proposals []ike.Proposal // nil when it was given up for others
	// algorithms are those of all proposals; they are asked for each second.
	algorithms []ike.Algorithm
	used       bool // since the hand last passed
}

// offers holds the offers that are kept. Beyond the bound one goes that was not
// seen again for long (the clock algorithm).
type offers struct {
	known map[string]*offer
	ring  []*offer
	hand  int
	size  int // about, bytes
	most  int // that size may be; 0: nobody bounds it
}

// Offered returns what the initiator proposed for the IKE SA when it last did, in
// order of preference; nil where it was not seen. It is shared: do not change it.
func (sa *IKESA) Offered() []ike.Proposal { return sa.offered.all() }

// Chosen returns what the responder chose for the IKE SA; nil where it was not
// seen. It is shared: do not change it.
func (sa *IKESA) Chosen() []ike.Proposal { return sa.chosen.all() }

// OfferedAlgorithms returns the algorithms of Offered, in the numbers of IKEv2.
func (sa *IKESA) OfferedAlgorithms() []ike.Algorithm { return sa.offered.numbered() }

// ChosenAlgorithms returns the algorithms of Chosen, in the numbers of IKEv2.
func (sa *IKESA) ChosenAlgorithms() []ike.Algorithm { return sa.chosen.numbered() }

func (o *offer) numbered() []ike.Algorithm {
	if o == nil {
		return nil
	}
	return o.algorithms
}

func (o *offer) all() []ike.Proposal {
	if o == nil {
		return nil
	}
	return o.proposals
}

// of returns the offer of a message, nil where it holds none in the clear.
func (o *offers) of(m *ike.Message) *offer {
	for i := range m.Payloads {
		p := &m.Payloads[i]
		sa, ok := p.Body.(*ike.SA)
		if !ok || p.Err != nil || len(p.Raw) > maxOfferBytes {
			continue
		}
		key := append([]byte{m.Major}, p.Raw...)
		if known := o.known[string(key)]; known != nil {
			known.used = true
			return known
		}
		return o.put(string(key), cloneProposals(sa.Proposals))
	}
	return nil
}

func (o *offers) put(key string, proposals []ike.Proposal) *offer {
	if o.known == nil {
		o.known = map[string]*offer{}
	}
	made := &offer{key: key, proposals: proposals}
	for _, p := range proposals {
		for _, t := range p.Transforms {
			made.algorithms = append(made.algorithms, t.Algorithms()...)
		}
	}
	for len(o.ring) >= maxOffers || (o.most > 0 && o.size > o.most && len(o.ring) > 1) {
		o.giveUp()
	}
	o.known[key] = made
	o.ring = append(o.ring, made)
	o.size += offerSize * len(key)
	return made
}

// giveUp gives up an offer that was not seen again for long.
func (o *offers) giveUp() {
	o.hand %= len(o.ring)
	for o.ring[o.hand].used {
		o.ring[o.hand].used = false
		o.hand = (o.hand + 1) % len(o.ring)
	}
	old, last := o.ring[o.hand], len(o.ring)-1
	delete(o.known, old.key)
	o.size -= offerSize * len(old.key)
	old.proposals, old.algorithms = nil, nil
	o.ring[o.hand], o.ring[last] = o.ring[last], nil
	o.ring = o.ring[:last]
	o.hand++
}

// cloneProposals copies an offer out of its message, which would be kept with it.
func cloneProposals(in []ike.Proposal) []ike.Proposal {
	out := slices.Clone(in)
	for i := range out {
		out[i].SPI = bytes.Clone(out[i].SPI)
		out[i].Transforms = slices.Clone(out[i].Transforms)
		for j := range out[i].Transforms {
			t := &out[i].Transforms[j]
			t.Attributes = slices.Clone(t.Attributes)
			for k := range t.Attributes {
				t.Attributes[k].Value = bytes.Clone(t.Attributes[k].Value)
			}
		}
	}
	return out
}
