package ladder

import (
	"fmt"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/timeline"
	"ipsecdiag/rules"
)

// kernel makes steps of what a kernel did, and of what an IKE daemon said.
func (b *builder) kernel(i *timeline.Item) {
	n := b.observer(i.At.Origin())
	if n < 0 {
		return
	}
	if e, ok := i.Event.(*analyze.Daemon); ok && e.Word != nil {
		b.said(n, i, e.Word)
		return
	}
	if e, ok := i.Event.(*analyze.Acquire); ok {
		b.acquire(n, i, e)
		return
	}
	s := Step{From: Place{n, Kernel}, To: Place{n, Kernel}, Fate: Event}
	key := ""
	s.Label, key = b.eventWords(n, i)
	if s.Label == "" {
		return
	}
	switch i.Kind {
	case timeline.Counter, timeline.Lost, timeline.Snapshot: // the label says it all
	default:
		s.Detail = []string{analyze.Describe(i.Event)}
	}
	s.key = fmt.Sprintf("%d %d %s", i.Kind, n, key)
	s.Brief = brief(i.Kind, s.Label)
	b.push(s, i)
}

// eventWords says what happened in a kernel, and what tells it from other
// things of its kind.
func (b *builder) eventWords(n int, i *timeline.Item) (label, key string) {
	switch e := i.Event.(type) {
	case *analyze.SAChange:
		return saWords(i.Kind, e)
	case *analyze.Expire:
		if e.SA != nil && e.SA.Larval() {
			return "larval SA expired: no SA came", "larval"
		}
		return "expired", "expired"
	case *analyze.NeighborChange:
		return "neighbour " + b.l.Hosts[1-n].Label() + ": " + e.Neighbor.State, e.Neighbor.State
	case *analyze.Counters:
		return riseWords(i.Rises), "" // all of them fold into one
	case *analyze.PolicyChange:
		return policyWords(e)
	case *analyze.Daemon:
		if len(e.Listeners) == 0 {
			return "no IKE daemon listens any more", "none"
		}
		return "an IKE daemon listens: " + e.Listeners[0].Name, e.Listeners[0].Name
	case *analyze.Lost:
		return "not seen: " + e.What, e.What
	case *analyze.Snapshot: // only where a finding rests on it
		return "policies and SAs as they stand", "state"
	}
	return "", ""
}

// brief is the part of an event's label that others of its kind share.
func brief(kind timeline.Kind, label string) string {
	end := map[timeline.Kind]string{timeline.SA: ", SPI", timeline.Policy: ", of ", timeline.Counter: ": "}[kind]
	if end == "" {
		return ""
	}
	short, _, _ := strings.Cut(label, end)
	return short
}

// riseWords names the counters that rose, and says what it means where it is one
// alone.
func riseWords(rises []timeline.Rise) string {
	var words []string
	for _, r := range rises {
		words = append(words, fmt.Sprintf("%s +%d", r.Counter, r.By))
	}
	text := strings.Join(words, ", ")
	if len(rises) == 1 && counterMeaning[rises[0].Counter] != "" {
		text += ": " + counterMeaning[rises[0].Counter]
	}
	return text
}

// counterMeaning says of packets what a counter counts (net/xfrm, as in
// Documentation/networking/xfrm_proc.rst).
var counterMeaning = map[string]string{
	analyze.XfrmOutNoStates:    "lost, no SA",
	analyze.XfrmInTmplMismatch: "refused by policy",
	"XfrmOutPolBlock":          "blocked by policy",
	"XfrmInPolBlock":           "blocked by policy",
	"XfrmInNoStates":           "came under an unknown SPI",
	"XfrmInStateProtoError":    "failed to decrypt or authenticate",
	"XfrmInStateSeqError":      "replayed or too old",
	"XfrmInNoPols":             "no policy allows them",
}

func saWords(kind timeline.Kind, e *analyze.SAChange) (label, key string) {
	sa := &e.SA
	name := fmt.Sprintf("%#08x", sa.SPI)
	switch {
	case kind == timeline.Larval && e.Change == analyze.Deleted:
		return "larval SA gone", "larval gone"
	case kind == timeline.Larval:
		return "larval SA: a place for the SA to come", "larval"
	case e.Change == analyze.Deleted:
		return "SA deleted, SPI " + name, "deleted"
	case e.Change == analyze.Flushed:
		return "all SAs deleted", "flushed"
	case sa.Reserved():
		return "SPI " + name + " reserved", "reserved"
	case sa.Usable():
		return "SA installed, SPI " + name, "installed"
	}
	return "SA changed, SPI " + name, "changed"
}

func policyWords(e *analyze.PolicyChange) (label, key string) {
	p := &e.Policy
	what := "IPsec"
	switch {
	case e.Defaults != nil:
		return "default policy changed", "default"
	case e.Change == analyze.Flushed:
		return "all policies deleted", "flushed"
	case p.Bypass():
		what = "bypass"
	case p.Action == spd.Block:
		what = "blocking"
	}
	label, key = fmt.Sprintf("%s policy %s, %s", what, e.Change, p.Direction), fmt.Sprint(e.Change, what, p.Direction)
	if p.Selector.Proto != spd.ProtoAny {
		words, _ := flowWords(p.Selector)
		label += ", of " + words
	}
	return label, key
}

// acquire makes steps of an ACQUIRE: the packet that a policy caught, and the
// kernel's request to the IKE daemon.
func (b *builder) acquire(n int, i *timeline.Item, e *analyze.Acquire) {
	what, own := flowWords(e.Selector)
	caught := Step{
		Kind: timeline.Acquire, At: i.At, Fate: Held, Confidence: rules.Certain, Label: what,
		From: Place{n, App}, To: Place{n, Kernel}, Why: b.caughtWords(n, &e.Policy, own),
		Detail: []string{"the packet that needs an SA: " + e.Selector.String(), "caught by the policy " + e.Policy.String()},
		key:    fmt.Sprintf("caught %d %d %d", n, e.Selector.Proto, e.Selector.SrcPort*b2u(own)),
	}
	if own {
		caught.From, caught.To = Place{n, Kernel}, b.place(1-n, Kernel)
	}
	caught.Kind = kindOf(what)
	b.push(caught, nil)
	ask := Step{
		From: Place{n, Kernel}, To: Place{n, IKE}, Label: "ACQUIRE: asks IKE for an SA",
		Detail: []string{analyze.Describe(e)},
		key:    fmt.Sprintf("acquire %d", n),
	}
	if !i.Heard {
		ask.Fate, ask.Confidence, ask.Why = Missing, rules.Certain, "no IKE daemon listens"
	}
	b.push(ask, i)
}

func b2u(b bool) uint16 {
	if b {
		return 1
	}
	return 0
}

// kindOf is the kind of a packet that never came onto the wire.
func kindOf(what string) timeline.Kind {
	switch what {
	case "NS":
		return timeline.NS
	case "NA":
		return timeline.NA
	}
	return timeline.Acquire
}

// caughtWords says what becomes of a packet that a policy catches while there is
// no SA. Its own packets the kernel never queues (icmp6_dst_alloc).
func (b *builder) caughtWords(n int, p *spd.Policy, own bool) string {
	if !own && b.kernels[n].Sysctl("net.core.xfrm_larval_drop", "1") == "0" {
		return "needs an SA first: queued"
	}
	return "needs an SA first: dropped"
}
