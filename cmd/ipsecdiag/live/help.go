package live

import (
	"fmt"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"ipsecdiag/analyze"
)

// help lists the keys and what the signs of the list mean.
type help struct{ pane pane }

func newHelp(*Model) *help { return &help{} }

func (h *help) focus() analyze.PairKey { return analyze.PairKey{} }

func (h *help) title(*Model) string { return "keys" + h.pane.place() }

func (h *help) hints(*Model) []hint { return []hint{{"↑↓", "scroll"}, {"Esc", "back"}} }

func (h *help) press(_ *Model, k tea.KeyPressMsg) tea.Cmd {
	h.pane.press(k)
	return nil
}

func (h *help) lines(m *Model, width, height int) []string {
	return h.pane.lines(helpText(), width, height)
}

// legend tells what stands in the list.
var legend = []struct{ sign, means string }{
	{"✗", "an error is open"},
	{"!", "a warning is open"},
	{"~", "an error or a warning is over"},
	{"i", "something is worth knowing"},
	{"✓", "SAs stand, or ESP goes both ways"},
	{"·", "nothing is known to work or to fail"},
	{"", ""},
	{"neighbour", "the kernel's state of the peer's neighbour entry, or what was"},
	{"", "seen of neighbour discovery and ARP: unansw. 9× is nine"},
	{"", "solicitations without an answer"},
	{"IKE", "the last exchange (INIT is IKE_SA_INIT, MAIN is main mode) and"},
	{"", "whether it was answered, or the error that was notified"},
	{"SAs", "usable SAs out/in that the kernel has; larval: the kernel has"},
	{"", "asked for one and waits; none: there is none"},
	{"→ ←", "ESP and AH packets, from the first address to the second and"},
	{"", "back: a second, over the last three; of a file all of them"},
	{"lost", "gaps in the ESP sequence numbers; ≤: packets that the kernel"},
	{"", "dropped for lack of an SA, of the whole host"},
}

func helpText() string {
	var b strings.Builder
	b.WriteString(bold.Render("Keys") + "\n")
	for _, k := range []key.Binding{
		keys.up, keys.pageUp, keys.top, keys.left,
		keys.open, keys.finding, keys.next, keys.explain, keys.filter, keys.record, keys.help, keys.back, keys.quit, keys.suspend,
	} {
		fmt.Fprintf(&b, "  %s %s\n", fit(k.Help().Key, 11), k.Help().Desc)
	}
	b.WriteString("\n" + bold.Render("The list") + "\n")
	for _, l := range legend {
		fmt.Fprintf(&b, "  %s %s\n", fit(l.sign, 11), l.means)
	}
	return b.String()
}
