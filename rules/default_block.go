package rules

import (
	"fmt"
	"net/netip"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// DefaultBlock finds hosts that drop whatever no policy selects.
var DefaultBlock = &Rule{
	ID:       "default-block",
	Severity: Warning,
	Title:    "what no policy selects is dropped, without a trace",
	Doc: Doc{
		Symptom: "Everything that has no policy fails: applications get EPERM at once (Operation not permitted), and no counter tells why. " +
			"Neighbour discovery fails with it, so that even what has a policy gets nowhere.",
		Cause: "The default action of a direction was set to block (ip xfrm policy setdefault, XFRM_MSG_SETDEFAULT, since Linux 5.14). Unlike an " +
			"explicit policy with action block it counts nothing: neither XfrmOutPolBlock nor XfrmInPolBlock.",
		Recognised: "The default actions as the kernel tells them. A warning where neighbour discovery is blocked by them on a host that has IPv6 " +
			"addresses; else for information: it may be what somebody wanted.",
		Remedy: "Add bypasses for neighbour discovery (types 135 and 136) and whatever else is to pass, or set the defaults to accept: ip xfrm " +
			"policy setdefault in accept fwd accept out accept.",
		Sources: []string{
			"RFC 4301 section 4.4.1 (what matches no entry is discarded)",
			"Linux net/xfrm/xfrm_policy.c: xfrm_default_allow, __xfrm_policy_check, xfrm_lookup_with_ifid",
			"Linux net/xfrm/xfrm_user.c: xfrm_set_default",
		},
	},
	Needs: []string{analyze.PartPolicies, analyze.PartDefaults},
	Audit: checkDefaultBlock,
}

func checkDefaultBlock(p *Pass) {
	d := p.Host.DB.Defaults
	var dirs []string
	for _, dir := range []spd.Direction{spd.In, spd.Fwd, spd.Out} {
		if d.Action(dir) == spd.Block {
			dirs = append(dirs, dir.String())
		}
	}
	if len(dirs) == 0 {
		return
	}
	f := p.Finding()
	f.Severity, f.Confidence = Info, Certain
	f.Explanation = fmt.Sprintf("The default action of %s is block: packets that no policy selects are dropped, and no counter tells of them. "+
		"Applications that send get EPERM.", strings.Join(dirs, ", "))
	f.Evidence = []Evidence{Saw(p.Looked(), "default actions: in %s, fwd %s, out %s", d.In, d.Fwd, d.Out)}
	if caught := discoveryByDefault(p.Host); len(caught) > 0 {
		f.Severity = Warning
		f.Explanation += " Neighbour discovery is among them: before a neighbour's address is known nothing can be sent to it."
		for _, c := range caught {
			f.Evidence = append(f.Evidence, Saw(p.Looked(), "no policy selects %s", c))
		}
	}
	f.Remedies = []remedy.Remedy{{
		Action: "setdefault", Params: map[string]string{"action": "accept"},
		Title:   "if nobody wants that, let pass what no policy selects",
		Command: "ip xfrm policy setdefault in accept fwd accept out accept",
	}}
	p.Report(f)
}

// discoveryByDefault names the messages of neighbour discovery that the default
// actions drop on a host with IPv6 addresses: what it asks and answers, and what
// it is told.
func discoveryByDefault(h *analyze.Host) (caught []string) {
	own := discovering(h)
	if !own.IsValid() {
		return nil
	}
	peer := own.Next()
	for _, c := range []struct {
		dir      spd.Direction
		src, dst netip.Addr
		typ      uint8
		what     string
	}{
		{spd.Out, own, analyze.SolicitedNode(peer), spd.NeighborSolicitation, "the neighbour solicitations that it sends"},
		{spd.Out, own, peer, spd.NeighborAdvertisement, "the neighbour advertisements that it sends"},
		{spd.In, peer, analyze.SolicitedNode(own), spd.NeighborSolicitation, "the neighbour solicitations that come in"},
		{spd.In, peer, own, spd.NeighborAdvertisement, "the neighbour advertisements that come in"},
	} {
		v := h.DB.Lookup(c.dir, spd.ICMPv6Flow(c.src, c.dst, c.typ))
		if v.Decision == spd.Discard && len(v.Policies) == 0 {
			caught = append(caught, c.what)
		}
	}
	return caught
}

// discovering returns an IPv6 address of this host on a link with neighbours,
// the zero Addr where it has none.
func discovering(h *analyze.Host) netip.Addr {
	for _, a := range h.Addresses {
		x := a.Prefix.Addr()
		if x.Is6() && !x.Is4In6() && !x.IsLoopback() && a.Prefix.Bits() < 128 {
			return x
		}
	}
	return netip.Addr{}
}
