package capture

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"

	"golang.org/x/net/bpf"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// ClearOptions say which packets LiveClear looks for.
type ClearOptions struct {
	// Interfaces, Netns, Host and Warn are those of LiveOptions.
	Interfaces []string
	Netns      string
	Host       string
	Warn       func(string)
	Guards     *Guards
	// Tracked opens the table of tracked connections; nil: kernel.OpenTracked.
	Tracked func() (*os.File, error)
}

// Guards are the packets that are looked for in the clear. They are set by who
// knows the policies, and read by LiveClear.
type Guards struct {
	mu      sync.Mutex
	list    []analyze.Guard
	changed chan struct{}
}

// NewGuards returns an empty list.
func NewGuards() *Guards { return &Guards{changed: make(chan struct{}, 1)} }

// Set replaces the list.
func (g *Guards) Set(list []analyze.Guard) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if slices.Equal(g.list, list) {
		return
	}
	g.list = slices.Clone(list)
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

func (g *Guards) get() []analyze.Guard {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.list
}

// clearSnap is what is copied of a packet in the clear: IP header, some extension
// headers or options, and the ports.
const clearSnap = 128

// pktHost is PACKET_HOST (linux/if_packet.h).
const pktHost = 0

// newClearFilter returns the program that picks packets that a guard may mean and
// that are neither ESP, AH, IKE nor neighbour discovery. It is for SOCK_DGRAM:
// the data begins with the network header. It compares the address of the other
// end alone; who reads compares the rest.
func newClearFilter(guards []analyze.Guard) ([]bpf.Instruction, error) {
	a := newAssembler()
	a.add(bpf.LoadExtension{Num: bpf.ExtProto})
	a.jumpIf(bpf.JumpEqual, etherIPv4, "ipv4")
	a.jumpIf(bpf.JumpEqual, etherIPv6, "ipv6")
	a.jump("drop")
	a.label("ipv4")
	a.clearIPv4()
	a.peers(guards, 4)
	a.label("ipv6")
	a.clearIPv6()
	a.peers(guards, 6)
	a.label("drop")
	a.add(bpf.RetConstant{Val: 0})
	a.label("take")
	a.add(bpf.RetConstant{Val: clearSnap})
	return a.finish()
}

// clearIPv4 drops what is no matter of a guard (RFC 791).
func (a *assembler) clearIPv4() {
	a.add(bpf.LoadAbsolute{Off: 6, Size: 2})
	a.jumpIf(bpf.JumpBitsSet, 0x1fff, "drop")
	a.add(bpf.LoadAbsolute{Off: 9, Size: 1})
	a.jumpIfAny("drop", spd.ProtoESP, spd.ProtoAH)
	a.jumpIf(bpf.JumpEqual, spd.ProtoUDP, "udp4")
	a.jump("peers4")
	a.label("udp4")
	a.add(bpf.LoadMemShift{Off: 0})
	a.ports(bpf.LoadIndirect{Off: 0, Size: 2}, bpf.LoadIndirect{Off: 2, Size: 2})
	a.label("peers4")
}

// clearIPv6 does so for IPv6. Packets with extension headers pass: who reads them
// follows the chain.
func (a *assembler) clearIPv6() {
	a.add(bpf.LoadAbsolute{Off: 6, Size: 1})
	a.jumpIfAny("drop", spd.ProtoESP, spd.ProtoAH)
	a.jumpIf(bpf.JumpEqual, spd.ProtoICMPv6, "icmp6")
	a.jumpIf(bpf.JumpEqual, spd.ProtoUDP, "udp6")
	a.jump("peers6")
	a.label("icmp6")
	a.add(bpf.LoadAbsolute{Off: 40, Size: 1})
	a.jumpIf(bpf.JumpLessThan, 130, "peers6")           // errors and echo
	a.jumpIf(bpf.JumpLessOrEqual, spd.Redirect, "drop") // multicast listeners, neighbour discovery
	a.jump("peers6")
	a.label("udp6")
	a.ports(bpf.LoadAbsolute{Off: 40, Size: 2}, bpf.LoadAbsolute{Off: 42, Size: 2})
	a.label("peers6")
}

// ports drops IKE.
func (a *assembler) ports(src, dst bpf.Instruction) {
	for _, load := range []bpf.Instruction{src, dst} {
		a.add(load)
		a.jumpIfAny("drop", analyze.PortIKE, analyze.PortNATT)
	}
}

// peers compares the address of the other end with the guards of one family, and
// ends the program.
func (a *assembler) peers(guards []analyze.Guard, family int) {
	for i, g := range guards {
		peer, off := g.Selector.Dst, map[int]uint32{4: 16, 6: 24}[family]
		pkt := uint32(packetOutgoing)
		if g.Direction == analyze.DirIn {
			peer, pkt = g.Selector.Src, pktHost
			off = map[int]uint32{4: 12, 6: 8}[family]
		}
		if !peer.IsValid() || peer.Addr().Is4() != (family == 4) {
			continue
		}
		next := fmt.Sprintf("next%d-%d", family, i)
		a.add(bpf.LoadExtension{Num: bpf.ExtType})
		a.unless(pkt, next)
		a.prefix(peer, off, next)
		a.jump("take")
		a.label(next)
	}
	a.jump("drop")
}

// unless goes to a label where the accumulator is another value.
func (a *assembler) unless(val uint32, target string) {
	a.add(bpf.JumpIf{Cond: bpf.JumpEqual, Val: val, SkipTrue: 1})
	a.jump(target)
}

// prefix goes to a label where the address at an offset is not in a prefix.
func (a *assembler) prefix(p netip.Prefix, off uint32, otherwise string) {
	bits, addr := p.Bits(), p.Masked().Addr().AsSlice()
	for at := 0; bits > 0; at, bits = at+4, bits-32 {
		mask := uint32(0xffffffff)
		if bits < 32 {
			mask <<= 32 - bits
		}
		word := uint32(addr[at])<<24 | uint32(addr[at+1])<<16 | uint32(addr[at+2])<<8 | uint32(addr[at+3])
		a.add(bpf.LoadAbsolute{Off: off + uint32(at), Size: 4})
		if mask != 0xffffffff {
			a.add(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask})
		}
		a.unless(word, otherwise)
	}
}
