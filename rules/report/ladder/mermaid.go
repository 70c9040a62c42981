package ladder

import (
	"fmt"
	"strings"
)

// Mermaid draws a ladder as a Mermaid sequence diagram
// (https://mermaid.js.org/syntax/sequenceDiagram.html), for tickets and wikis.
// Crossed arrows are what does not arrive, dotted ones what is not seen. Clean
// makes captured strings safe to show; what has a meaning to Mermaid is escaped
// here.
func Mermaid(l *Ladder, clean func(string) string) string {
	m := mermaid{l: l, clean: clean}
	m.line("sequenceDiagram")
	m.host(0, l.Hosts[0].Roles)
	right := l.Hosts[1].Roles
	mirrored := make([]Role, 0, len(right))
	for n := range right {
		mirrored = append(mirrored, right[len(right)-1-n])
	}
	m.host(1, mirrored)
	for n := range l.Steps {
		m.step(&l.Steps[n])
	}
	return m.b.String()
}

type mermaid struct {
	l     *Ladder
	clean func(string) string
	b     strings.Builder
}

func (m *mermaid) line(format string, args ...any) { fmt.Fprintf(&m.b, format+"\n", args...) }

// host declares the lines of a host, in a box of its name where they are several.
func (m *mermaid) host(n int, roles []Role) {
	h := &m.l.Hosts[n]
	name := h.Addr.String()
	if h.Name != "" {
		name = h.Name + " " + name
	}
	if !h.Kernel {
		m.line("  participant %s as %s", id(Place{n, Wire}), m.text(name))
		return
	}
	m.line("  box transparent %s", m.text(name))
	for _, r := range roles {
		m.line("  participant %s as %s", id(Place{n, r}), r)
	}
	m.line("  end")
}

// id names a line of the ladder.
func id(p Place) string { return fmt.Sprintf("H%d%s", p.Host+1, p.Role) }

func (m *mermaid) step(s *Step) {
	words := s.At.Time.UTC().Format(clock)
	if len(s.Marks) > 0 {
		words += " *"
	}
	words = m.text(words + " " + s.say(s.Label))
	switch {
	case s.Fate == Event:
		m.line("  Note over %s: %s", id(s.From), words)
	case s.Fate == Held && s.From.Host != s.To.Host && s.From.Role == IKE:
		m.line("  %s-x%s: %s", id(s.From), id(Place{s.From.Host, Kernel}), words)
	default:
		m.line("  %s%s%s: %s", id(s.From), arrowOf(s.Fate), id(s.To), words)
	}
}

func arrowOf(f Fate) string {
	switch f {
	case Lost, Refused:
		return "-x"
	case Held, Missing:
		return "--x"
	}
	return "->>"
}

// text escapes everything but letters, digits and harmless marks as Mermaid's
// character codes, so that nothing that was captured is taken for a part of the
// diagram, of HTML or of Markdown.
func (m *mermaid) text(s string) string {
	var b strings.Builder
	for _, r := range m.clean(s) {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9',
			strings.ContainsRune(" .,:()/+?-_→↔×…✗*", r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return b.String()
}
