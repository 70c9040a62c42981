package live

import (
	"fmt"
	"net/netip"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/spd"
)

// glance sums up a pair in one row.
func (f *Feed) glance(p *analyze.Pair, sas map[*analyze.Host]saIndex) Row {
	r := Row{Subject: p.Key.String(), Pair: p.Key, From: p.Key.A, To: p.Key.B, order: p.Order}
	ways := f.meters.rates(p)
	for _, v := range p.Views {
		if v.Local.IsValid() && r.From != v.Local && len(r.Seen) == 0 {
			r.From, r.To = v.Local, v.Peer
		}
		r.Seen = append(r.Seen, v.Host.Origin.String())
		r.involved = r.involved || len(v.IKE) > 0 || len(v.Flows) > 0 || v.Need != nil
		r.Neighbor = worse(r.Neighbor, neighborCell(v))
		r.SAs = worse(r.SAs, sas[v.Host].cell(v))
		r.Lost = worse(r.Lost, lostCell(v))
	}
	r.IKE = ikeCell(latestIKE(p))
	r.Out, r.In = ways[0], ways[1]
	if r.From != p.Key.A {
		r.Out, r.In = r.In, r.Out
	}
	r.involved = r.involved || r.SAs.Text != ""
	if r.SAs.Tone == Good || (r.Out.Packets > 0 && r.In.Packets > 0) {
		r.standing = works
	}
	return r
}

// worse returns the cell that matters more; what says nothing matters least.
func worse(a, b Cell) Cell {
	if b.Tone > a.Tone || a.Text == "" {
		return b
	}
	return a
}

// neighborCell tells whether the ends know each other's link-layer addresses.
func neighborCell(v *analyze.View) Cell {
	for _, r := range v.Resolutions {
		if r.Open() && r.Count > 1 {
			return Cell{fmt.Sprintf("unansw. %d×", r.Count), Bad}
		}
	}
	if v.Host.KernelSeen && v.Peer.IsValid() {
		if n, _, ok := v.Host.Neighbor(v.Peer); ok {
			return Cell{n.State, nudTone(n.State)}
		}
	}
	for _, r := range v.Resolutions {
		if r.Open() {
			return Cell{"asked", Plain}
		}
		if r.Answered > 0 {
			return Cell{"answered", Good}
		}
	}
	return Cell{}
}

// nudTone tells what a neighbour's state means (RFC 4861 section 7.3.2).
func nudTone(state string) Tone {
	switch state {
	case "FAILED", "INCOMPLETE":
		return Bad
	case "REACHABLE", "PERMANENT", "NOARP":
		return Good
	}
	return Plain
}

// latestIKE returns the IKE SA of which something was heard last.
func latestIKE(p *analyze.Pair) (latest *analyze.IKESA) {
	for _, v := range p.Views {
		for _, sa := range v.IKE {
			if latest == nil || sa.Last.Mono > latest.Last.Mono {
				latest = sa
			}
		}
	}
	return latest
}

// ikeCell tells how far IKE came.
func ikeCell(sa *analyze.IKESA) Cell {
	if sa == nil {
		return Cell{}
	}
	if n := len(sa.Errors); n > 0 {
		return Cell{sa.Errors[n-1].Name, Bad}
	}
	if s, _, _ := sa.Waiting(); s != nil {
		if s.Repeats == 0 {
			return Cell{exchange(s) + " sent", Plain}
		}
		return Cell{fmt.Sprintf("%s unansw. %d×", exchange(s), s.Repeats+1), Bad}
	}
	last := &sa.FromInitiator
	if sa.FromResponder.LastSent.Mono > last.LastSent.Mono {
		last = &sa.FromResponder
	}
	if sa.BothSpoke() {
		return Cell{exchange(last) + " answered", Good}
	}
	return Cell{exchange(last) + " seen", Plain}
}

// exchange is the short name of what a side said last.
func exchange(s *analyze.Speaker) string {
	switch s.Exchange {
	case ike.ExchangeIdentityProtection:
		return "MAIN"
	case ike.ExchangeAggressive:
		return "AGGR"
	case ike.ExchangeQuickMode:
		return "QUICK"
	case ike.ExchangeIKESAInit:
		return "INIT"
	case ike.ExchangeIKEAuth:
		return "AUTH"
	case ike.ExchangeCreateChildSA:
		return "CHILD"
	case ike.ExchangeInformational, ike.ExchangeInformationalV1:
		return "INFO"
	}
	return strings.ToUpper(s.Exchange.Short())
}

// saIndex counts a host's SAs by source and destination.
type saIndex map[[2]netip.Addr]saCount

type saCount struct{ usable, larval int }

func indexSAs(h *analyze.Host) saIndex {
	x := saIndex{}
	for i := range h.DB.SAs {
		sa := &h.DB.SAs[i]
		if sa.Proto == spd.ProtoIPComp {
			continue
		}
		ends := [2]netip.Addr{sa.Src, sa.Dst}
		c := x[ends]
		switch {
		case sa.Usable():
			c.usable++
		case sa.Larval():
			c.larval++
		}
		x[ends] = c
	}
	return x
}

// cell tells which SAs the observer's kernel has: outbound and inbound ones.
func (x saIndex) cell(v *analyze.View) Cell {
	if !v.Host.KernelSeen {
		return Cell{}
	}
	from, to := v.Pair.Key.A.WithZone(""), v.Pair.Key.B.WithZone("")
	if v.Local.IsValid() {
		from, to = v.Local.WithZone(""), v.Peer.WithZone("")
	}
	out, in := x[[2]netip.Addr{from, to}], x[[2]netip.Addr{to, from}]
	needed := v.Need != nil && v.Need.Open()
	switch {
	case out.usable > 0 && in.usable > 0:
		return Cell{fmt.Sprintf("%d/%d", out.usable, in.usable), Good}
	case out.usable > 0 || in.usable > 0:
		return Cell{fmt.Sprintf("%d/%d", out.usable, in.usable), Doubtful}
	case out.larval+in.larval > 0:
		return Cell{"larval", Doubtful}
	case needed:
		return Cell{"none", Bad}
	case len(v.IKE) > 0:
		return Cell{"none", Plain}
	}
	return Cell{}
}

// lostCell counts packets that are known to be lost: gaps in the sequence
// numbers of ESP and AH, and what the kernel dropped for lack of an SA. The
// kernel counts the latter for the whole host, so it is an upper bound.
func lostCell(v *analyze.View) Cell {
	var gaps uint64
	for _, f := range v.Flows {
		gaps += f.Missing
	}
	if n := v.Need; n != nil && n.Open() {
		if dropped, _, _ := v.Host.Rise(analyze.XfrmOutNoStates, n.Since.Mono); dropped > 0 {
			return Cell{"≤" + short(float64(gaps+dropped)), Bad}
		}
	}
	if gaps > 0 {
		return Cell{short(float64(gaps)), Doubtful}
	}
	return Cell{}
}

// short writes a number in at most five columns: 9999, 12.3k, 4.5M.
func short(n float64) string {
	for _, unit := range []string{"", "k", "M", "G", "T"} {
		switch {
		case n < 10000 && unit == "":
			return fmt.Sprintf("%.0f", n)
		case n < 100:
			return fmt.Sprintf("%.1f%s", n, unit)
		case n < 1000:
			return fmt.Sprintf("%.0f%s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.0fP", n)
}
