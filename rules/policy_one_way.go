package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// PolicyOneWay finds protection that works in one direction only.
var PolicyOneWay = &Rule{
	ID:       "policy-one-way",
	Severity: Warning,
	Title:    "a policy has no counterpart that fits",
	Doc:      policyOneWayDoc,
	Needs:    []string{analyze.PartPolicies},
	Audit:    checkPolicyOneWay,
	Stands:   onTheirWay,
}

// onTheirWay is for how long the second of two policies may be on its way: libreswan
// installs one direction when it answers and the other when it is answered, and what
// is negotiated has 30 s, with strongSwan (charon.half_open_timeout) and in the kernel,
// which keeps a reserved SPI for so long (net.core.xfrm_acq_expires).
const onTheirWay = 30 * time.Second

func checkPolicyOneWay(p *Pass) {
	o := newOneWayAudit(p)
	for i := range p.Host.DB.Policies {
		q := &p.Host.DB.Policies[i]
		if q.Socket || q.Direction == spd.Fwd || !q.Requires() || q.Selector.Dst.Addr().IsMulticast() || q.Selector.Src.Addr().IsMulticast() {
			continue
		}
		o.judge(q)
	}
}

// oneWayAudit is one asking of the rule.
type oneWayAudit struct {
	*Pass
	counterparts map[counterpart][]*spd.Policy
	sas          map[saEnds][]*spd.SA
	asked        map[uint32]bool // reqids of templates
}

// counterpart is the selector by which a policy is found from its opposite.
type counterpart struct {
	selector spd.Selector
	dir      spd.Direction
	typ      spd.PolicyType
}

type saEnds struct {
	src, dst netip.Addr
	proto    uint8
	mode     spd.Mode
}

func newOneWayAudit(p *Pass) *oneWayAudit {
	o := &oneWayAudit{Pass: p, counterparts: map[counterpart][]*spd.Policy{}, sas: map[saEnds][]*spd.SA{}, asked: map[uint32]bool{}}
	db := &p.Host.DB
	for i := range db.Policies {
		q := &db.Policies[i]
		for j := range q.Templates {
			o.asked[q.Templates[j].ReqID] = true
		}
		if !q.Socket {
			k := counterpart{plainSelector(q.Selector), q.Direction, q.Type}
			o.counterparts[k] = append(o.counterparts[k], q)
		}
	}
	for i := range db.SAs {
		if s := &db.SAs[i]; s.Usable() {
			k := saEnds{s.Src, s.Dst, s.Proto, s.Mode}
			o.sas[k] = append(o.sas[k], s)
		}
	}
	return o
}

// plainSelector leaves out the interface, which may differ between directions.
func plainSelector(s spd.Selector) spd.Selector {
	s.IfIndex = 0
	s.Src, s.Dst = s.Src.Masked(), s.Dst.Masked()
	return s
}

// judge reports the first thing that is wrong with the other direction of q.
func (o *oneWayAudit) judge(q *spd.Policy) {
	v := o.Host.DB.Lookup(q.Direction, sampleFlow(o.Host, q))
	if !slices.Contains(v.Policies, q) {
		return // another one wins over it: policy-shadowed's matter
	}
	other, found := o.opposite(q)
	switch {
	case !found:
		if !o.waits(q, v) {
			o.reportMissing(q)
		}
	case other != nil && misfit(q, other) != "":
		if q.Direction == spd.Out { // once for both
			o.reportMisfit(q, other)
		}
	case o.needsForward(q):
		o.reportForward(q)
	default:
		if t := missing(v, q); t != nil {
			if s := o.strayReqID(q, t); s != nil {
				o.reportReqID(q, t, s)
			}
		}
	}
}

// opposite returns the policy that decides over the answers to q's packets, and
// whether any protects them. The policy is nil where it cannot be told.
func (o *oneWayAudit) opposite(q *spd.Policy) (other *spd.Policy, found bool) {
	dir := spd.In
	if q.Direction == spd.In {
		dir = spd.Out
	}
	for _, c := range o.counterparts[counterpart{plainSelector(q.Selector.Reversed()), dir, q.Type}] {
		if len(c.Templates) > 0 {
			return c, true
		}
	}
	f := reversed(sampleFlow(o.Host, q))
	tried := []uint8{f.Proto}
	if q.Selector.Proto == spd.ProtoAny {
		tried = []uint8{protoTried, spd.ProtoTCP, spd.ProtoUDP}
	}
	for _, f.Proto = range tried {
		v := o.Host.DB.Lookup(dir, f)
		for _, c := range v.Policies {
			if len(c.Templates) > 0 {
				return nil, true
			}
		}
	}
	return nil, false
}

// waits reports whether q may be a policy that only waits for its first packet,
// and gets its counterpart with the SA, as libreswan makes them.
func (o *oneWayAudit) waits(q *spd.Policy, v spd.Verdict) bool {
	if q.Direction != spd.Out || v.MissingSA() == nil || slices.ContainsFunc(q.Templates, func(t spd.Template) bool { return t.ReqID != 0 }) {
		return false
	}
	return o.Host.Lacks(analyze.PartListeners) || o.Host.Lacks(analyze.PartSAs) ||
		slices.ContainsFunc(o.Host.Daemons(), func(l analyze.Listener) bool { return l.Name == "" || l.Name == "pluto" })
}

// misfit says what does not fit between the templates of two counterparts, ""
// where all does. Compression is optional by nature.
func misfit(a, b *spd.Policy) string {
	x, y := protecting(a), protecting(b)
	for i := range min(len(x), len(y)) {
		s, t := x[i], y[i]
		switch {
		case s.Proto != t.Proto:
			return fmt.Sprintf("%s and %s", spd.ProtocolName(s.Proto), spd.ProtocolName(t.Proto))
		case s.Mode != t.Mode:
			return fmt.Sprintf("%s mode and %s mode", s.Mode, t.Mode)
		case s.Mode == spd.Tunnel && (differ(s.Src, t.Dst) || differ(s.Dst, t.Src)):
			return fmt.Sprintf("a tunnel %s → %s and one %s → %s", s.Src, s.Dst, t.Src, t.Dst)
		}
	}
	if len(x) != len(y) {
		return fmt.Sprintf("%s and %s", plural(uint64(len(x)), "SA"), plural(uint64(len(y)), "SA"))
	}
	return ""
}

func protecting(q *spd.Policy) []spd.Template {
	return slices.DeleteFunc(q.Required(), func(t spd.Template) bool { return t.Proto == spd.ProtoIPComp })
}

// differ reports whether two addresses are given and not the same.
func differ(a, b netip.Addr) bool {
	return a.IsValid() && b.IsValid() && !a.IsUnspecified() && !b.IsUnspecified() && a != b
}

// needsForward reports whether q lets packets out of a tunnel that are for
// others, on a host that forwards, and nothing protects them on their way on.
func (o *oneWayAudit) needsForward(q *spd.Policy) bool {
	h := o.Host
	if q.Mark.Mask != 0 && slices.ContainsFunc(h.Links, func(l analyze.Link) bool { return strings.HasPrefix(l.Kind, "vti") }) {
		return false // it may be for a VTI, on whose far side a packet has left IPsec behind (vti_rcv_cb, skb_scrub_packet)
	}
	if q.Direction != spd.In || q.Templates[0].Mode != spd.Tunnel || h.Lacks(analyze.PartAddresses) || h.Lacks(analyze.PartSettings) {
		return false
	}
	forwarding := "net.ipv6.conf.all.forwarding"
	if q.Selector.Family == spd.IPv4 {
		forwarding = "net.ipv4.ip_forward"
	}
	dst := q.Selector.Dst
	if h.Sysctl(forwarding, "0") != "1" || !dst.IsValid() || (dst.IsSingleIP() && h.Owns(dst.Addr())) {
		return false
	}
	for _, c := range o.counterparts[counterpart{plainSelector(q.Selector), spd.Fwd, q.Type}] {
		if c.Requires() {
			return false
		}
	}
	f := sampleFlow(h, q)
	if h.Owns(f.Dst) {
		f.Dst = f.Dst.Next()
	}
	return dst.Contains(f.Dst) && h.DB.Lookup(spd.Fwd, f).Decision == spd.Clear
}

// strayReqID returns an SA between the ends of a template that no SA satisfies,
// under a reqid that no policy asks for.
func (o *oneWayAudit) strayReqID(q *spd.Policy, t *spd.Template) *spd.SA {
	if o.Host.Lacks(analyze.PartSAs) {
		return nil
	}
	src, dst := t.Src, t.Dst
	if t.Mode == spd.Transport {
		s := q.Selector
		if !s.Src.IsSingleIP() || !s.Dst.IsSingleIP() {
			return nil
		}
		src, dst = s.Src.Addr(), s.Dst.Addr()
	}
	for _, s := range o.sas[saEnds{src, dst, t.Proto, t.Mode}] {
		if s.ReqID != t.ReqID && !o.asked[s.ReqID] {
			return s
		}
	}
	return nil
}

func (o *oneWayAudit) reportMissing(q *spd.Policy) {
	f := o.PolicyFinding(q)
	f.Confidence = Certain
	f.Title = "a policy protects what goes out, and none what comes in"
	none, so := "No policy requires protection of the answers.", "What comes out of the tunnel has no policy and is dropped (XfrmInNoPols)."
	switch {
	case q.Direction == spd.In:
		f.Title = "a policy demands protection of what comes in, and none of what goes out"
		none, so = "No policy protects what is sent in answer.", "It leaves in the clear, and a peer that demands protection drops it."
	case q.Templates[0].Mode == spd.Transport:
		so = "They are accepted in the clear, from anybody who sends them under the peer's address."
	}
	if o.partly(q) {
		back := reversed(sampleFlow(o.Host, q))
		f.Title = "a policy has a counterpart for a part of its packets only"
		none = fmt.Sprintf("Policies protect some of the answers to its packets and not all, none for instance from %s to %s.", back.Src, back.Dst)
	}
	f.Explanation = none + " " + so
	f.Remedies = []remedy.Remedy{o.addOpposite(q)}
	o.Report(f)
}

// partly reports whether policies protect some of the answers to q's packets:
// of a network the packet that was tried need not be one of them.
func (o *oneWayAudit) partly(q *spd.Policy) bool {
	back := q.Selector.Reversed()
	return !q.Exact() && slices.ContainsFunc(o.Host.DB.Policies, func(c spd.Policy) bool {
		return !c.Socket && c.Direction != q.Direction && c.Direction != spd.Fwd && c.Type == q.Type && len(c.Templates) > 0 &&
			c.Selector.Src.Overlaps(back.Src) && c.Selector.Dst.Overlaps(back.Dst)
	})
}

// addOpposite is the policy that is missing.
func (o *oneWayAudit) addOpposite(q *spd.Policy) remedy.Remedy {
	c := *q
	c.Selector, c.Direction = q.Selector.Reversed(), spd.In
	if q.Direction == spd.In {
		c.Direction = spd.Out
	}
	c.Templates = slices.Clone(q.Templates)
	for i := range c.Templates {
		t := &c.Templates[i]
		t.Src, t.Dst, t.SPI = t.Dst, t.Src, 0
	}
	return o.policyCommand("add-policy", "add the other direction, if no daemon is to do it", remedy.AddPolicy, &c)
}

func (o *oneWayAudit) policyCommand(action, title string, op remedy.Op, q *spd.Policy) remedy.Remedy {
	return policyRemedy(o.Host, action, title, op, q)
}

func (o *oneWayAudit) reportMisfit(q, other *spd.Policy) {
	f := o.PolicyFinding(q)
	f.Title = "the policies of the two directions do not fit each other"
	f.Explanation = fmt.Sprintf("Out asks for %s, and in for %s: %s. One peer cannot do both at once, so that one of the two is not what the "+
		"peer has.", templates(q), templates(other), misfit(q, other))
	f.Evidence = append(f.Evidence, o.SawPolicy(other))
	o.Report(f)
}

func templates(q *spd.Policy) string {
	var s []string
	for _, t := range protecting(q) {
		s = append(s, t.String())
	}
	return strings.Join(s, " and ")
}

func (o *oneWayAudit) reportForward(q *spd.Policy) {
	f := o.PolicyFinding(q)
	f.Title = "a gateway's policy has no counterpart for what it forwards"
	f.Confidence = Likely
	f.Explanation = "This host forwards, and what comes out of the tunnel for others is asked about again on its way on, with direction fwd. " +
		"No policy of that direction wants the tunnel, so that it is dropped (XfrmInNoPols, or XfrmInTmplMismatch beside a bypass)."
	c := *q
	c.Direction = spd.Fwd
	f.Remedies = []remedy.Remedy{o.policyCommand("add-policy", "add the same policy for fwd, if no daemon is to do it", remedy.AddPolicy, &c)}
	o.Report(f)
}

// kindReqID is the kind of finding that explains why SAs are not used.
const kindReqID = "reqid"

// reportReqID reports both directions in one finding, that on the way out.
func (o *oneWayAudit) reportReqID(q *spd.Policy, t *spd.Template, s *spd.SA) {
	other, otherTemplate, otherSA := o.oppositeReqID(q)
	if other != nil && q.Direction == spd.In {
		return
	}
	f := o.PolicyFinding(q)
	f.Title, f.kind = "a policy asks for a reqid that no SA carries", kindReqID
	f.Explanation = fmt.Sprintf("The policy wants an SA with reqid %d, and those between the two ends have reqid %d, which no policy asks for. "+
		"So they are not used, and its packets are dropped as if there were none.", t.ReqID, s.ReqID)
	f.Evidence = append(f.Evidence, Saw(o.Looked(), "%s", s))
	r := o.takeReqID(q, t, s)
	if other != nil {
		f.Evidence = append(f.Evidence, o.SawPolicy(other), Saw(o.Looked(), "%s", otherSA))
		r.Command += "\n" + o.takeReqID(other, otherTemplate, otherSA).Command
	}
	f.Remedies = []remedy.Remedy{r}
	o.Report(f)
}

// oppositeReqID returns the policy for the other direction where it has the same
// fault.
func (o *oneWayAudit) oppositeReqID(q *spd.Policy) (other *spd.Policy, t *spd.Template, s *spd.SA) {
	other, _ = o.opposite(q)
	if other == nil {
		return nil, nil, nil
	}
	n := missing(o.Host.DB.Lookup(other.Direction, sampleFlow(o.Host, other)), other)
	if n == nil {
		return nil, nil, nil
	}
	if s = o.strayReqID(other, n); s == nil {
		return nil, nil, nil
	}
	return other, n, s
}

// missing returns the template of q for which a verdict has no SA.
func missing(v spd.Verdict, q *spd.Policy) *spd.Template {
	if n := v.MissingSA(); n != nil && n.Policy == q {
		return n.Template
	}
	return nil
}

// takeReqID has q ask for what is there.
func (o *oneWayAudit) takeReqID(q *spd.Policy, t *spd.Template, s *spd.SA) remedy.Remedy {
	c := *q
	c.Templates = slices.Clone(q.Templates)
	for i := range c.Templates {
		if c.Templates[i].ReqID == t.ReqID {
			c.Templates[i].ReqID = s.ReqID
		}
	}
	return o.policyCommand("set-reqid", "let the policies ask for what is there, if it was made by hand", remedy.ReplacePolicy, &c)
}
