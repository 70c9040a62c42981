package rules

import (
	"fmt"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// count renders a number.
func count(n uint64) string { return strconv.FormatUint(n, 10) }

// plural renders a number with its noun: "1 packet", "3 packets".
func plural(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// capitalised begins a sentence.
func capitalised(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[size:]
}

// seconds renders a duration of event time for people: "0.4 s", "12 s".
func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// policyWords names a policy in a sentence.
func policyWords(p *spd.Policy) string {
	if p == nil {
		return "a policy"
	}
	return fmt.Sprintf("the policy %s (priority %d)", p.Selector, p.Priority)
}

// selectorWords renders a selector with its interface by name.
func selectorWords(h *analyze.Host, s spd.Selector) string {
	name := h.InterfaceName(s.IfIndex)
	if name == "" {
		return s.String()
	}
	s.IfIndex = 0
	return s.String() + " dev " + name
}

// listenerWords names an IKE daemon or whoever else listens.
func listenerWords(name string, pid int) string {
	switch {
	case name != "" && pid != 0:
		return fmt.Sprintf("%s (pid %d)", name, pid)
	case name != "":
		return name
	case pid != 0:
		return fmt.Sprintf("pid %d", pid)
	}
	return "a daemon"
}

// sightingGap is the time between two sightings.
func sightingGap(a, b analyze.Sighting) time.Duration { return b.Mono - a.Mono }
