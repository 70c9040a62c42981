package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// SAOrphaned finds SAs that nothing uses, that are half of a pair, or that will
// not last.
var SAOrphaned = &Rule{
	ID:       "sa-orphaned",
	Severity: Warning,
	Title:    "SAs that nothing uses, or that will not last",
	Doc:      saOrphanedDoc,
	Needs:    []string{analyze.PartSAs},
	Audit:    checkSAOrphaned,
}

// Times in which IKE puts things right by itself. The second SA of a pair comes while
// the negotiation lasts: 30 s with strongSwan (charon.half_open_timeout) and in the kernel
// (net.core.xfrm_acq_expires). The successor of one past its soft lifetime may need a
// second try, which strongSwan makes within 30 s (RETRY_INTERVAL).
const (
	saYoung    = 30 * time.Second
	saOverSoft = 60 * time.Second
)

// saNearEnd is the sequence number from which an SA without ESN is near its end
// (RFC 4303 section 3.3.3): nine tenths of all.
const saNearEnd = (1 << 32) / 10 * 9

// kindUnused is the kind of finding that a policy's fault may explain.
const kindUnused = "no policy"

// kindCutShort is the kind whose SAs a peer with the standard's length refuses.
const kindCutShort = "96 bits"

// saGroup is the SAs between two ends.
type saGroup struct {
	*Pass
	ends     spd.Ends
	usable   []*spd.SA
	reserved []*spd.SA
	byHand   bool
	clock    time.Time // zero where it is not known
}

func checkSAOrphaned(p *Pass) {
	groups, order := saGroups(p)
	used := usedByPolicies(p.Host)
	for _, e := range order {
		g := groups[e]
		if used != nil {
			g.unused(used)
		}
		g.oneDirection()
		g.overdue()
		g.runningOut()
		g.counterMode()
		g.cutShort()
	}
}

// saGroups sorts the ESP and AH SAs by their ends, in the order of the dump.
func saGroups(p *Pass) (map[spd.Ends]*saGroup, []spd.Ends) {
	groups, order := map[spd.Ends]*saGroup{}, []spd.Ends(nil)
	negotiated := p.Host.DB.Negotiated()
	for i := range p.Host.DB.SAs {
		s := &p.Host.DB.SAs[i]
		if (s.Proto != spd.ProtoESP && s.Proto != spd.ProtoAH) || s.SPI == 0 || !s.Src.IsValid() || !s.Dst.IsValid() {
			continue
		}
		e := spd.EndsOf(s)
		g := groups[e]
		if g == nil {
			g = &saGroup{Pass: p, ends: e, byHand: !negotiated[e]}
			if !p.Host.Lacks(analyze.PartClock) {
				g.clock = p.wallClock()
			}
			groups[e] = g
			order = append(order, e)
		}
		if s.Usable() {
			g.usable = append(g.usable, s)
		} else {
			g.reserved = append(g.reserved, s)
		}
	}
	return groups, order
}

// wallClock is what the host's clock shows now.
func (p *Pass) wallClock() time.Time {
	at := p.Host.Changed
	return at.Time.Add(p.Now - at.Mono)
}

// finding begins a finding on some of the group's SAs; kind tells it from other
// findings on the same ends.
func (g *saGroup) finding(kind, title string, sas []*spd.SA) Finding {
	f := g.PairFinding(g.ends.A, g.ends.B)
	f.Subject = fmt.Sprintf("SAs %s on %s, %s", f.Subject, g.Host.Origin, kind)
	f.Title, f.kind = title, kind
	for i, s := range sas {
		if i == maxEvidence/2 && len(sas) > i+1 {
			f.Evidence = append(f.Evidence, Saw(g.Looked(), "and %d SAs more", len(sas)-i))
			break
		}
		f.Evidence = append(f.Evidence, Saw(g.Looked(), "%s", saWords(s)))
	}
	return f
}

// saWords names an SA with its algorithms.
func saWords(s *spd.SA) string {
	text := s.String()
	for _, a := range []*spd.Algorithm{s.Enc, s.Auth, s.AEAD} {
		if a == nil {
			continue
		}
		text += ", " + a.Name
		if a.ICVBits != 0 {
			text += fmt.Sprintf(" with %d bits", a.ICVBits)
		}
	}
	return text
}

// anyReqID stands for a template of an inbound policy that takes any.
const anyReqID = 1 << 32

// saUse is what a template asks for.
type saUse struct {
	src, dst netip.Addr
	proto    uint8
	mode     spd.Mode
	reqid    uint64
}

// saUses are what all templates ask for: between two ends, and between the hosts
// of two networks.
type saUses struct {
	exact map[saUse]bool
	wide  map[wideUse]bool
}

type wideUse struct {
	selector spd.Selector
	proto    uint8
	mode     spd.Mode
	reqid    uint64
}

// usedByPolicies collects what the policies ask for, nil where they are not
// known.
func usedByPolicies(h *analyze.Host) *saUses {
	if h.Lacks(analyze.PartPolicies) {
		return nil
	}
	u := &saUses{exact: map[saUse]bool{}, wide: map[wideUse]bool{}}
	for i := range h.DB.Policies {
		u.add(&h.DB.Policies[i])
	}
	return u
}

func (u *saUses) add(q *spd.Policy) {
	sel := spd.Selector{Src: q.Selector.Src.Masked(), Dst: q.Selector.Dst.Masked()}
	for i := range q.Templates {
		t := &q.Templates[i]
		reqid := uint64(t.ReqID)
		if reqid == 0 && q.Direction != spd.Out {
			reqid = anyReqID
		}
		if t.Mode != spd.Transport { // what follows in the bundle has its ends
			sel = spd.Selector{Src: single(t.Src), Dst: single(t.Dst)}
		}
		if sel.Src.IsSingleIP() && sel.Dst.IsSingleIP() {
			u.exact[saUse{sel.Src.Addr(), sel.Dst.Addr(), t.Proto, t.Mode, reqid}] = true
		} else {
			u.wide[wideUse{sel, t.Proto, t.Mode, reqid}] = true
		}
	}
}

// single returns the prefix of one address, the open one where it is open.
func single(a netip.Addr) netip.Prefix {
	if !a.IsValid() || a.IsUnspecified() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, a.BitLen())
}

// fits reports whether some template asks for s.
func (u *saUses) fits(s *spd.SA) bool {
	for _, reqid := range []uint64{uint64(s.ReqID), anyReqID} {
		if u.exact[saUse{s.Src, s.Dst, s.Proto, s.Mode, reqid}] {
			return true
		}
	}
	for w := range u.wide {
		if w.proto == s.Proto && w.mode == s.Mode && (w.reqid == anyReqID || w.reqid == uint64(s.ReqID)) &&
			openOrIn(w.selector.Src, s.Src) && openOrIn(w.selector.Dst, s.Dst) {
			return true
		}
	}
	return false
}

func openOrIn(p netip.Prefix, a netip.Addr) bool {
	return !p.IsValid() || a.IsUnspecified() || p.Contains(a)
}

// unused reports SAs that no policy can use. What comes in under an SA in
// transport mode needs no policy. Where it is not known which end is this host,
// those that are used in neither direction.
func (g *saGroup) unused(u *saUses) {
	known := g.Host.Owns(g.ends.A) != g.Host.Owns(g.ends.B)
	var idle []*spd.SA
	fits := false
	for _, s := range g.usable {
		switch {
		case u.fits(s):
			fits = true
		case known && s.Mode == spd.Transport && g.Host.Owns(s.Dst), g.young(s):
		default:
			idle = append(idle, s)
		}
	}
	if len(idle) == 0 || (fits && !known) {
		return
	}
	f := g.finding(kindUnused, "no policy can use an SA", idle)
	f.Explanation = fmt.Sprintf("No policy's template fits %s (ends, protocol, mode and reqid must be the same). Nothing is sent under it, "+
		"and what arrives in a tunnel is dropped.", theSAs(len(idle)))
	if len(idle) > 1 {
		f.Explanation = strings.Replace(f.Explanation, "sent under it", "sent under them", 1)
	}
	g.Report(f)
}

func theSAs(n int) string {
	if n == 1 {
		return "an SA that stands"
	}
	return fmt.Sprintf("%d SAs that stand", n)
}

// young reports whether an SA has just been made, and its pair may follow.
func (g *saGroup) young(s *spd.SA) bool {
	if s.Used.AddTime == 0 || g.clock.IsZero() {
		return false
	}
	age := g.clock.Sub(time.Unix(int64(s.Used.AddTime), 0))
	if g.datedBefore(s.Used.AddTime) { // it may have been made just then
		age = g.Now - g.Host.ClockJumped.Mono
	}
	if age < saYoung {
		g.AskAgain(saYoung - age)
	}
	return age < saYoung
}

// datedBefore reports whether a time of an SA, in seconds since 1970, is one of
// before the host's clock jumped: how long ago that was is not known.
func (g *saGroup) datedBefore(at uint64) bool {
	jumped := g.Host.ClockJumped
	return !jumped.IsZero() && time.Unix(int64(at), 0).Before(jumped.Time)
}

// oneDirection reports ends with SAs in one direction only. Groups and hosts
// that are open receive without sending.
func (g *saGroup) oneDirection() {
	for _, proto := range []uint8{spd.ProtoESP, spd.ProtoAH} {
		var there, back []*spd.SA
		young := false
		for _, s := range g.usable {
			switch {
			case s.Proto != proto:
			case s.Src == g.ends.A:
				there, young = append(there, s), g.young(s) || young
			default:
				back, young = append(back, s), g.young(s) || young
			}
		}
		one := slices.Concat(there, back)
		if (len(there) == 0) == (len(back) == 0) || young || g.open(one[0]) || len(g.reserved) > 0 {
			continue
		}
		f := g.finding("one direction", "SAs stand in one direction only", one)
		s := one[0]
		f.Explanation = fmt.Sprintf("There is an %s SA from %s to %s and none from %s to %s: what goes the other way has no protection, or is "+
			"dropped.", strings.ToUpper(spd.ProtocolName(proto)), s.Src, s.Dst, s.Dst, s.Src)
		g.Report(f)
	}
}

func (g *saGroup) open(s *spd.SA) bool {
	return s.Dst.IsMulticast() || s.Src.IsUnspecified() || s.Dst.IsUnspecified() || s.Src == s.Dst
}

// overdue reports SAs that are past their soft lifetime and have no successor.
func (g *saGroup) overdue() {
	now := g.clock
	if now.IsZero() {
		now = g.wallClock() // the latest that a text names: it was so then at least
	}
	var late []*spd.SA
	for _, s := range g.usable {
		if g.past(s, now) && !slices.ContainsFunc(g.usable, func(o *spd.SA) bool { return succeeds(o, s) }) {
			late = append(late, s)
		}
	}
	if len(late) == 0 {
		return
	}
	f := g.finding("soft lifetime", "an SA is past its soft lifetime, and nothing replaces it", late)
	f.Explanation = "At its soft lifetime an SA is to be replaced, so that the new one is there when the hard lifetime ends the old one. " +
		"That time is over, and there is no younger SA beside it. When the hard lifetime comes, traffic stops."
	s := late[0]
	if s.Limits.HardAdd > 0 && s.Used.AddTime > 0 {
		f.Explanation += fmt.Sprintf(" That will be %d s after it was made.", s.Limits.HardAdd)
	}
	g.Report(f)
}

// past reports whether an SA is past a soft limit for longer than a replacement
// takes, and has itself asked about again when it will be.
func (g *saGroup) past(s *spd.SA, now time.Time) bool {
	l := &s.Limits
	if (l.SoftBytes > 0 && s.Used.Bytes >= l.SoftBytes) || (l.SoftPackets > 0 && s.Used.Packets >= l.SoftPackets) {
		return true
	}
	for _, c := range []struct{ from, after uint64 }{{s.Used.AddTime, l.SoftAdd}, {s.Used.UseTime, l.SoftUse}} {
		if c.from == 0 || c.after == 0 || c.after > 1<<31 || g.datedBefore(c.from) {
			continue
		}
		left := time.Unix(int64(c.from), 0).Add(time.Duration(c.after)*time.Second + saOverSoft).Sub(now)
		if left <= 0 {
			return true
		}
		g.AskAgain(left)
	}
	return false
}

// succeeds reports whether o was made to replace s.
func succeeds(o, s *spd.SA) bool {
	return o != s && o.Src == s.Src && o.Dst == s.Dst && o.Proto == s.Proto && o.Mode == s.Mode && o.ReqID == s.ReqID &&
		o.Used.AddTime >= s.Used.AddTime && o.SPI != s.SPI
}

// runningOut reports SAs whose 32 bit sequence numbers come to their end.
func (g *saGroup) runningOut() {
	var end []*spd.SA
	for _, s := range g.usable {
		if n := max(s.Replay.OutSeq, s.Replay.InSeq); n >= saNearEnd && n <= 1<<32 && !s.Replay.ESN {
			end = append(end, s)
		}
	}
	if len(end) == 0 {
		return
	}
	f := g.finding("sequence", "an SA's sequence numbers are running out", end)
	f.Confidence = Certain
	s := end[0]
	n := max(s.Replay.OutSeq, s.Replay.InSeq)
	f.Explanation = fmt.Sprintf("SPI %#x has used %d of the 4294967296 sequence numbers that it has without ESN; after the last one nothing "+
		"is sent under it any more (XfrmOutStateSeqError). Before that it must be replaced.", s.SPI, n)
	g.Report(f)
}

// counterMode reports counter modes whose keys look as if people had made them.
func (g *saGroup) counterMode() {
	if !g.byHand {
		return
	}
	var bad []*spd.SA
	for _, s := range g.usable {
		if isCounterMode(s.AEAD) || isCounterMode(s.Enc) {
			bad = append(bad, s)
		}
	}
	if len(bad) == 0 {
		return
	}
	f := g.finding("counter mode", "a counter mode with manual keys", bad)
	f.Explanation = "These SAs look as if they were made by hand, and their cipher must not be used so: it counts from the beginning again " +
		"whenever the SA is made anew with the same key, as after a restart, and two packets under one counter give away what both held. " +
		"GCM loses its authentication too. Use AES-CBC with HMAC-SHA-256, or IKE."
	g.Report(f)
}

func isCounterMode(a *spd.Algorithm) bool {
	return a != nil && slices.ContainsFunc([]string{"gcm(", "ccm(", "ctr(", "chacha20"}, func(s string) bool { return strings.Contains(a.Name, s) })
}

// cutShort reports HMAC-SHA-256 with an authenticator that no standard knows.
func (g *saGroup) cutShort() {
	var bad []*spd.SA
	for _, s := range g.usable {
		if s.Auth != nil && s.Auth.Name == "hmac(sha256)" && s.Auth.ICVBits == 96 {
			bad = append(bad, s)
		}
	}
	if len(bad) == 0 {
		return
	}
	f := g.finding(kindCutShort, "hmac(sha256) is cut to 96 bits", bad)
	f.Confidence = Certain
	f.Explanation = "Linux cuts HMAC-SHA-256 to 96 bits unless told otherwise (auth instead of auth-trunc … 128). The standard is 128 bits: a peer that " +
		"keeps to it drops every packet (XfrmInStateProtoError), and only one that cuts the same way understands it."
	g.Report(f)
}
