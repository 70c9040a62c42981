package report

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ipsecdiag/rules"
	"ipsecdiag/rules/remedy"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares what was written with a file under testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

var start = time.Date(2026, 11, 24, 2, 51, 9, 123e6, time.FixedZone("", 3600))

func after(d time.Duration) time.Time { return start.Add(d) }

// deadlock is a finding with everything in it.
func deadlock() rules.Finding {
	return rules.Finding{
		ID: "nd-deadlock:fd00::1 ↔ fd00::2", Rule: "nd-deadlock", Severity: rules.Error,
		Confidence: rules.Certain, State: rules.Open,
		Pair:    []netip.Addr{netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")},
		Subject: "fd00::1 ↔ fd00::2", Origins: []string{"glass", "teapot"},
		FirstSeen: after(0), LastSeen: after(5 * time.Second),
		Title: "neighbour discovery and IKE wait for each other",
		Explanation: "fd00::1 asks for the link-layer address of fd00::2. The answer needs an SA, " +
			"which IKE is to make, and IKE needs the answer first: the policy of teapot that " +
			"protects fd00::2 → fd00::1 catches the advertisement too.",
		Evidence: []rules.Evidence{
			{Time: after(-time.Second), Origin: "teapot/eth0", Frame: 12, Text: "solicitation for fd00::2 came in from fd00::1"},
			{Time: after(100 * time.Millisecond), Origin: "teapot", Text: "XfrmOutNoStates rose by 1: a packet was dropped because a policy caught it and no SA was there to carry it"},
			{Time: after(4999 * time.Millisecond), Origin: "teapot/eth0", Frame: 52, Text: "IKE_SA_INIT of fd00::2, sent 3 times"},
			{Time: after(5 * time.Second), Origin: "glass/eth0", Frame: 107, Text: "IKE_SA_INIT of fd00::2, sent 3 times"},
		},
		Remedies: []remedy.Remedy{{
			Action: "nd-bypass", Params: map[string]string{"type": "136"},
			Title: "Let neighbour discovery pass beside IPsec, on both hosts",
			Command: "ip -6 xfrm policy add src ::/0 dst ::/0 proto ipv6-icmp type 135 dir out priority 1 action allow\n" +
				"ip -6 xfrm policy add src ::/0 dst ::/0 proto ipv6-icmp type 136 dir out priority 1 action allow\n",
		}},
	}
}

func stall() rules.Finding {
	f := deadlock()
	f.ID, f.Rule, f.Title = "acquire-stall:fd00::1 ↔ fd00::2", "acquire-stall", "traffic needs an SA and none comes"
	f.Explanation = "Since 02:51:09 packets from fd00::1 to fd00::2 wait for an SA; 7 were lost."
	f.ExplainedBy = deadlock().ID
	return f
}

func lostFirst() rules.Finding {
	f := deadlock()
	f.ID, f.Rule, f.Title = "first-packet-lost:10.0.0.1 ↔ 10.0.0.2", "first-packet-lost", "the first packets were lost while the SA came up"
	f.Subject, f.Severity, f.State = "10.0.0.1 ↔ 10.0.0.2", rules.Info, rules.Resolved
	f.Explanation = "3 packets were lost in 0.2 s."
	f.Evidence, f.Remedies = nil, nil
	return f
}

func noAnswer() rules.Finding {
	f := deadlock()
	f.ID, f.Rule, f.Title = "nd-no-answer:fe80::1%eth0 ↔ fe80::2%eth0", "nd-no-answer", "nobody answers"
	f.Subject, f.Severity, f.Confidence, f.State = "fe80::1%eth0 ↔ fe80::2%eth0", rules.Warning, rules.Likely, rules.Stale
	f.Explanation = "fe80::1 asks in vain."
	f.Remedies = nil
	for i := range f.Evidence {
		f.Evidence[i].Origin = "teapot"
	}
	return f
}

func resolved(f rules.Finding) rules.Finding {
	f.State = rules.Resolved
	return f
}

func summary() Summary {
	return Summary{
		From: after(-2 * time.Second).UTC(), To: after(60 * time.Second).UTC(),
		Hosts: []string{"glass", "teapot"}, Kernels: []string{"glass", "teapot"},
		Frames: 312, IKEMessages: 24, Pairs: 1, Searches: 1,
		Losses: []Loss{{Time: after(time.Second).UTC(), Origin: "glass", What: "netlink events", Count: 3}},
	}
}

func TestText(t *testing.T) {
	noKernel := Summary{Hosts: []string{"dump.pcap"}, From: after(0).UTC(), To: after(time.Hour * 24).UTC(), Frames: 1, IKEMessages: 1}
	for name, c := range map[string]struct {
		findings []rules.Finding
		sum      Summary
		o        Options
	}{
		"deadlock.txt":        {[]rules.Finding{deadlock(), stall()}, summary(), Options{}},
		"deadlock-color.txt":  {[]rules.Finding{deadlock(), stall()}, summary(), Options{Color: true}},
		"deadlock-narrow.txt": {[]rules.Finding{deadlock(), stall()}, summary(), Options{Width: 40}},
		"several.txt":         {[]rules.Finding{deadlock(), stall(), noAnswer(), lostFirst()}, summary(), Options{}},
		"resolved.txt":        {[]rules.Finding{resolved(deadlock()), resolved(stall())}, summary(), Options{}},
		"info.txt":            {[]rules.Finding{lostFirst()}, summary(), Options{}},
		"fine.txt":            {nil, noKernel, Options{}},
		"empty.txt":           {nil, Summary{Hosts: []string{"dump.pcap"}}, Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := Text(&b, c.findings, c.sum, c.o); err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.Bytes())
			checkWidth(t, b.String(), c.o)
		})
	}
}

func TestChange(t *testing.T) {
	var b bytes.Buffer
	for _, f := range []rules.Finding{stall(), resolved(deadlock())} {
		if err := Change(&b, f, Options{}); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "change.txt", b.Bytes())
	checkWidth(t, b.String(), Options{})
}

func TestRule(t *testing.T) {
	r := &rules.Rule{ID: "nd-deadlock", Severity: rules.Error, Title: "neighbour discovery and IKE wait for each other", Doc: rules.Doc{
		Symptom: "Everything hangs.",
		Cause:   "One asks\nfor the other.\n\nIn order:\n- first this, which takes more than one line of eighty columns when it is printed\n- then that",
		Remedy:  "Run this:\n\n    ip xfrm policy\n",
		Sources: []string{"RFC 4861 section 7.2"},
	}}
	var b bytes.Buffer
	if err := Rule(&b, r, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := Rules(&b, []*rules.Rule{r, r}, Options{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "rule.txt", b.Bytes())
	checkWidth(t, b.String(), Options{})
}

// checkWidth holds that no line but the exact commands is wider than the
// terminal.
func checkWidth(t *testing.T, text string, o Options) {
	t.Helper()
	if o.Color {
		return // the same text, with sequences that take no column
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if w := displayWidth(line); w > newPage(o).Width && !strings.HasPrefix(line, "      ip ") {
			t.Errorf("%d columns: %q", w, line)
		}
	}
}

func TestColorChangesNothingElse(t *testing.T) {
	var with, without bytes.Buffer
	findings := []rules.Finding{deadlock(), stall(), noAnswer(), lostFirst()}
	if err := Text(&with, findings, summary(), Options{Color: true}); err != nil {
		t.Fatal(err)
	}
	if err := Text(&without, findings, summary(), Options{}); err != nil {
		t.Fatal(err)
	}
	stripped := with.String()
	for _, s := range []style{bold, faint, red, yellow, cyan, green, command, "0"} {
		stripped = strings.ReplaceAll(stripped, "\x1b["+string(s)+"m", "")
	}
	if stripped != without.String() {
		t.Errorf("got\n%s\nwant\n%s", stripped, without.String())
	}
}

// TestHostileText puts escape sequences into every string of a finding and of a
// summary: none may reach the terminal.
func TestHostileText(t *testing.T) {
	const evil = "\x1b]0;owned\x07\u202e\x9b31m\r\xff\u2028 漢字"
	f := deadlock()
	f.Title, f.Subject, f.Explanation, f.Rule, f.ExplainedBy = evil, evil, evil, evil, evil
	f.Origins = []string{evil}
	f.Evidence[0].Text, f.Evidence[0].Origin = evil, evil
	f.Remedies[0].Title, f.Remedies[0].Command = evil, evil
	g := stall()
	g.ExplainedBy, g.Title, g.Explanation = f.ID, evil, evil
	sum := summary()
	sum.Hosts[0], sum.Losses[0].What, sum.Losses[0].Origin = evil, evil, evil

	var b bytes.Buffer
	if err := Text(&b, []rules.Finding{f, g}, sum, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := Change(&b, f, Options{}); err != nil {
		t.Fatal(err)
	}
	if text := strings.ReplaceAll(b.String(), "\n", ""); text != Clean(text) {
		t.Errorf("not clean: %q", text)
	}
	if !strings.Contains(b.String(), `\x1b]0;owned\x07\u{202e}`) {
		t.Errorf("the escaped text is not there:\n%s", b.String())
	}
}
