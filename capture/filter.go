package capture

import (
	"fmt"

	"golang.org/x/net/bpf"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// What the filter's verdict says about the bytes to copy.
const (
	// controlSnap lets a control frame through whole: the longest IP packet.
	controlSnap = 0x40000
	// flowSnap is how much of ESP, AH and ESP-in-UDP is copied from the upper
	// layer's first byte on: 8 bytes of ESP, 12 of AH, 16 of UDP and ESP make a
	// flow's key and sequence number.
	flowSnap = 24
)

// Bounds of the unrolled loops; classic BPF cannot jump backwards.
const (
	filterTags = 2 // 802.1Q inside 802.1ad
	// filterExtensions is how many IPv6 extension headers are followed.
	// RFC 8200 section 4.1 knows at most seven before the upper layer.
	filterExtensions = 8
)

// EtherTypes, and protocol numbers that analyze/spd does not name.
const (
	etherIPv4    = 0x0800
	etherARP     = 0x0806
	etherVLAN    = 0x8100
	etherIPv6    = 0x86dd
	etherQinQ    = 0x88a8
	etherOldQinQ = 0x9100

	protoHopByHop = 0
	protoFragment = 44
	protoMobility = 135
	protoHIP      = 139
	protoShim6    = 140
)

// networkHeader, as a base of loads, is where the kernel says that the network
// header is: SKF_NET_OFF (linux/filter.h).
const networkHeader = 0xfff00000

// maxLinkHeader is what is copied besides where the link layer's header is of
// unknown length.
const maxLinkHeader = 64

// newFilter returns the program that picks, out of all traffic, what
// Packet.Interesting and Packet.Flow want: ESP and AH, UDP 500 and 4500, the
// later fragments of UDP, neighbour discovery, ARP, and the errors of ICMP and
// ICMPv6 (whether they concern IPsec is seen when they are decoded), all with
// and without VLAN tags. Its verdict is the number of bytes to copy.
//
// Later fragments name no port: those of any UDP packet pass in IPv4, in IPv6
// those whose fragment header is followed by UDP. Fragments of ESP and AH past
// the first say nothing and do not pass.
//
// It is for SOCK_RAW on any device. In Ethernet frames it reads the EtherType
// and the tags itself: what the kernel says of frames whose tag stands in the
// data differs between versions, directions and devices. For other devices it
// asks the kernel for the EtherType and the place of the network header.
//
// With interfaces given, it passes frames of these only.
func newFilter(interfaces []int) ([]bpf.Instruction, error) {
	a := newAssembler()
	a.interfaces(interfaces)
	a.add(bpf.LoadExtension{Num: bpf.ExtLinkLayerType})
	a.jumpIfAny("ethernet", hatypeEther, hatypeLoopback)
	a.network()
	a.ethernet()
	return a.finish()
}

// network judges frames of devices that have no Ethernet header.
func (a *assembler) network() {
	a.base = networkHeader
	a.add(bpf.LoadConstant{Dst: bpf.RegX, Val: 0}, bpf.LoadExtension{Num: bpf.ExtProto})
	a.packet("network ", maxLinkHeader)
}

// ethernet judges frames of devices that have one.
func (a *assembler) ethernet() {
	a.base = 0
	a.label("ethernet")
	a.countPlain()
	a.add(bpf.LoadConstant{Dst: bpf.RegX, Val: 14}, bpf.LoadAbsolute{Off: 12, Size: 2})
	a.skipTags()
	a.packet("ethernet ", 0)
}

// packet expects the EtherType in A and the network header's offset in X, and
// judges the packet. Its labels are in a scope of their own; more is copied of
// flows than what X counts.
func (a *assembler) packet(scope string, more uint32) {
	a.scope = scope
	a.note(cellNetwork)
	a.jumpIf(bpf.JumpEqual, etherIPv4, "ipv4")
	a.jumpIf(bpf.JumpEqual, etherIPv6, "ipv6")
	a.jumpIf(bpf.JumpEqual, etherARP, "control")
	a.jump("drop")
	a.ipv4()
	a.ipv6()
	a.upper()
	a.udp()
	a.icmp()
	a.verdicts(more)
	a.scope = ""
}

// interfaces ends the program for frames of interfaces that are not listed.
func (a *assembler) interfaces(indexes []int) {
	if len(indexes) == 0 {
		return
	}
	a.add(bpf.LoadExtension{Num: bpf.ExtInterfaceIndex})
	for _, index := range indexes {
		a.jumpIf(bpf.JumpEqual, uint32(index), "listed")
	}
	a.add(bpf.RetConstant{Val: 0})
	a.label("listed")
}

// skipTags expects the EtherType in A and its header's offset in X, and moves
// on behind VLAN tags: control information (2), EtherType (2). The kernel has
// taken the outer tag of most frames before they come here.
func (a *assembler) skipTags() {
	for i := range filterTags {
		tag := fmt.Sprint("tag", i)
		a.jumpIfAny(tag, etherVLAN, etherQinQ, etherOldQinQ)
		a.jump("untagged")
		a.label(tag)
		a.load(2, 2)
		a.keep()
		a.advance(4)
		a.recall()
	}
	a.label("untagged")
}

// ipv4 moves X to the upper layer and leaves its protocol in A.
func (a *assembler) ipv4() {
	a.label("ipv4")
	a.noteFamily(4)
	a.load(6, 2) // flags and fragment offset
	a.jumpIf(bpf.JumpBitsSet, 0x1fff, "ipv4 fragment")
	a.load(9, 1)
	a.keep()
	a.load(0, 1)
	a.add(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x0f})
	a.add(bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2})
	a.advanceA()
	a.recall()
	a.jumpIf(bpf.JumpEqual, spd.ProtoICMP, "icmp")
	a.jump("upper")

	a.label("ipv4 fragment")
	a.load(9, 1)
	a.jumpIf(bpf.JumpEqual, spd.ProtoUDP, "control")
	a.jump("drop")
}

// ipv6 walks the chain of extension headers.
func (a *assembler) ipv6() {
	a.label("ipv6")
	a.noteFamily(6)
	a.load(6, 1)
	a.keep()
	a.advance(40)
	a.recall()
	for i := range filterExtensions {
		a.extension(i)
	}
	a.jump("ipv6 upper")

	a.label("ipv6 fragment")
	a.load(0, 1)
	a.jumpIf(bpf.JumpEqual, spd.ProtoUDP, "control")
	a.jump("drop")

	a.label("ipv6 upper")
	a.jumpIf(bpf.JumpEqual, spd.ProtoICMPv6, "icmpv6")
	a.jump("upper")
}

// extension expects the header's type in A and its offset in X, and moves both
// on by one header (RFC 8200 section 4.3: next header (1), length in 8 bytes
// beyond the first 8 (1)). The fragment header has 8 bytes.
func (a *assembler) extension(i int) {
	skip, fragment, next := fmt.Sprint("skip", i), fmt.Sprint("fragment", i), fmt.Sprint("next", i)
	a.jumpIfAny(skip, protoHopByHop, spd.ProtoRouting, spd.ProtoDstOpts,
		protoMobility, protoHIP, protoShim6)
	a.jumpIf(bpf.JumpEqual, protoFragment, fragment)
	a.jump("ipv6 upper")

	a.label(skip)
	a.load(0, 1)
	a.keep()
	a.load(1, 1)
	a.add(bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 1})
	a.add(bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 3})
	a.advanceA()
	a.jump(next)

	a.label(fragment)
	a.load(2, 2) // offset (13 bits), reserved (2), more (1)
	a.jumpIf(bpf.JumpBitsSet, 0xfff8, "ipv6 fragment")
	a.load(0, 1)
	a.keep()
	a.advance(8)

	a.label(next)
	a.recall()
}

// upper tells the upper layers apart that IPv4 and IPv6 have in common.
func (a *assembler) upper() {
	a.label("upper")
	a.jumpIf(bpf.JumpEqual, spd.ProtoESP, "esp")
	a.jumpIf(bpf.JumpEqual, spd.ProtoAH, "ah")
	a.jumpIf(bpf.JumpEqual, spd.ProtoUDP, "udp")
	a.jump("drop")
}

// udp picks the ports of IKE. On port 4500, four bytes that are not zero are an
// SPI (RFC 3948 section 2.2); a keepalive has one byte, told by UDP's length.
// Between 4500 and 500 it is IKE: see Packet.Flow.
func (a *assembler) udp() {
	a.label("udp")
	for _, port := range []struct {
		number uint32
		target string
	}{{analyze.PortIKE, "control"}, {analyze.PortNATT, "natt"}} {
		for _, off := range []uint32{0, 2} { // source port, destination port
			a.load(off, 2)
			a.jumpIf(bpf.JumpEqual, port.number, port.target)
		}
	}
	a.jump("drop")

	a.label("natt")
	a.load(4, 2)
	a.jumpIf(bpf.JumpLessThan, 8+4, "control")
	a.load(8, 4)
	a.jumpIf(bpf.JumpEqual, 0, "control")
	a.jump("encapsulated")
}

// icmp picks the errors and neighbour discovery by type.
func (a *assembler) icmp() {
	a.label("icmp")
	a.load(0, 1)
	// Destination unreachable (fragmentation needed is its code 4), time
	// exceeded, parameter problem (RFC 792).
	a.jumpIfAny("control", 3, 11, 12)
	a.jump("drop")

	a.label("icmpv6")
	a.load(0, 1)
	a.jumpIfAny("control", 1, 2, 3, 4) // RFC 4443 section 3
	a.jumpIf(bpf.JumpLessThan, spd.RouterSolicitation, "drop")
	a.jumpIf(bpf.JumpLessOrEqual, spd.Redirect, "control")
	a.jump("drop")
}

// verdicts are the program's ends.
func (a *assembler) verdicts(more uint32) {
	a.label("drop")
	a.add(bpf.RetConstant{Val: 0})
	a.label("control")
	a.add(bpf.RetConstant{Val: controlSnap})
	a.count("esp", countFlow{proto: spd.ProtoESP})
	a.count("ah", countFlow{proto: spd.ProtoAH})
	a.count("encapsulated", countFlow{proto: spd.ProtoESP, inUDP: true})
	a.label("flow")
	a.add(bpf.TXA{}, bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: flowSnap + more}, bpf.RetA{})
}
