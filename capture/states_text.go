package capture

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/spd/text"
)

// textState turns what texts say into a kernel's state. What they do not tell
// is in Missing, so that nothing is concluded from it.
func textState(r *text.Result) analyze.KernelState {
	k := analyze.KernelState{Policies: r.DB.Policies, SAs: r.DB.SAs, Defaults: r.DB.Defaults}
	for name, index := range r.Devices {
		k.Links = append(k.Links, analyze.Link{Index: index, Name: name})
	}
	slices.SortFunc(k.Links, func(a, b analyze.Link) int { return a.Index - b.Index })
	missing := func(part, format string, args ...any) {
		k.Missing = append(k.Missing, part+": "+fmt.Sprintf(format, args...))
	}
	for _, part := range []string{
		analyze.PartDefaults, analyze.PartNeighbors, analyze.PartLinks, analyze.PartAddresses, analyze.PartRoutes,
		analyze.PartCounters, analyze.PartSettings, analyze.PartListeners, analyze.PartClock,
	} {
		missing(part, analyze.UntoldByText)
	}
	if !slices.ContainsFunc(k.Policies, func(p spd.Policy) bool { return p.Socket }) {
		missing(analyze.PartSockets, analyze.UntoldByText)
	}
	bad, more := leftOut(r)
	switch {
	case more > 0:
		missing(analyze.PartPolicies, "what begins at %s could not be read", bad)
		missing(analyze.PartSAs, "what begins at %s could not be read", bad)
	case !whole(r) && len(k.Policies) == 0:
		missing(analyze.PartPolicies, noneHeld)
	case !whole(r) && len(k.SAs) == 0:
		missing(analyze.PartSAs, noneHeld)
	}
	return k
}

// noneHeld is the reason in Missing where the other database alone was given.
const noneHeld = "no file holds any"

// AsLoaded takes configurations (setkey.conf, ifcfg) for what they make of a host
// on which they have just been loaded: SAs that are not in them are not there.
// Otherwise it is not known whether IKE has made some.
func (s *States) AsLoaded() {
	if s.Text == nil || !configured(s.Text) {
		return
	}
	for _, k := range s.Snapshots {
		k.Missing = slices.DeleteFunc(k.Missing, func(m string) bool { return m == analyze.PartSAs+": "+noneHeld })
	}
}

// leftOut returns the first place at which something could not be read that is
// missing now, and how many places there are.
func leftOut(r *text.Result) (first text.Pos, n int) {
	for _, e := range r.Errors.List {
		if e.Incomplete {
			if n++; n == 1 {
				first = e.Pos
			}
		}
	}
	return first, n + r.Errors.More
}

// whole reports whether texts that hold no policies, or no SAs, say that there
// are none: an empty dump does, a configuration file or a dump of the other
// database does not.
func whole(r *text.Result) bool {
	return slices.ContainsFunc(r.Sources, func(s text.Source) bool { return s.Kind == text.KindEmpty }) ||
		(len(r.DB.Policies) == 0 && len(r.DB.SAs) == 0)
}

// lastNamed returns the latest time that a state names, zero where it names
// none: it is as old as that at most.
func lastNamed(k *analyze.KernelState) time.Time {
	var last uint64
	for i := range k.Policies {
		last = max(last, k.Policies[i].AddTime, k.Policies[i].UseTime)
	}
	for i := range k.SAs {
		last = max(last, k.SAs[i].Used.AddTime, k.SAs[i].Used.UseTime)
	}
	if last == 0 || last > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(last), 0).UTC()
}

// commonName names the host of several files: glass for glass.policy.txt and
// glass.state.txt, else all of them.
func commonName(names []string) string {
	names = slices.Clone(names)
	if len(names) == 1 {
		return names[0]
	}
	common := names[0]
	for _, n := range names[1:] {
		for !strings.HasPrefix(n, common) {
			common = common[:len(common)-1]
		}
	}
	const between = ".-_ "
	if i := strings.LastIndexAny(common, between); i > 0 && !strings.Contains(common, "/") {
		return strings.TrimRight(common[:i], between)
	}
	return strings.Join(names, "+")
}
