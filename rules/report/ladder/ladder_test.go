package ladder

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/timeline"
	"ipsecdiag/rules"
)

var base = time.Date(2026, 11, 24, 4, 59, 28, 0, time.UTC)

func at(d time.Duration) analyze.Sighting { return analyze.Sighting{Time: base.Add(d), Mono: d} }

// deadlock is a small ladder with every kind of step in it.
func deadlock() *Ladder {
	a, b := netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
	l := &Ladder{Pair: analyze.MakePairKey(a, b)}
	l.Hosts[0] = Host{Addr: a, Name: "glass", Kernel: true, Roles: []Role{App, IKE, Kernel}}
	l.Hosts[1] = Host{Addr: b, Name: "teapot", Kernel: true, Roles: []Role{IKE, Kernel}}
	app, ike, kernel := Place{0, App}, Place{0, IKE}, Place{0, Kernel}
	peer, peerIKE := Place{1, Kernel}, Place{1, IKE}
	l.Steps = []Step{
		{ID: "s1", Kind: timeline.Acquire, At: at(0), From: app, To: kernel, Fate: Held, Confidence: rules.Certain, Label: "ping", Why: "needs an SA first: dropped"},
		{ID: "s2", Kind: timeline.Acquire, At: at(1e6), From: kernel, To: ike, Label: "ACQUIRE: asks IKE for an SA", Marks: []Mark{{"f", 0}}},
		{ID: "s3", Kind: timeline.NS, At: at(2e6), Last: at(9e9), Count: 9, From: kernel, To: peer, Label: "NS: who has fd00::2?", Marks: []Mark{{"f", 1}}},
		{ID: "s4", Kind: timeline.NA, At: at(2e6), From: peer, To: kernel, Fate: Held, Label: "NA", Why: "needs an SA first: dropped"},
		{ID: "s5", Kind: timeline.IKE, At: at(3e6), From: peerIKE, To: ike, Label: "IKE_SA_INIT request 0: SA, KE, Nonce, and more that does not fit", Brief: "IKE_SA_INIT request 0"},
		{ID: "s6", Kind: timeline.IKE, At: at(3e6), From: ike, To: peerIKE, Fate: Held, Label: "IKE answer", Why: "needs the NA first"},
		{ID: "s7", Kind: timeline.NA, At: at(4e6), From: peer, To: kernel, Fate: Refused, Label: "NA: here is fd00::2", Why: "dropped", Confidence: rules.Certain},
		{ID: "s8", Kind: timeline.NS, At: at(5e6), From: kernel, To: peer, Fate: Lost, Label: "NS", Why: "does not arrive"},
		{ID: "s9", Kind: timeline.Neighbor, At: at(6e6), From: peer, To: peer, Fate: Event, Label: "neighbour glass: FAILED"},
		{ID: "s10", Kind: timeline.IKE, At: at(7e6), From: ike, To: peerIKE, Fate: Missing, Label: "IKE answer", Why: "none is seen"},
	}
	return l
}

func options() TextOptions {
	return TextOptions{Clean: func(s string) string { return strings.ReplaceAll(s, "\x1b", `\x1b`) }, Columns: func(s string) int { return len([]rune(s)) }}
}

func draw(l *Ladder, o TextOptions) string {
	var b strings.Builder
	for _, line := range Text(l, o) {
		b.WriteString(line.Text + "\n")
	}
	return b.String()
}

func TestText(t *testing.T) {
	const want = `              glass fd00::1                                      teapot fd00::2
              app   IKE  kernel                                      kernel IKE
04:59:28.000   │──────────✗│ ping needs an SA first: dropped           │     │
04:59:28.001*  │     │◀────│ ACQUIRE: asks IKE for an SA               │     │
04:59:28.002*  │     │     │───────── NS: who has fd00::2? ×9 ────────▶│     │
04:59:28.002   │     │     │┄ NA needs an SA first: dropped (likely) ┄✗│     │
04:59:28.003   │     │◀─────────────── IKE_SA_INIT request 0 ────────────────│
04:59:28.003   │     │────✗│ IKE answer needs the NA first (likely)    │     │
04:59:28.004   │     │     │✗───── NA: here is fd00::2, dropped ───────│     │
04:59:28.005   │     │     │────── NS: does not arrive (likely) ─────✗ │     │
04:59:28.006   │     │     │                   neighbour glass: FAILED ●     │
04:59:28.007   │     │┄┄┄┄┄┄┄┄┄┄┄┄┄┄ IKE answer: none is seen ┄┄┄┄┄┄┄┄┄┄┄┄┄┄?│
`
	if got := draw(deadlock(), options()); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestTextInASCII(t *testing.T) {
	o := options()
	o.ASCII = true
	for _, r := range draw(deadlock(), o) {
		if r > 126 {
			t.Fatalf("%q in\n%s", r, draw(deadlock(), o))
		}
	}
	if got := draw(deadlock(), o); !strings.Contains(got, "|--------- NS: who has fd00::2? x9 -------->|") {
		t.Errorf("got\n%s", got)
	}
}

// TestTextFits draws long names and words into every width that a terminal may
// have, and with lines whose text needs the whole of it.
func TestTextFits(t *testing.T) {
	l := deadlock()
	l.Hosts[0].Name = strings.Repeat("glass", 20)
	l.Hosts[1].Addr = netip.MustParseAddr("2001:db8:1234:5678:90ab:cdef:1234:5678")
	for n := range l.Steps {
		l.Steps[n].Why += strings.Repeat(" and so on", n)
	}
	l.Steps[8].Label = strings.Repeat("x", 300)
	for width := 60; width <= 200; width++ {
		o := options()
		o.Width = width
		for _, line := range Text(l, o) {
			if n := len([]rune(line.Text)); n > width {
				t.Fatalf("%d columns of %d: %q", n, width, line.Text)
			}
			if line.Step >= 0 && !strings.Contains(line.Text, "│") {
				t.Fatalf("width %d: no line of a host in %q", width, line.Text)
			}
		}
	}
}

// TestTextNarrow holds that a ladder keeps its shape where it finds no room: the
// hosts stay on their sides, and only the ends of lines stick out.
func TestTextNarrow(t *testing.T) {
	least := draw(deadlock(), TextOptions{Width: 1, Indent: 4, Clean: options().Clean, Columns: options().Columns})
	for width := 2; width < 40; width++ {
		o := options()
		o.Width, o.Indent = width, 4
		if got := draw(deadlock(), o); got != least {
			t.Fatalf("%d columns:\n%swant\n%s", width, got, least)
		}
	}
	if !strings.Contains(least, "    04:59:28.001*  │     │◀────│ ACQUIRE:") {
		t.Errorf("the left host is not on the left:\n%s", least)
	}
}

func TestTextCleans(t *testing.T) {
	l := deadlock()
	l.Hosts[0].Name = "gl\x1bass"
	l.Steps[1].Label, l.Steps[3].Why = "\x1b[2J", "\x1b]0;x"
	if got := draw(l, options()); strings.Contains(got, "\x1b") || !strings.Contains(got, `\x1b[2J`) {
		t.Errorf("got %q", got)
	}
}

func TestFoldKeepsTheOrderOfNews(t *testing.T) {
	l := &Ladder{}
	add := func(kind timeline.Kind, key string) {
		n := len(l.Steps)
		l.Steps = append(l.Steps, Step{Kind: kind, At: at(time.Duration(n)), Last: at(time.Duration(n)), Count: 1, Label: key, key: key, Item: new(timeline.Item)})
	}
	for _, key := range strings.Fields("ns ns ns ike ns ike ns ike") {
		kind := timeline.NS
		if key == "ike" {
			kind = timeline.IKE
		}
		add(kind, key)
	}
	words := func(l *Ladder) string {
		var all []string
		for n := range l.Steps {
			all = append(all, l.Steps[n].say(l.Steps[n].Label))
		}
		return strings.Join(all, ", ")
	}
	if got := words(l.Folded()); got != "ns ×3, ike ×3, ns ×2" {
		t.Errorf("folded: %s", got)
	}
	if got := words(l.Decisive("", 9)); got != "ns ×5, ike ×3" {
		t.Errorf("decisive: %s", got)
	}
	if len(l.Steps) != 8 || l.Steps[0].Count != 1 {
		t.Error("folding changed the ladder that it was made from")
	}
}

func TestMermaid(t *testing.T) {
	const want = `sequenceDiagram
  box transparent glass fd00::1
  participant H1app as app
  participant H1IKE as IKE
  participant H1kernel as kernel
  end
  box transparent teapot fd00::2
  participant H2kernel as kernel
  participant H2IKE as IKE
  end
  H1app--xH1kernel: 04:59:28.000 ping needs an SA first: dropped
  H1kernel->>H1IKE: 04:59:28.001 * ACQUIRE: asks IKE for an SA
  H1kernel->>H2kernel: 04:59:28.002 * NS: who has fd00::2? ×9
  H2kernel--xH1kernel: 04:59:28.002 NA needs an SA first: dropped (likely)
  H2IKE->>H1IKE: 04:59:28.003 IKE_SA_INIT request 0: SA, KE, Nonce, and more that does not fit
  H1IKE-xH1kernel: 04:59:28.003 IKE answer needs the NA first (likely)
  H2kernel-xH1kernel: 04:59:28.004 NA: here is fd00::2, dropped
  H1kernel-xH2kernel: 04:59:28.005 NS: does not arrive (likely)
  Note over H2kernel: 04:59:28.006 neighbour glass: FAILED
  H1IKE--xH2IKE: 04:59:28.007 IKE answer: none is seen
`
	if got := Mermaid(deadlock(), options().Clean); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestMermaidEscapes holds that what was captured ends no line, no entity and no
// fence, and is no markup.
func TestMermaidEscapes(t *testing.T) {
	l := deadlock()
	l.Hosts[0].Name = "a;b#c<script>\x1b`end"
	l.Steps[0].Label = "x; participant y\n```<b>%%{init"
	got := Mermaid(l, options().Clean)
	for _, bad := range []string{"<", ">x", "`", "\x1b", "%", "{", "participant y\n", "\n`"} {
		if strings.Contains(got, bad) {
			t.Errorf("%q in\n%s", bad, got)
		}
	}
	if lines := strings.Count(got, "\n"); lines != strings.Count(Mermaid(deadlock(), options().Clean), "\n") {
		t.Errorf("%d lines in\n%s", lines, got)
	}
	if !strings.Contains(got, "a#59;b#35;c#60;script#62;") {
		t.Errorf("got\n%s", got)
	}
}
