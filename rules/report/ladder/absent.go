package ladder

import (
	"fmt"
	"slices"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/timeline"
	"ipsecdiag/rules"
)

// Times after which an answer is overdue. A host that is solicited answers at
// once (RFC 4861 section 10: MAX_ANYCAST_DELAY_TIME is 1 s); strongSwan sends
// an IKE request again after 4 s.
const (
	ndOverdue  = time.Second
	ikeOverdue = 4 * time.Second
	// polled is how long after a packet died the counter of it may rise: it is
	// polled each second.
	polled = 2500 * time.Millisecond
)

// judge adds what did not happen, and what is known of the fate of what was
// sent. It looks at all steps in their order; those it adds come behind what
// they follow from.
func (b *builder) judge() {
	for n := 0; n < len(b.steps); n++ {
		s := &b.steps[n]
		if s.Item == nil || s.Fate.Absent() {
			continue
		}
		switch s.Kind {
		case timeline.NS:
			b.judgeAsking(n)
		case timeline.NA:
			b.judgeAnswer(n)
		case timeline.IKE:
			b.judgeIKE(n)
		case timeline.Acquire:
			b.judgeAcquire(n)
		case timeline.Counter:
			b.judgeUnheard(n)
		case timeline.Neighbor:
			b.judgeUnasked(n)
		}
	}
	b.judgeLosses()
}

// judgeAsking adds the advertisement that did not come.
func (b *builder) judgeAsking(n int) {
	s := b.steps[n]
	if b.answered(n) {
		return
	}
	a := Step{
		Kind: timeline.NA, At: s.At, From: s.To, To: s.From, Fate: Held, Label: "NA",
		key: "no NA " + fmt.Sprint(s.To.Host),
	}
	switch fate := b.fate(n, spd.Out); {
	case fate != nil:
		a.Why = "needs an SA first: dropped"
		if fate.Policy == nil || fate.Policy.Action == spd.Block {
			a.Why = "dropped: blocked by policy"
		}
		a.Detail = []string{
			"the neighbour advertisement that answers never reaches the wire",
			"caught by " + policyShort(fate.Policy),
		}
		if fate.Policy != nil {
			a.Detail[1] = "caught by the policy " + fate.Policy.String()
		}
		if fate.Sure && b.rose(s.To.Host, analyze.XfrmOutNoStates, s.At.Mono) {
			a.Confidence = rules.Certain
		}
		b.dropCaught(n)
	case b.claimed("nd-deadlock"):
		a.Why = "never comes: needs an SA?"
		a.Detail = []string{"no advertisement was seen; it is likely that the IPsec policy of " + b.l.Hosts[s.To.Host].Label() + " catches it"}
	case b.claimed("nd-no-answer"):
		a.Fate, a.Why = Missing, "no answer is seen"
		a.Detail = []string{"no advertisement was seen"}
	default:
		return
	}
	b.insert(n, a)
}

// answered reports whether an advertisement came between a solicitation and the
// next, or whether it is too early to tell.
func (b *builder) answered(n int) bool {
	s := &b.steps[n]
	for _, t := range b.steps[n+1:] {
		switch {
		case t.Item == nil:
		case t.Kind == timeline.NA && t.From.Host == s.To.Host:
			return true
		case t.Kind == timeline.NS && t.From.Host == s.From.Host && t.At.Mono-s.At.Mono > onePacket:
			return false
		}
	}
	return b.in.State.Now.Mono-s.At.Mono < ndOverdue
}

// fate returns what the policies of one of its observers do with a packet.
func (b *builder) fate(n int, dir spd.Direction) *timeline.Fate {
	for _, i := range b.steps[n].Items {
		if i.Fate != nil && i.Fate.Direction == dir {
			return i.Fate
		}
	}
	return nil
}

// dropCaught removes the packet of an ACQUIRE for the advertisement that
// follows step n: it is the same one.
func (b *builder) dropCaught(n int) {
	s := b.steps[n]
	for m := n + 1; m < len(b.steps) && b.steps[m].At.Mono-s.At.Mono < ndOverdue; m++ {
		if t := &b.steps[m]; t.Item == nil && t.Kind == timeline.NA && t.Fate == Held && t.From.Host == s.To.Host {
			b.steps = append(b.steps[:m], b.steps[m+1:]...)
			return
		}
	}
}

// rose reports whether a counter of a host rose soon after a moment.
func (b *builder) rose(host int, counter string, mono time.Duration) bool {
	h := b.kernels[host]
	if h == nil {
		return false
	}
	by, _ := h.RiseBetween(counter, mono-1, mono+polled)
	return by > 0
}

// claimed reports whether a finding of that rule is about this pair.
func (b *builder) claimed(rule string) bool {
	return slices.ContainsFunc(b.in.Findings, func(f rules.Finding) bool { return f.Rule == rule })
}

// judgeAnswer tells of an advertisement that the asker's own policy refused: it
// asks again although the answer has come.
func (b *builder) judgeAnswer(n int) {
	s := &b.steps[n]
	fate := b.fate(n, spd.In)
	if fate == nil || !b.asksAgain(n) {
		return
	}
	s.Fate, s.Why = Refused, "dropped: needs an SA"
	s.Detail = append(s.Detail, "it arrives in the clear, and the receiver's inbound policy drops it")
	if fate.Policy != nil {
		s.Detail = append(s.Detail, "refused by the policy "+fate.Policy.String())
	}
	if fate.Sure && b.rose(s.To.Host, analyze.XfrmInTmplMismatch, s.At.Mono) {
		s.Confidence = rules.Certain
	}
}

func (b *builder) asksAgain(n int) bool {
	s := &b.steps[n]
	for _, t := range b.steps[n+1:] {
		if t.Kind == timeline.NS && t.Item != nil && t.From.Host == s.To.Host {
			return t.At.Mono-s.At.Mono < 3*time.Second
		}
	}
	return false
}

// judgeIKE adds the answer that did not come to an IKE message.
func (b *builder) judgeIKE(n int) {
	s := b.steps[n]
	m := s.Item.Message()
	if m == nil || !b.unanswered(n, m) {
		return
	}
	a := Step{
		Kind: timeline.IKE, At: s.At, From: s.To, To: s.From, Fate: Missing, Label: "IKE answer", Why: "none is seen",
		key: fmt.Sprintf("no IKE %d %s %x", s.To.Host, m.InitiatorSPI, s.Item.Same),
	}
	a.Detail = []string{"no answer to " + m.Exchange.Short() + " was seen"}
	if b.unresolved(n, s.To.Host) {
		a.Fate, a.Why = Held, "needs the "+b.answerName()+" first"
		a.Detail = []string{
			"no answer was seen: it is likely that " + b.l.Hosts[s.To.Host].Label() + " cannot send one",
			"its kernel has no link-layer address of " + b.l.Hosts[s.From.Host].Addr.String(),
		}
	}
	b.insert(n, a)
}

// unanswered reports whether the sender has to send again, or nothing comes for
// longer than that takes. IKEv1 does not tell which messages expect an answer:
// the first does, and those that are sent again (RFC 2408 section 5.1).
func (b *builder) unanswered(n int, m *ike.Message) bool {
	s := &b.steps[n]
	if m.IsResponse() {
		return false
	}
	for _, t := range b.steps[n+1:] {
		if t.Kind != timeline.IKE || t.Item == nil || !sameIKE(t.Item, s.Item) {
			continue
		}
		return t.From.Host == s.From.Host && t.Item.Same == s.Item.Same
	}
	first := m.Major == 2 || m.ResponderSPI == 0
	return first && b.in.State.Now.Mono-s.At.Mono >= ikeOverdue
}

// sameIKE reports whether two messages belong to one IKE SA: the initiator's
// SPI is the first eight bytes (RFC 7296 section 3.1).
func sameIKE(a, b *timeline.Item) bool {
	return len(a.IKE) >= 8 && len(b.IKE) >= 8 && string(a.IKE[:8]) == string(b.IKE[:8])
}

// unresolved reports whether a host has no link-layer address of the other end
// when step n reaches it: its neighbour table says so, or it solicits in vain.
func (b *builder) unresolved(n, host int) bool {
	s := &b.steps[n]
	for _, i := range b.steps[n].Items {
		if i.Neighbor == "INCOMPLETE" || i.Neighbor == "FAILED" {
			return true
		}
	}
	return b.asksInVain(host, s.At.Mono-5*time.Second, s.At.Mono+ikeOverdue)
}

// answerName is what tells a link-layer address.
func (b *builder) answerName() string {
	if b.l.Pair.A.Is4() {
		return "ARP reply"
	}
	return "NA"
}

// asksInVain reports whether a host solicits the other end in that time and is
// not answered.
func (b *builder) asksInVain(host int, since, until time.Duration) bool {
	vain := false
	for n := range b.steps {
		t := &b.steps[n]
		if t.Item == nil || t.At.Mono < since || t.At.Mono > until {
			continue
		}
		switch {
		case (t.Kind == timeline.NS || t.Kind == timeline.ARPRequest) && t.From.Host == host:
			vain = true
		case (t.Kind == timeline.NA || t.Kind == timeline.ARPReply) && t.To.Host == host && t.Fate == Arrives && b.fate(n, spd.In) == nil:
			return false
		}
	}
	return vain
}

// judgeAcquire adds the IKE request that a daemon was asked for and that did not
// reach the wire, where its way is barred for lack of a link-layer address.
func (b *builder) judgeAcquire(n int) {
	s := b.steps[n]
	host := s.From.Host
	if s.Fate.Dead() || b.in.State.Now.Mono-s.At.Mono < 2*ndOverdue || b.sendsIKE(host, s.At.Mono-ikeOverdue, s.At.Mono+ikeOverdue) {
		return
	}
	if !b.asksInVain(host, s.At.Mono-ndOverdue, s.At.Mono+ikeOverdue) {
		return
	}
	b.insert(n, Step{
		Kind: timeline.IKE, At: s.At, From: Place{host, IKE}, To: b.place(1-host, IKE), Fate: Held,
		Label: "IKE request", Why: "needs the " + b.answerName() + " first",
		Detail: []string{
			"the IKE daemon was asked for an SA, and no IKE message of it is on the wire",
			"its kernel has no link-layer address of " + b.l.Hosts[1-host].Addr.String(),
		},
		key: fmt.Sprintf("no request %d", host),
	})
}

// sendsIKE reports whether IKE of a host was on the wire in that time.
func (b *builder) sendsIKE(host int, since, until time.Duration) bool {
	for n := range b.steps {
		t := &b.steps[n]
		if t.Kind == timeline.IKE && t.Item != nil && t.From.Host == host && t.At.Mono >= since && t.At.Mono <= until {
			return true
		}
	}
	return false
}

// judgeUnasked adds the solicitation that a policy caught: the neighbour table
// says that the kernel asks, and nothing is on the wire.
func (b *builder) judgeUnasked(n int) {
	s := b.steps[n]
	fate := s.Item.Fate
	if fate == nil || b.asks(s.From.Host, s.At.Mono-3*ndOverdue, s.At.Mono+ndOverdue) {
		return
	}
	a := Step{
		Kind: timeline.NS, At: s.At, From: s.From, To: b.place(1-s.From.Host, Kernel), Fate: Held, Label: "NS", Why: "needs an SA first: dropped",
		Detail: []string{"the neighbour solicitation never reaches the wire"}, key: fmt.Sprintf("no NS %d", s.From.Host),
	}
	if fate.Policy != nil {
		a.Detail = append(a.Detail, "caught by the policy "+fate.Policy.String())
	}
	if fate.Sure && b.rose(s.From.Host, analyze.XfrmOutNoStates, s.At.Mono-3*ndOverdue) {
		a.Confidence = rules.Certain
	}
	b.insert(n, a)
}

// asks reports whether solicitations of a host were on the wire in that time.
func (b *builder) asks(host int, since, until time.Duration) bool {
	for n := range b.steps {
		t := &b.steps[n]
		if t.Kind == timeline.NS && t.Item != nil && t.From.Host == host && t.At.Mono >= since && t.At.Mono <= until {
			return true
		}
	}
	return false
}

// judgeUnheard adds the packets that die, and the ACQUIRE that nobody gets,
// where no IKE daemon listens: the kernel sends none then (km_query).
func (b *builder) judgeUnheard(n int) {
	s := b.steps[n]
	h := b.kernels[s.From.Host]
	if len(h.Daemons()) > 0 || !roseBy(s.Item, analyze.XfrmOutNoStates) {
		return
	}
	local, peer := b.l.Hosts[s.From.Host].Addr, b.l.Hosts[1-s.From.Host].Addr
	p := h.PolicyFor(local, peer)
	if p == nil {
		return
	}
	ask := Step{
		Kind: timeline.Acquire, At: s.At, From: s.From, To: Place{s.From.Host, IKE}, Fate: Missing, Confidence: rules.Certain,
		Label: "ACQUIRE", Why: "no IKE daemon listens", key: fmt.Sprintf("unheard %d", s.From.Host),
		Detail: []string{"nobody listens for ACQUIREs: the kernel sends none, and no SA will come"},
	}
	b.insert(n, ask)
}

func roseBy(i *timeline.Item, counter string) bool {
	for _, r := range i.Rises {
		if r.Counter == counter {
			return true
		}
	}
	return false
}

// judgeLosses tells of packets that were seen to leave and not to arrive. It
// claims that only between two packets of the same direction that both ends
// saw: both were looking then.
func (b *builder) judgeLosses() {
	if b.kernels[0] == nil || b.kernels[1] == nil {
		return
	}
	for from := range 2 {
		pending, both := []int(nil), false
		for n := range b.steps {
			s := &b.steps[n]
			if s.Item == nil || s.From.Host != from || s.Fate != Arrives || !s.Kind.OnWire() || s.Kind == timeline.ESP {
				continue
			}
			switch {
			case len(b.steps[n].Items) > 1:
				b.lost(pending)
				pending, both = nil, true
			case both && b.observer(s.Item.At.Origin()) == from:
				pending = append(pending, n)
			}
		}
	}
}

func (b *builder) lost(steps []int) {
	for _, n := range steps {
		s := &b.steps[n]
		s.Fate, s.Why = Lost, "does not arrive"
		s.Detail = append(s.Detail, "it was seen to leave "+b.l.Hosts[s.From.Host].Label()+" and not to come to "+b.l.Hosts[s.To.Host].Label())
	}
}
