package capture

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"ipsecdiag/analyze"
)

// filterVM returns the filter as package bpf's machine can run it for a kind of
// device. The machine has none of what the kernel knows beside a frame, so these
// loads become constants; the network header is taken to be at the front, since
// only frames of Ethernet have a header before it here.
func filterVM(t *testing.T, hatype, etherType uint16) *bpf.VM {
	t.Helper()
	code, err := newFilter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, ins := range code {
		switch ins := ins.(type) {
		case bpf.LoadExtension:
			known := map[bpf.Extension]uint16{bpf.ExtProto: etherType, bpf.ExtLinkLayerType: hatype}
			code[i] = bpf.LoadConstant{Dst: bpf.RegA, Val: uint32(known[ins.Num])}
		case bpf.LoadIndirect:
			ins.Off &^= networkHeader
			code[i] = ins
		}
	}
	vm, err := bpf.NewVM(code)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// verdict names what the filter says about a frame.
func verdict(t *testing.T, vm *bpf.VM, frame []byte) (kind string, snap int) {
	t.Helper()
	snap, err := vm.Run(frame)
	switch {
	case err != nil:
		t.Fatal(err)
	case snap == 0:
		return "drop", 0
	case snap == controlSnap:
		return "control", snap
	}
	return "flow", snap
}

// packetCase is an IP packet, or ARP, and what the filter must say about it.
type packetCase struct {
	name      string
	etherType uint16
	packet    []byte
	want      string
}

// filterCases are all kinds of packets that are wanted, and near misses.
func filterCases() []packetCase {
	var cases []packetCase
	for _, u := range upperCases() {
		if u.family != 6 {
			cases = append(cases, packetCase{"ipv4 " + u.name, etherIPv4, ipv4(u.proto, 0, u.bytes), u.want})
			cases = append(cases, packetCase{"ipv4 options " + u.name, etherIPv4, ipv4Options(u.proto, u.bytes), u.want})
		}
		if u.family == 4 {
			continue
		}
		cases = append(cases, packetCase{"ipv6 " + u.name, etherIPv6, ipv6(u.proto, u.bytes), u.want})
		for _, chain := range []string{"h", "r", "d", "f", "hdrf", "hdrfd", "mis", "dddddddd"} {
			next, body := chained(chain, u.proto, u.bytes)
			cases = append(cases, packetCase{"ipv6 " + chain + " " + u.name, etherIPv6, ipv6(next, body), u.want})
		}
	}
	return append(cases, fragmentCases()...)
}

type upperCase struct {
	name   string
	family int // 4 or 6 where it belongs to one only
	proto  uint8
	bytes  []byte
	want   string
}

func upperCases() []upperCase {
	pad := make([]byte, 40)
	cases := []upperCase{
		{"esp", 0, 50, pad, "flow"},
		{"ah", 0, 51, pad, "flow"},
		{"ike", 0, 17, udp(500, 500, pad), "control"},
		{"ike from elsewhere", 0, 17, udp(1027, 500, pad), "control"},
		{"ike to elsewhere", 0, 17, udp(500, 1027, pad), "control"},
		{"ike marked", 0, 17, udp(4500, 4500, pad), "control"},
		{"ike unmarked from 4500", 0, 17, udp(4500, 500, []byte{1, 2, 3, 4, 0, 0, 0, 1, 9, 9}), "control"},
		{"ike unmarked to 4500", 0, 17, udp(500, 4500, []byte{1, 2, 3, 4, 0, 0, 0, 1, 9, 9}), "control"},
		{"esp in udp", 0, 17, udp(4500, 61234, []byte{1, 2, 3, 4, 0, 0, 0, 1, 9, 9}), "flow"},
		{"esp in udp back", 0, 17, udp(61234, 4500, []byte{0, 0, 0, 4, 0, 0, 0, 1, 9, 9}), "flow"},
		{"keepalive", 0, 17, udp(4500, 4500, []byte{0xff}), "control"},
		{"empty natt", 0, 17, udp(4500, 4500, nil), "control"},
		{"dns", 0, 17, udp(53, 53, pad), "drop"},
		{"port 501", 0, 17, udp(501, 499, pad), "drop"},
		{"tcp", 0, 6, append([]byte{1, 244, 1, 244}, pad...), "drop"},
		{"tcp 4500", 0, 6, append([]byte{17, 148, 17, 148}, pad...), "drop"},
		{"gre", 0, 47, pad, "drop"},
		{"ipip with esp inside", 0, 4, ipv4(50, 0, pad), "drop"},
		{"ipv6 tunnel with esp inside", 0, 41, ipv6(50, pad), "drop"},
		{"sctp", 0, 132, pad, "drop"},
		{"icmp over ipv6", 6, 1, append([]byte{3, 4}, pad...), "drop"},
		{"icmpv6 over ipv4", 4, 58, append([]byte{135, 0}, pad...), "drop"},
		{"no next header", 6, 59, pad, "drop"},
	}
	for typ := range 256 {
		v4, v6 := "drop", "drop"
		if typ == 3 || typ == 11 || typ == 12 {
			v4 = "control"
		}
		if typ >= 1 && typ <= 4 || typ >= 133 && typ <= 137 {
			v6 = "control"
		}
		body := append([]byte{byte(typ), 0}, pad...)
		cases = append(cases,
			upperCase{fmt.Sprint("icmp ", typ), 4, 1, body, v4},
			upperCase{fmt.Sprint("icmpv6 ", typ), 6, 58, body, v6})
	}
	return cases
}

func fragmentCases() []packetCase {
	pad := make([]byte, 40)
	later := func(proto uint8) []byte { return ipv6(44, append([]byte{proto, 0, 0, 8, 0, 0, 0, 1}, pad...)) }
	return []packetCase{
		{"arp", etherARP, make([]byte, 28), "control"},
		{"lldp", 0x88cc, pad, "drop"},
		{"ipv4 first fragment ike", etherIPv4, ipv4(17, 0x2000, udp(500, 500, pad)), "control"},
		{"ipv4 first fragment dns", etherIPv4, ipv4(17, 0x2000, udp(53, 53, pad)), "drop"},
		{"ipv4 first fragment esp", etherIPv4, ipv4(50, 0x2000, pad), "flow"},
		{"ipv4 later fragment udp", etherIPv4, ipv4(17, 0x2001, pad), "control"},
		{"ipv4 last fragment udp", etherIPv4, ipv4(17, 0x00b9, pad), "control"},
		{"ipv4 don't fragment dns", etherIPv4, ipv4(17, 0x4000, udp(53, 53, pad)), "drop"},
		{"ipv4 later fragment esp", etherIPv4, ipv4(50, 1, pad), "drop"},
		{"ipv4 later fragment icmp", etherIPv4, ipv4(1, 1, append([]byte{3, 4}, pad...)), "drop"},
		{"ipv6 later fragment udp", etherIPv6, later(17), "control"},
		{"ipv6 later fragment esp", etherIPv6, later(50), "drop"},
		{"ipv6 later fragment icmpv6", etherIPv6, later(58), "drop"},
		{"ipv6 nine extension headers", etherIPv6, tooManyExtensions(), "drop"},
		{"ipv6 chain cut", etherIPv6, ipv6(0, nil), "drop"},
	}
}

func tooManyExtensions() []byte {
	next, body := chained("ddddddddd", 50, make([]byte, 40))
	return ipv6(next, body)
}

// tagCases are the ways in which a frame can be tagged.
var tagCases = map[string][]uint16{
	"untagged": nil,
	"vlan":     {etherVLAN},
	"qinq":     {etherQinQ, etherVLAN},
	"old qinq": {etherOldQinQ, etherVLAN},
	"double":   {etherVLAN, etherVLAN},
}

func TestFilterEthernet(t *testing.T) {
	vm := filterVM(t, hatypeEther, 0)
	for tags, tpids := range tagCases {
		for _, c := range filterCases() {
			frame := ethernet(c.etherType, tpids, c.packet)
			checkVerdict(t, vm, tags+" "+c.name, analyze.LinkEthernet, frame, 0, c.want)
		}
	}
}

func TestFilterOtherDevices(t *testing.T) {
	for _, c := range filterCases() {
		vm := filterVM(t, hatypeNone, c.etherType)
		checkVerdict(t, vm, c.name, analyze.LinkRaw, c.packet, maxLinkHeader, c.want)
	}
}

// checkVerdict runs the filter over a frame and holds its verdict against the
// wanted one and against what the decoder thinks of the frame. Of a flow that
// many more bytes may be copied than are needed.
func checkVerdict(t *testing.T, vm *bpf.VM, name string, link analyze.LinkType, frame []byte, more int, want string) {
	t.Helper()
	got, snap := verdict(t, vm, frame)
	if got != want {
		t.Errorf("%s: %s, want %s", name, got, want)
		return
	}
	var p analyze.Packet
	err := p.Decode(link, frame)
	whole, _, flow := p.Flow()
	if got == "drop" && err == nil && (flow || p.Interesting()) && !strings.Contains(name, "nine") {
		t.Errorf("%s: the decoder wants what the filter drops", name)
	}
	if got != "flow" {
		return
	}
	if exact := len(frame) - len(p.Upper) + flowSnap + more; snap != exact {
		t.Errorf("%s: %d bytes are copied, want %d", name, snap, exact)
	}
	if p.Decode(link, frame[:min(snap, len(frame))]) != nil {
		t.Fatalf("%s: cut to %d bytes it cannot be decoded", name, snap)
	}
	if key, _, ok := p.Flow(); !ok || key != whole {
		t.Errorf("%s: cut to %d bytes the flow is %v, want %v", name, snap, key, whole)
	}
}

// A frame that ends before the filter knows what it is does not pass.
func TestFilterCut(t *testing.T) {
	vm := filterVM(t, hatypeEther, 0)
	next, body := chained("hdrf", 17, udp(500, 500, nil))
	frame := ethernet(etherIPv6, []uint16{etherQinQ, etherVLAN}, ipv6(next, body))
	for n := range len(frame) - 6 { // the source port is there
		if got, _ := verdict(t, vm, frame[:n]); got != "drop" {
			t.Errorf("cut to %d of %d bytes: %s, want drop", n, len(frame), got)
		}
	}
}

// The kernel takes at most 4096 instructions (BPF_MAXINSNS).
func TestFilterLength(t *testing.T) {
	many := make([]int, 1000)
	code, err := newFilter(many)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := bpf.Assemble(code); err != nil || len(raw) > 4096 {
		t.Errorf("%d instructions for 1000 interfaces: %v", len(raw), err)
	}
}

// The builders below make packets that are well-formed as far as the filter
// and the decoder look.

func ethernet(etherType uint16, tpids []uint16, packet []byte) []byte {
	b := bytes.Repeat([]byte{2}, 12)
	for _, tpid := range tpids {
		b = append(b, byte(tpid>>8), byte(tpid), 0, 5)
	}
	b = append(b, byte(etherType>>8), byte(etherType))
	return append(b, packet...)
}

func ipv4(proto uint8, frag uint16, upper []byte) []byte {
	b := make([]byte, 20, 20+len(upper))
	b[0], b[8], b[9] = 0x45, 64, proto
	b[2], b[3] = byte((20+len(upper))>>8), byte(20+len(upper))
	b[6], b[7] = byte(frag>>8), byte(frag)
	copy(b[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	return append(b, upper...)
}

// ipv4Options is ipv4 with the longest header there is.
func ipv4Options(proto uint8, upper []byte) []byte {
	b := ipv4(proto, 0, append(make([]byte, 40), upper...))
	b[0] = 0x4f
	return b
}

func ipv6(next uint8, payload []byte) []byte {
	b := make([]byte, 40, 40+len(payload))
	b[0], b[6], b[7] = 0x60, next, 255
	b[4], b[5] = byte(len(payload)>>8), byte(len(payload))
	b[8], b[23], b[24], b[39] = 0xfd, 1, 0xfd, 2
	return append(b, payload...)
}

// chained puts extension headers in front of an upper layer: h hop-by-hop, r
// routing, d destination options, m mobility, i HIP, s shim6, each 16 bytes
// long, and f a first fragment's header. It returns the first header's type.
func chained(chain string, proto uint8, upper []byte) (next uint8, body []byte) {
	types := map[byte]uint8{'h': 0, 'r': 43, 'd': 60, 'm': 135, 'i': 139, 's': 140, 'f': 44}
	next, body = proto, upper
	for i := len(chain) - 1; i >= 0; i-- {
		header := make([]byte, 16)
		header[0], header[1] = next, 1
		if chain[i] == 'f' {
			header = []byte{next, 0, 0, 1, 0, 0, 0, 7}
		}
		next, body = types[chain[i]], append(header, body...)
	}
	return next, body
}

func udp(src, dst uint16, payload []byte) []byte {
	n := 8 + len(payload)
	b := []byte{byte(src >> 8), byte(src), byte(dst >> 8), byte(dst), byte(n >> 8), byte(n), 0xab, 0xcd}
	return append(b, payload...)
}
