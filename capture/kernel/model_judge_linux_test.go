package kernel

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"ipsecdiag/analyze/spd"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// model returns the databases as they are after the trial's update.
func (tr *trial) model() spd.Database {
	db := tr.db.Clone()
	if tr.update != nil {
		db.PutPolicy(*tr.update)
	}
	return db
}

// keepsPlace reports whether the trial replaces a policy by one of the same
// priority. That one is listed as the youngest and keeps its place in its chain
// all the same: before others with just its prefixes, and before others that
// are all shorter than /48, or /16 in IPv4 (xfrm_policy_insert_list,
// xfrm_pol_inexact_addr_use_any_list).
func (tr *trial) keepsPlace() bool {
	return tr.update != nil && slices.ContainsFunc(tr.db.Policies, func(p spd.Policy) bool {
		return p.Identity() == tr.update.Identity() && p.Priority == tr.update.Priority
	})
}

func (tr *trial) clone() *trial {
	c := *tr
	c.db, c.packets = tr.db.Clone(), slices.Clone(tr.packets)
	return &c
}

// install gives the kernel the trial's databases, and nothing else. The thread
// is in the namespace.
func (w *wire) install(tr *trial) error {
	if err := w.set(tr.db.Devices); err != nil {
		return err
	}
	var b batch
	b.flush()
	b.defaults(tr.db.Defaults)
	for i := range tr.db.Policies {
		b.add(nl.XFRM_MSG_NEWPOLICY, encodePolicy(&tr.db.Policies[i]))
	}
	if tr.update != nil {
		b.add(nl.XFRM_MSG_UPDPOLICY, encodePolicy(tr.update))
	}
	for i := range tr.db.SAs {
		b.add(nl.XFRM_MSG_NEWSA, modelSA(&tr.db.SAs[i]))
	}
	return b.run(w.xfrm)
}

// set writes the settings of devices that differ from what they are.
func (w *wire) set(devices []spd.Device) error {
	for i, name := range []string{"tap0", "tap1"} {
		var d spd.Device
		if len(devices) > i {
			d = devices[i]
		}
		for file, on := range map[string]bool{
			"ipv4/conf/" + name + "/disable_policy": d.NoPolicy4,
			"ipv4/conf/" + name + "/disable_xfrm":   d.NoXfrm4,
			"ipv6/conf/" + name + "/disable_policy": d.NoPolicy6,
		} {
			if w.on[file] == on {
				continue
			}
			w.on[file] = on
			value := map[bool]string{true: "1", false: "0"}[on]
			if err := os.WriteFile("/proc/sys/net/"+file, []byte(value), 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// tally counts what was compared.
type tally struct {
	packets int
	became  map[string]int // by verdict
	tied    int            // the model says that it depends
	other   int            // and the kernel took the other one
	again   int            // differed once and not again
	stray   int            // SAs of another source that served
	used    int            // policies that were seen to have decided
}

// trial runs one trial and returns the first packet with which kernel and model
// differ, and in what.
func (w *wire) trial(tr *trial, c *tally) (p *packet, difference string, err error) {
	if err := w.install(tr); err != nil {
		return nil, "", fmt.Errorf("install %s: %w", tr, err)
	}
	db := tr.model()
	j := judge{
		db: &db, acquired: map[string]bool{}, must: map[spd.Identity]bool{}, may: map[spd.Identity]bool{},
		loose: tr.keepsPlace(), strict: w.ordersByAge && !tr.keepsPlace(),
	}
	for i := range tr.packets {
		p := &tr.packets[i]
		o, err := w.observe(*p)
		if err != nil {
			return p, "", fmt.Errorf("%s: %w", p, err)
		}
		if d := j.compare(*p, o, c); d != "" {
			return p, d, nil
		}
	}
	d, err := w.compareUse(&j, c)
	return &tr.packets[len(tr.packets)-1], d, err
}

// judge holds what the kernel did against what the model says.
type judge struct {
	db       *spd.Database
	acquired map[string]bool // ACQUIREs that came: none comes again
	// must are the policies that have let packets pass or blocked them: their
	// time of use is set. may are those of packets that died without an SA.
	must, may map[spd.Identity]bool
	loose     bool // which ones is not certain
	strict    bool // the kernel is one that takes the older of equal priorities, and nothing was replaced
}

// compare returns in what the kernel differs from the model, "" where in
// nothing. Where the model says that it depends, any of the policies of equal
// priority may have decided.
func (j *judge) compare(p packet, o observed, c *tally) string {
	v := j.db.Lookup(p.dir, p.flow)
	c.packets++
	c.became[p.dir.String()+" "+describe(&v, p.dir)]++
	d := j.differs(&v, p, o)
	if n := v.MissingSA(); d != "" && n != nil && n.Stray != nil {
		n.SA = n.Stray // by chance; the rest of the needs may lack theirs
		if d = j.differs(&v, p, o); d == "" {
			c.stray++
		}
	}
	if v.Tied != nil {
		c.tied++
	}
	if !j.strict && equals(j.db, p) {
		j.loose = true
	}
	if v.Tied != nil && !j.strict {
		for _, alt := range alternatives(j.db, p) {
			if d == "" {
				break
			}
			if j.differs(&alt, p, o) == "" {
				c.other++
				d, v = "", alt
			}
		}
	}
	j.note(&v, p, o)
	return d
}

// equals reports whether a policy of equal priority could have decided as well. What
// becomes of the packet may be the same with either: then the verdict is not tied, but
// which one the kernel has used is not certain.
func equals(db *spd.Database, p packet) bool {
	e := db.Explain(p.dir, p.flow)
	return slices.ContainsFunc(e.Weighed, func(w spd.Weighed) bool { return w.By == spd.ByAge })
}

// describe is a verdict in the words of the tally.
func describe(v *spd.Verdict, dir spd.Direction) string {
	switch {
	case v.Decision == spd.Protect && !v.Dies():
		return "protect"
	case v.Decision == spd.Clear && v.Exempt != spd.NotExempt:
		return "exempt"
	case v.Decision == spd.Clear && len(v.Policies) == 0:
		return "no policy"
	case v.Decision == spd.Clear:
		return "bypass"
	case v.Counter(dir) == "":
		return "default block"
	}
	return v.Counter(dir)
}

// differs holds one verdict against what was observed.
func (j *judge) differs(v *spd.Verdict, p packet, o observed) string {
	var rose []string
	if name := v.Counter(p.dir); name != "" {
		rose = []string{name}
	}
	want := observed{passed: v.Decision == spd.Clear, rose: rose}
	if v.Decision == spd.Protect && !v.Dies() && p.dir == spd.Out {
		want.spi = outermost(v, o.spi)
	}
	if v.Decision == spd.Discard && (p.how == bySocket || p.how == byBound) {
		want.errno = unix.EPERM
	}
	if o.passed != want.passed || o.spi != want.spi || !slices.Equal(o.rose, want.rose) || !errors.Is(o.errno, want.errno) {
		return fmt.Sprintf("want: %s; got: %s", want, o)
	}
	return j.acquires(v, p, o)
}

// outermost returns the SPI that is seen of a protected packet: the last
// template wraps all others. Those of sub and main together are sorted anew
// (xfrm_state_sort): any of them may be the last.
func outermost(v *spd.Verdict, got uint32) uint32 {
	last := v.Needs[len(v.Needs)-1].SA.SPI
	for _, n := range v.Needs {
		if len(v.Policies) > 1 && n.SA.SPI == got {
			return got
		}
	}
	return last
}

// acquires holds the ACQUIREs: the policy that lacks an SA asks for one, unless
// it did already, and no policy asks that does not decide.
func (j *judge) acquires(v *spd.Verdict, p packet, o observed) string {
	var deciding []uint32
	for _, q := range v.Policies {
		if len(q.Templates) > 0 {
			deciding = append(deciding, q.Templates[0].ReqID)
		}
	}
	for _, id := range o.acquired {
		if !slices.Contains(deciding, id) {
			return fmt.Sprintf("an ACQUIRE came for reqid %d, and the policies that decide have %v", id, deciding)
		}
	}
	n := v.MissingSA()
	if p.dir != spd.Out || n == nil || j.acquired[acquireKey(n.Policy, p)] || len(j.db.SAs) > 0 {
		return ""
	}
	if first := n.Policy.Templates[0].ReqID; !slices.Contains(o.acquired, first) {
		return fmt.Sprintf("no ACQUIRE for reqid %d, got %v", first, o.acquired)
	}
	return ""
}

// acquireKey names what an ACQUIRE is for: it comes once for each SA. The source
// is left out: a larval SA of another source can be found where both fall into
// one bucket, since the kernel's second look, for SAs of any source, does not
// compare it (xfrm_state_find, h_wildcard).
func acquireKey(q *spd.Policy, p packet) string {
	if t := &q.Templates[0]; t.Mode == spd.Tunnel {
		return fmt.Sprint(t.ReqID, t.Dst)
	}
	return fmt.Sprint(q.Templates[0].ReqID, p.flow.Dst)
}

// note remembers what a later packet or compareUse is to be judged by.
func (j *judge) note(v *spd.Verdict, p packet, o observed) {
	for _, q := range v.Policies {
		if slices.ContainsFunc(q.Templates, func(t spd.Template) bool { return slices.Contains(o.acquired, t.ReqID) }) {
			j.acquired[acquireKey(q, p)] = true
		}
		used := j.must
		if v.Decision == spd.Protect && v.Dies() {
			used = j.may
		}
		used[q.Identity()] = true
	}
	if len(v.Policies) > 0 && v.Policies[0].Type == spd.Sub && v.Decision == spd.Discard {
		// On the way in main policies are looked up, and their time of use is
		// set, even where sub has blocked (__xfrm_policy_check).
		for _, q := range mainAfter(j.db, p) {
			j.may[q.Identity()] = true
		}
	}
}

// compareUse holds which policies the kernel says it has used.
func (w *wire) compareUse(j *judge, c *tally) (string, error) {
	policies, err := w.policies()
	if err != nil || j.loose {
		return "", err
	}
	for _, q := range policies {
		id, used := q.Identity(), q.UseTime != 0
		switch {
		case used && !j.must[id] && !j.may[id]:
			return "the kernel has used " + q.String(), nil
		case !used && j.must[id]:
			return "the kernel has not used " + q.String(), nil
		case used:
			c.used++
		}
	}
	return "", nil
}

// policies reads those of the thread's namespace.
func (w *wire) policies() ([]spd.Policy, error) {
	wait, err := newWaiter(w.ns.t.Context())
	if err != nil {
		return nil, err
	}
	defer wait.Close()
	return dumpPolicies(wait)
}

// alternatives are the verdicts if policies of equal priority had another age.
func alternatives(db *spd.Database, p packet) (out []spd.Verdict) {
	e := db.Explain(p.dir, p.flow)
	var equals [2][]spd.Policy // by type
	for i := range e.Weighed {
		w := &e.Weighed[i]
		if w.Standing == spd.Wins || w.By == spd.ByAge {
			equals[w.Policy.Type] = append(equals[w.Policy.Type], *w.Policy)
		}
	}
	for _, sub := range append(equals[spd.Sub], spd.Policy{Socket: true}) {
		for _, main := range append(mainAfter(db, p), spd.Policy{Socket: true}) {
			old := db.Clone()
			old.Policies = append([]spd.Policy{sub, main}, old.Policies...)
			out = append(out, old.Lookup(p.dir, p.flow))
		}
	}
	return out
}

// mainAfter are the main policies that may be asked, as winners or after sub.
func mainAfter(db *spd.Database, p packet) (out []spd.Policy) {
	for i := range db.Policies {
		if q := &db.Policies[i]; q.Type == spd.Main && q.Matches(p.flow) {
			out = append(out, *q)
		}
	}
	return out
}

func (tr *trial) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "defaults in %s fwd %s out %s", tr.db.Defaults.In, tr.db.Defaults.Fwd, tr.db.Defaults.Out)
	for _, d := range tr.db.Devices {
		fmt.Fprintf(&b, "\n    dev #%d disable_policy ipv4 %t ipv6 %t disable_xfrm %t", d.Index, d.NoPolicy4, d.NoPolicy6, d.NoXfrm4)
	}
	for i := range tr.db.Policies {
		fmt.Fprintf(&b, "\n    %s", &tr.db.Policies[i])
	}
	if tr.update != nil {
		fmt.Fprintf(&b, "\n    then update %s", tr.update)
	}
	for i := range tr.db.SAs {
		s := &tr.db.SAs[i]
		fmt.Fprintf(&b, "\n    SA %s mark %#x/%#x if_id %d flags %d", s, s.Mark.Value, s.Mark.Mask, s.IfID, s.Flags)
	}
	for _, p := range tr.packets[:max(0, len(tr.packets)-1)] {
		fmt.Fprintf(&b, "\n    after the packet %s", p)
	}
	return b.String()
}
