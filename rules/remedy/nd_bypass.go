package remedy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// bypassPriority is the priority of the bypass where it beats what is there: a
// margin below the best that strongSwan computes (68541; 1024 before 5.4) and
// below setkey's 0x80000000, a margin above libreswan's own bypass at 1.
const bypassPriority = 100

// bypassMargin is by how much the bypass must win: strongSwan installs a policy
// at a number better by one than its trap had when the SA comes up, and between
// equals kernels differ.
const bypassMargin = 2

// NDBypass plans policies that let neighbour discovery pass in the clear. What
// stands and does it already is left alone; what catches it at priority 0, which
// nothing beats, is replaced at a worse number, unless a daemon owns it.
//
// Errors are *Refusal.
func NDBypass(k *analyze.KernelState, o NDOptions) (Plan, error) { return ndBypassBefore(k, o, nil) }

// ndBypassBefore plans a bypass that beats policies that are still to come, too.
func ndBypassBefore(k *analyze.KernelState, o NDOptions, coming []spd.Policy) (Plan, error) {
	b := &ndBypass{host: newHost(k), o: o, coming: coming}
	if err := b.readable(); err != nil {
		return Plan{}, err
	}
	if err := o.check(); err != nil {
		return Plan{}, err
	}
	b.plan = Plan{Action: ActionNDBypass, Params: o.params(), Title: o.title(), Steps: []Step{}}
	b.db = b.clone()
	b.wants = o.wants(b.proxies())
	if err := b.demote(); err != nil {
		return Plan{}, err
	}
	if err := b.bypass(); err != nil {
		return Plan{}, err
	}
	return b.finish()
}

// ndBypass is one planning.
type ndBypass struct {
	*host
	o        NDOptions
	wants    []wanted
	plan     Plan
	db       spd.Database // as the steps so far leave it
	coming   []spd.Policy
	priority uint32 // of the bypass
}

// check refuses peers that have no neighbour discovery.
func (o NDOptions) check() error {
	for _, p := range o.Peers {
		switch {
		case p.Is4() || p.Is4In6():
			return refuse(Families, "%s is an IPv4 address: ARP finds it, which no IPsec policy touches", p)
		case p.IsMulticast():
			return refuse(Multicast, "%s is a group, not a host", p)
		case !p.IsValid() || p.IsUnspecified() || p.IsLoopback():
			return refuse(BadAddress, "%s is not the address of a neighbour", p)
		}
	}
	return nil
}

func (o NDOptions) params() map[string]string {
	types := "all"
	if t := o.types(); t != nil {
		types = strings.ReplaceAll(strings.Trim(fmt.Sprint(t), "[]"), " ", ",")
	}
	m := map[string]string{"types": types}
	if len(o.Peers) > 0 {
		m["peer"] = join(o.Peers)
	}
	return m
}

func join(addrs []netip.Addr) string {
	var s []string
	for _, a := range addrs {
		s = append(s, a.String())
	}
	return strings.Join(s, ",")
}

func (o NDOptions) title() string {
	s := "let neighbour discovery pass"
	if o.AllICMPv6 {
		s = "let all of ICMPv6 pass"
	}
	if len(o.Peers) > 0 {
		s += " with " + strings.ReplaceAll(join(o.Peers), ",", ", ")
	}
	return s
}

// add appends a step and carries it out on the model.
func (b *ndBypass) add(s Step) error {
	if err := model(&b.db, &s); err != nil {
		return err
	}
	s.Device = b.device(s.Policy.Selector.IfIndex)
	b.plan.Steps = append(b.plan.Steps, s)
	return nil
}

func (b *ndBypass) note(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(b.plan.Notes, s) {
		b.plan.Notes = append(b.plan.Notes, s)
	}
}

// bypass adds what is wanted and not there.
func (b *ndBypass) bypass() error {
	b.priority = b.choose()
	for _, t := range []spd.PolicyType{spd.Main, spd.Sub} {
		for i := range b.wants {
			w := &b.wants[i]
			if t == spd.Sub && !b.caughtBy(w, t) {
				continue
			}
			if p := b.covered(w, t); p != nil {
				b.note("stands already: %s", p)
				continue
			}
			if err := b.put(w, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// floor returns the best priority of what catches w in the policies of a type:
// what a bypass has to beat. ok is false where nothing does.
func (b *ndBypass) floor(w *wanted, t spd.PolicyType) (best uint32, ok bool) {
	for _, all := range [][]spd.Policy{b.db.Policies, b.coming} {
		for i := range all {
			p := &all[i]
			if p.Type == t && w.catches(p) && (p.Priority > 0 || b.really(w, p)) && (!ok || p.Priority < best) {
				best, ok = p.Priority, true
			}
		}
	}
	return best, ok
}

func (b *ndBypass) caughtBy(w *wanted, t spd.PolicyType) bool {
	_, ok := b.floor(w, t)
	return ok
}

// choose returns one priority for the whole bypass, so that people can see what
// belongs together: half of the best that it has to beat, so that there is room
// on both sides.
func (b *ndBypass) choose() uint32 {
	priority := uint32(bypassPriority)
	for i := range b.wants {
		for _, t := range []spd.PolicyType{spd.Main, spd.Sub} {
			if best, ok := b.floor(&b.wants[i], t); ok {
				priority = min(priority, Beats(best))
			}
		}
	}
	return priority
}

// Beats returns the priority of a bypass that beats that number, which nothing
// does with 0.
func Beats(best uint32) uint32 {
	if best < 2*bypassMargin {
		return 0
	}
	return min(bypassPriority, best/2)
}

// covered returns a bypass that lets all of w pass already, and wins with a
// margin.
func (b *ndBypass) covered(w *wanted, t spd.PolicyType) *spd.Policy {
	best, contested := b.floor(w, t)
	sel := w.sel
	if sel.SrcPortMask != 0 { // neighbour discovery has no code but 0
		sel.DstPortMask = 0xffff
	}
	for i := range b.db.Policies {
		p := &b.db.Policies[i]
		if p.Socket || p.Type != t || p.Direction != w.dir || !p.Bypass() || p.IfID != 0 || p.Mark.Mask != 0 {
			continue
		}
		if covers(&p.Selector, &sel) && (!contested || p.Priority+bypassMargin <= best || (p.Priority == 0 && best > 0)) {
			return p
		}
	}
	return nil
}

// put adds the bypass for w. One selector stands only once: another policy that
// has it is replaced, or, where it is a daemon's, evaded by naming the code as
// well, which is always 0 (RFC 4861 section 4).
func (b *ndBypass) put(w *wanted, t spd.PolicyType) error {
	p := spd.Policy{Selector: w.sel, Direction: w.dir, Type: t, Action: spd.Allow, Priority: b.priority}
	former := findPolicy(&b.db, p.Identity())
	if former != nil && b.owner(former) != noDaemon && w.sel.SrcPortMask != 0 && p.Selector.DstPortMask == 0 {
		p.Selector.DstPortMask = 0xffff
		former = findPolicy(&b.db, p.Identity())
	}
	why := fmt.Sprintf("%s pass%s", typeWords(w.sel), dirWords(w.dir))
	if former == nil {
		return b.add(Step{Op: AddPolicy, Policy: &p, Why: why})
	}
	if kind := b.owner(former); kind != noDaemon {
		return b.refuseOwned(former, kind)
	}
	old := *former
	b.note("replaces a policy with the same selector, which fix undo puts back: %s", &old)
	return b.add(Step{Op: ReplacePolicy, Policy: &p, FormerPolicy: &old, Why: why})
}

var typeNames = map[uint16]string{
	spd.RouterSolicitation: "router solicitations", spd.RouterAdvertisement: "router advertisements",
	spd.NeighborSolicitation: "neighbour solicitations", spd.NeighborAdvertisement: "neighbour advertisements",
	spd.Redirect: "redirects",
}

func typeWords(s spd.Selector) string {
	if s.SrcPortMask == 0 {
		return "all ICMPv6 messages"
	}
	return typeNames[s.SrcPort]
}

func dirWords(d spd.Direction) string {
	return map[spd.Direction]string{spd.Out: " on the way out", spd.In: " on the way in", spd.Fwd: " to those for whom this host answers"}[d]
}

// finish looks whether the plan does what it promises, and says what it costs.
func (b *ndBypass) finish() (Plan, error) {
	then := b.db
	then.Policies = slices.Concat(b.db.Policies, b.coming)
	if left := b.caught(&then, b.o); len(left) > 0 {
		return Plan{}, refuse(NoRoom, "no priority lets neighbour discovery pass: %s", &left[0])
	}
	if b.plan.Empty() {
		b.plan.Notes = append([]string{nothing + "neighbour discovery passes already"}, b.plan.Notes...)
		return b.plan, nil
	}
	b.costs()
	if slices.ContainsFunc(b.plan.Steps, func(s Step) bool { return s.Op == ReplacePolicy }) {
		b.plan.Order = names(b.KernelState.Policies)
	}
	return b.plan, nil
}

// names returns the names of the policies, the oldest first.
func names(policies []spd.Policy) []PolicyName {
	var out []PolicyName
	for i := range policies {
		if p := &policies[i]; !p.Socket {
			out = append(out, NameOf(p))
		}
	}
	return out
}

// costs says what goes in the clear, and what the other end needs.
func (b *ndBypass) costs() {
	switch {
	case b.o.AllICMPv6:
		b.note("in the clear from now on: all of ICMPv6. That is ping and its answers, and errors (unreachable, packet too big, time " +
			"exceeded), which carry the beginning of the packet that they are about; router discovery and multicast listener reports as well")
	case b.o.AllND:
		b.note("in the clear from now on: neighbour and router discovery and redirects, types 133 to 137; on the link only, since they are not " +
			"taken with a hop limit other than 255 (RFC 4861 section 11.2)")
	default:
		b.note("in the clear from now on: neighbour solicitations and advertisements, types 135 and 136; on the link only, since they are not " +
			"taken with a hop limit other than 255 (RFC 4861 section 11.2)")
	}
	for _, p := range b.o.Peers {
		if _, near := b.onLink(p); !near && !p.IsLinkLocalUnicast() && len(b.Addresses) > 0 {
			b.note("%s is on no link of this host: it is the gateway towards it that neighbour discovery looks for", p)
		}
	}
	b.note("the peer's policies catch its own part: it needs the same")
}
