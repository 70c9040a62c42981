package capture

import (
	"errors"

	"golang.org/x/net/bpf"
)

// deviceKind says how a counting program treats the frames of an interface.
type deviceKind uint32

const (
	deviceUnknown  deviceKind = iota // not told yet
	deviceCounted                    // Ethernet; its flows are counted in the kernel
	deviceEthernet                   // Ethernet; its flows are handed up, since a related device may show them too
	deviceOther                      // has no Ethernet header
)

// errNotClassic is returned for an instruction that only eBPF knows.
var errNotClassic = errors.New("not an instruction of classic BPF")

// countFlow is an instruction that counts the packet of a flow whose upper
// layer begins at X. Where it has counted, the program ends and the frame is
// not handed up; otherwise the next instruction follows.
type countFlow struct {
	proto uint8
	inUDP bool // behind a UDP header
}

// Assemble returns errNotClassic.
func (countFlow) Assemble() (bpf.RawInstruction, error) { return bpf.RawInstruction{}, errNotClassic }

// spiAt returns where the SPI and the sequence number behind it are in the
// upper layer (RFC 4303 section 2, RFC 4302 section 2, RFC 3948 section 2.1).
func (c countFlow) spiAt() int32 {
	switch {
	case c.inUDP:
		return 8
	case c.proto == protoAH:
		return 4
	}
	return 0
}

// loadDevice is an instruction that loads the deviceKind of the frame's
// interface.
type loadDevice struct{}

// Assemble returns errNotClassic.
func (loadDevice) Assemble() (bpf.RawInstruction, error) { return bpf.RawInstruction{}, errNotClassic }

// countPlain is an instruction that counts the packet of a flow if the frame is
// what nearly all are: untagged, ESP behind an IPv4 header without options or
// behind an IPv6 header alone. It reads the frame once where the instructions
// for all kinds of frames read it eight times, and decides as they do.
// Otherwise the next instruction follows.
type countPlain struct{}

// Assemble returns errNotClassic.
func (countPlain) Assemble() (bpf.RawInstruction, error) { return bpf.RawInstruction{}, errNotClassic }

// newCountingFilter returns newFilter's program with instructions that count.
// It is for one Ethernet device, or where several is set, for those that it is
// told of; frames of other devices get the verdict unknown.
func newCountingFilter(several bool, unknown uint32) ([]bpf.Instruction, error) {
	a := newAssembler()
	if several {
		a.add(loadDevice{})
	} else {
		a.add(bpf.LoadConstant{Dst: bpf.RegA, Val: uint32(deviceCounted)})
	}
	a.add(bpf.StoreScratch{Src: bpf.RegA, N: cellDevice})
	a.jumpIfAny("ethernet", uint32(deviceCounted), uint32(deviceEthernet))
	a.jumpIf(bpf.JumpEqual, uint32(deviceOther), "network")
	a.add(bpf.RetConstant{Val: unknown})
	a.label("network")
	a.network()
	a.counting = true
	a.ethernet()
	return a.finish()
}
