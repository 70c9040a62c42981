package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// Audited is what an audit looked at on one host.
type Audited struct {
	Origin   string    `json:"origin"`
	Time     time.Time `json:"time,omitzero"`
	Policies int       `json:"policies"`
	// SocketPolicies are those of single sockets; they are not among Policies.
	SocketPolicies int          `json:"socket_policies"`
	SAs            int          `json:"sas"`
	Defaults       spd.Defaults `json:"defaults"`
	Listeners      []string     `json:"listeners"` // programs that listen for ACQUIREs
	Unknown        []string     `json:"unknown"`   // parts that nobody can tell of, with the reason
}

// SummarizeAudit tells what an audit of a state looked at.
func SummarizeAudit(s *analyze.State) Summary {
	sum := Summarize(s)
	sum.Audited = []Audited{}
	for _, h := range s.Hosts {
		if h.Generation > 0 {
			sum.Audited = append(sum.Audited, audited(h))
		}
	}
	return sum
}

func audited(h *analyze.Host) Audited {
	a := Audited{
		Origin: h.Origin.String(), Time: h.Changed.Time.UTC(), SAs: len(h.DB.SAs), Defaults: h.DB.Defaults,
		Listeners: []string{}, Unknown: append([]string{}, h.Missing...),
	}
	for i := range h.DB.Policies {
		if h.DB.Policies[i].Socket {
			a.SocketPolicies++
		}
	}
	a.Policies = len(h.DB.Policies) - a.SocketPolicies
	for _, l := range h.Listeners {
		a.Listeners = append(a.Listeners, listener(l))
	}
	return a
}

func listener(l analyze.Listener) string {
	name, about := l.Name, []string(nil)
	if name == "" {
		name = "somebody"
	}
	if l.PID != 0 {
		about = append(about, fmt.Sprintf("pid %d", l.PID))
	}
	if l.Via == "pfkey" {
		about = append(about, "by PF_KEY")
	}
	if l.Monitor {
		about = append(about, "a mere monitor")
	}
	if len(about) == 0 {
		return name
	}
	return name + " (" + strings.Join(about, ", ") + ")"
}

// String says in a sentence what was looked at.
func (a *Audited) String() string {
	parts := []string{}
	if !a.unknown(analyze.PartPolicies) {
		s := policies(a.Policies)
		if a.SocketPolicies > 0 {
			s += fmt.Sprintf(" and %d of single sockets", a.SocketPolicies)
		}
		parts = append(parts, s)
	}
	if !a.unknown(analyze.PartSAs) {
		parts = append(parts, count(uint64(a.SAs), "SA"))
	}
	if !a.unknown(analyze.PartListeners) {
		if len(a.Listeners) == 0 {
			parts = append(parts, "nobody listens for ACQUIREs")
		} else {
			parts = append(parts, "for ACQUIREs listens "+list(a.Listeners))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing that could be read"}
	}
	s := a.Origin + ": " + strings.Join(parts, ", ")
	if !a.Time.IsZero() && !a.unknown(analyze.PartClock) {
		s += ", as it was at " + a.Time.Format(time.DateTime) + " UTC"
	}
	return s + "."
}

func policies(n int) string {
	if n == 1 {
		return "1 policy"
	}
	return fmt.Sprintf("%d policies", n)
}

func (a *Audited) unknown(part string) bool {
	for _, u := range a.Unknown {
		if strings.HasPrefix(u, part+":") {
			return true
		}
	}
	return false
}

// missing names what is not known, in one sentence: what cannot be read of it,
// with the reason, and what a text does not tell anyway.
func (a *Audited) missing() string {
	var silent, broken []string
	for _, u := range a.Unknown {
		part, why, _ := strings.Cut(u, ": ")
		switch {
		case why != analyze.UntoldByText:
			broken = append(broken, part+" ("+why+")")
		case part != analyze.PartClock:
			silent = append(silent, part)
		}
	}
	if len(silent) > 0 {
		broken = append(broken, strings.Join(silent, ", "))
	}
	return strings.Join(broken, "; ")
}

// auditedLines writes what an audit looked at, and what it could not.
func (p *page) auditedLines(sum *Summary) {
	for i := range sum.Audited {
		a := &sum.Audited[i]
		p.hang("Looked at ", bold, plain, a.String())
		if m := a.missing(); m != "" {
			p.hang("Not known ", yellow, plain, a.Origin+": "+m+".")
		}
	}
}

// judged reports whether anything could be read that an audit judges.
func (s *Summary) judged() bool {
	return slices.ContainsFunc(s.Audited, func(a Audited) bool {
		return !a.unknown(analyze.PartPolicies) || !a.unknown(analyze.PartSAs)
	})
}
