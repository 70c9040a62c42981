package analyze

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"ipsecdiag/analyze/spd"
)

// maxPrintable bounds what Printable returns of one string, bytes.
const maxPrintable = 256

// Printable returns a string that may come from a stranger so that it can be
// shown in one line: control characters and what is no UTF-8 as escapes, cut to
// a bounded length.
func Printable(s string) string {
	if len(s) > maxPrintable {
		s = s[:maxPrintable] + "…"
	}
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

// Describe says in one line of words what an event is.
func Describe(e Event) string {
	switch e := e.(type) {
	case *Frame:
		return fmt.Sprintf("frame of %d bytes, direction %s", e.OrigLen, e.Direction)
	case *Flow:
		return describeFlow(e)
	case *Clear:
		return fmt.Sprintf("in the clear: %s, %d packets, direction %s", e.Key, e.Packets, e.Direction)
	case *Snapshot:
		return fmt.Sprintf("snapshot: %d policies, %d SAs, %d neighbours", len(e.Policies), len(e.SAs), len(e.Neighbors))
	case *Acquire:
		return fmt.Sprintf("ACQUIRE for %s (policy %s priority %d)",
			describeSelector(e.Selector), e.Policy.Direction, e.Policy.Priority)
	case *Expire:
		return describeExpire(e)
	case *PolicyChange:
		return describePolicyChange(e)
	case *SAChange:
		return fmt.Sprintf("SA %s: %s", Printable(string(e.Change)), &e.SA)
	case *NeighborChange:
		return describeNeighbor(e)
	case *Counters:
		return fmt.Sprintf("counters: %s", describeCounters(e.Values))
	case *Daemon:
		if e.Word != nil {
			return describeWord(e.Word)
		}
		return "listeners for ACQUIRE: " + describeListeners(e.Listeners)
	case *Lost:
		return describeLost(e)
	case *Tick:
		return "tick"
	case *Alignment:
		return fmt.Sprintf("clocks of %d files compared", len(e.Observers))
	}
	return "unknown event"
}

func describeFlow(e *Flow) string {
	return fmt.Sprintf("%s %s → %s SPI %#08x: %d packets, %d bytes, sequence %d to %d",
		spd.ProtocolName(e.Key.Proto), e.Key.Src, e.Key.Dst, e.Key.SPI, e.Packets, e.Bytes, e.FirstSeq, e.LastSeq)
}

// describeSelector says whose packets a selector of single addresses is for.
func describeSelector(s spd.Selector) string {
	if !s.Src.IsSingleIP() || !s.Dst.IsSingleIP() {
		return s.String()
	}
	text := fmt.Sprintf("%s → %s", s.Src.Addr(), s.Dst.Addr())
	if s.Proto != spd.ProtoAny {
		text += " " + spd.ProtocolName(s.Proto)
	}
	source, destination := " port ", " to port "
	if s.Proto == spd.ProtoICMP || s.Proto == spd.ProtoICMPv6 {
		source, destination = " type ", " code "
	}
	if s.SrcPortMask != 0 {
		text += source + strconv.Itoa(int(s.SrcPort))
	}
	if s.DstPortMask != 0 && !(destination == " code " && s.DstPort == 0) {
		text += destination + strconv.Itoa(int(s.DstPort))
	}
	return text
}

func describeExpire(e *Expire) string {
	how := "soft"
	if e.Hard {
		how = "hard"
	}
	switch {
	case e.SA != nil:
		return fmt.Sprintf("SA expired (%s): %s", how, e.SA)
	case e.Policy != nil:
		return fmt.Sprintf("policy expired (%s): %s", how, e.Policy)
	}
	return "expired (" + how + ")"
}

func describePolicyChange(e *PolicyChange) string {
	if d := e.Defaults; d != nil {
		return fmt.Sprintf("default policy is now in %s, fwd %s, out %s", d.In, d.Fwd, d.Out)
	}
	return fmt.Sprintf("policy %s: %s", Printable(string(e.Change)), &e.Policy)
}

func describeNeighbor(e *NeighborChange) string {
	n := e.Neighbor
	text := fmt.Sprintf("neighbour %s on interface %d %s: %s", n.Addr, n.IfIndex, Printable(string(e.Change)), Printable(n.State))
	if n.LinkAddr != "" {
		text += " at " + Printable(n.LinkAddr)
	}
	return text
}

// maxListed bounds the entries of a list in a description.
const maxListed = 16

func describeCounters(values map[string]uint64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(parts) == maxListed {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, fmt.Sprintf("%s %d", Printable(name), values[name]))
	}
	return strings.Join(parts, ", ")
}

func describeListeners(listeners []Listener) string {
	if len(listeners) == 0 {
		return "none"
	}
	var parts []string
	for _, l := range listeners {
		if len(parts) == maxListed {
			parts = append(parts, "…")
			break
		}
		name := Printable(l.Name)
		if name == "" {
			name = "unknown process"
		}
		parts = append(parts, fmt.Sprintf("%s (%s)", name, Printable(l.Via)))
	}
	return strings.Join(parts, ", ")
}

func describeLost(e *Lost) string {
	if e.Count == 0 {
		return "lost: " + Printable(e.What)
	}
	return fmt.Sprintf("lost: %s (%d)", Printable(e.What), e.Count)
}
