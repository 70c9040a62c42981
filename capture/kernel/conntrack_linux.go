package kernel

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/capture/netns"
)

// maxTracked bounds what is read of the table of tracked connections, in bytes:
// some 20,000 of them. One that stands further behind is not found.
const maxTracked = 4 << 20

// OpenTracked opens the namespace's table of tracked connections; the error is
// fs.ErrNotExist where there is none (nothing is tracked, or the kernel was built
// without CONFIG_NF_CONNTRACK_PROCFS).
func OpenTracked(ns string) (table *os.File, err error) {
	err = netns.Do(ns, func() error {
		if table, err = os.Open(proc("/proc").net("nf_conntrack")); err != nil {
			return fmt.Errorf("read tracked connections: %w", err)
		}
		return nil
	})
	return table, err
}

// Translations returns what packets were before the namespace's NAT changed them,
// by what they are on the wire, where it did. It reads the table of tracked
// connections. ICMP's identifiers are no part of a key: where one such connection
// was not changed, nothing is said.
func Translations(table io.Reader, keys []analyze.ClearKey) map[analyze.ClearKey]analyze.ClearKey {
	table = io.LimitReader(table, maxTracked)
	wanted := map[analyze.ClearKey]bool{}
	for _, k := range keys {
		wanted[k] = true
	}
	was := map[analyze.ClearKey]analyze.ClearKey{}
	for lines := bufio.NewScanner(table); lines.Scan(); {
		before, wire, ok := trackedLine(lines.Text())
		if !ok || !wanted[wire] {
			continue
		}
		if before == wire {
			wanted[wire] = false
			delete(was, wire)
			continue
		}
		was[wire] = before
	}
	return was
}

// trackedLine reads one line (net/netfilter/nf_conntrack_standalone.c:
// ct_seq_show): what the first packet was, and what it is on the wire, which is
// what its answer has turned:
//
//	ipv4     2 udp      17 29 src=10.9.0.9 dst=10.0.2.2 sport=5353 dport=53 [UNREPLIED] src=10.0.2.2 dst=10.0.1.1 sport=53 dport=1024 mark=0 zone=0 use=2
//	ipv4     2 icmp     1 29 src=10.9.0.9 dst=10.0.2.2 type=8 code=0 id=7 src=10.0.2.2 dst=10.0.1.1 type=0 code=0 id=7 mark=0 zone=0 use=2
func trackedLine(line string) (before, wire analyze.ClearKey, ok bool) {
	words := strings.Fields(line)
	if len(words) < 6 {
		return before, wire, false
	}
	proto, err := strconv.ParseUint(words[3], 10, 8)
	if err != nil {
		return before, wire, false
	}
	before.Proto, wire.Proto = uint8(proto), uint8(proto)
	side := -1 // 0: the first packet, 1: its answer
	for _, word := range words[4:] {
		name, value, found := strings.Cut(word, "=")
		if !found {
			continue
		}
		if name == "src" {
			side++
		}
		switch side {
		case 0:
			tracked(&before, name, value)
		case 1:
			tracked(&wire, turnedField[name], value)
		}
	}
	if proto == spd.ProtoICMP || proto == spd.ProtoICMPv6 {
		wire.SrcPort, wire.DstPort = before.SrcPort, before.DstPort
	}
	return before, wire, before.Src.IsValid() && wire.Src.IsValid() && wire.Dst.IsValid()
}

// turnedField tells which field of a packet is which of its answer's.
var turnedField = map[string]string{"src": "dst", "dst": "src", "sport": "dport", "dport": "sport"}

// tracked takes one field of a line. ICMP's type and code stand where ports do.
func tracked(k *analyze.ClearKey, name, value string) {
	switch name {
	case "src":
		k.Src, _ = netip.ParseAddr(value)
	case "dst":
		k.Dst, _ = netip.ParseAddr(value)
	case "sport", "type":
		k.SrcPort = port(value)
	case "dport", "code":
		k.DstPort = port(value)
	}
}

// port is 0 for what is none.
func port(text string) uint16 {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}
