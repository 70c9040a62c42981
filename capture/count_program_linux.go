package capture

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/net/bpf"
)

// Registers of a counting program. A and X are those of classic BPF.
const (
	regA     = asm.R0
	regFrame = asm.R6 // struct __sk_buff; loads from the frame want it here
	regX     = asm.R7
	regSlots = asm.R8 // the key's countSlots, then the slot
	regStack = asm.R10
)

// Offsets in struct __sk_buff (linux/bpf.h).
const (
	frameLength   = 0
	framePktType  = 4
	frameProtocol = 16
	frameTagged   = 20
	frameIndex    = 40
)

// Places on the stack: classic BPF's scratch cells, then what counting needs.
const (
	stackCells  = -16 // four
	stackKey    = stackCells - keySize
	stackUpper  = stackKey - 16 // ports, length, checksum of UDP; SPI, sequence number
	stackDevice = stackUpper - 8
	stackSlots  = stackDevice - slotsSize
	stackFrame  = stackSlots - plainLen - 4 // such that IPv4's addresses and SPI are aligned
)

// program translates filters from classic BPF to eBPF, as the kernel itself
// does (bpf_convert_filter), and adds the counting. The maps are given by file
// descriptor.
type program struct {
	flows4, flows6            [2]int // of each room
	interval, latest, devices int
	// perFrame is added to each frame's length, to count what the framer hands
	// on; tags says that a tag that the kernel took out counts too.
	perFrame int32
	tags     bool

	code asm.Instructions
}

// translate returns the program for a filter.
func (p *program) translate(filter []bpf.Instruction) (asm.Instructions, error) {
	p.add(asm.Mov.Reg(regFrame, asm.R1), asm.Mov.Imm(regX, 0))
	for i, ins := range filter {
		at := len(p.code)
		if err := p.instruction(i, ins); err != nil {
			return nil, err
		}
		p.code[at] = p.code[at].WithSymbol(place(i))
	}
	p.tail()
	return p.code, nil
}

func (p *program) add(code ...asm.Instruction) { p.code = append(p.code, code...) }

// place is the label of a classic instruction.
func place(i int) string { return fmt.Sprint("classic ", i) }

// instruction translates the i-th instruction.
func (p *program) instruction(i int, ins bpf.Instruction) error {
	switch ins := ins.(type) {
	case bpf.LoadConstant:
		p.add(asm.Mov.Imm32(register(ins.Dst), int32(ins.Val)))
	case bpf.LoadScratch:
		p.add(asm.LoadMem(register(ins.Dst), regStack, cell(ins.N), asm.Word))
	case bpf.StoreScratch:
		p.add(asm.StoreMem(regStack, cell(ins.N), register(ins.Src), asm.Word))
	case bpf.LoadAbsolute:
		p.add(asm.LoadAbs(int32(ins.Off), width(ins.Size)))
	case bpf.LoadIndirect:
		p.add(asm.LoadInd(regA, regX, int32(ins.Off), width(ins.Size)))
	case bpf.LoadExtension:
		return p.extension(ins)
	case bpf.ALUOpConstant:
		op, ok := operations[ins.Op]
		p.add(op.Imm32(regA, int32(ins.Val)))
		return known(ok, ins)
	case bpf.ALUOpX:
		op, ok := operations[ins.Op]
		p.add(op.Reg32(regA, regX))
		return known(ok, ins)
	case bpf.TAX:
		p.add(asm.Mov.Reg32(regX, regA))
	case bpf.TXA:
		p.add(asm.Mov.Reg32(regA, regX))
	case bpf.Jump:
		p.add(asm.Ja.Label(place(i + 1 + int(ins.Skip))))
	case bpf.JumpIf:
		op, ok := conditions[ins.Cond]
		p.add(op.Imm(regA, int32(ins.Val), place(i+1+int(ins.SkipTrue))))
		p.add(asm.Ja.Label(place(i + 1 + int(ins.SkipFalse))))
		return known(ok, ins)
	case bpf.RetConstant:
		p.add(asm.Mov.Imm32(regA, int32(ins.Val)), asm.Return())
	case bpf.RetA:
		p.add(asm.Return())
	case loadDevice:
		p.device()
	case countPlain:
		p.plain(place(i + 1))
	case countFlow:
		p.count(i, ins)
	default:
		return known(false, ins)
	}
	return nil
}

// known is the error for an instruction that the filters do not use.
func known(ok bool, ins bpf.Instruction) error {
	if !ok {
		return fmt.Errorf("translate filter: %T %v", ins, ins)
	}
	return nil
}

var operations = map[bpf.ALUOp]asm.ALUOp{
	bpf.ALUOpAdd: asm.Add, bpf.ALUOpAnd: asm.And, bpf.ALUOpShiftLeft: asm.LSh,
}

var conditions = map[bpf.JumpTest]asm.JumpOp{
	bpf.JumpEqual: asm.JEq, bpf.JumpBitsSet: asm.JSet,
	bpf.JumpLessThan: asm.JLT, bpf.JumpLessOrEqual: asm.JLE,
}

func register(r bpf.Register) asm.Register {
	if r == bpf.RegX {
		return regX
	}
	return regA
}

func width(size int) asm.Size {
	return map[int]asm.Size{1: asm.Byte, 2: asm.Half, 4: asm.Word}[size]
}

func cell(n int) int16 { return int16(stackCells + 4*n) }

// extension loads what the kernel knows beside the frame.
func (p *program) extension(ins bpf.LoadExtension) error {
	p.add(asm.LoadMem(regA, regFrame, frameProtocol, asm.Word), asm.HostTo(asm.BE, regA, asm.Half))
	return known(ins.Num == bpf.ExtProto, ins)
}

// device loads the deviceKind of the frame's interface.
func (p *program) device() {
	p.add(
		asm.LoadMem(asm.R1, regFrame, frameIndex, asm.Word),
		asm.StoreMem(regStack, stackDevice, asm.R1, asm.Word),
		asm.LoadMapPtr(asm.R1, p.devices),
		asm.Mov.Reg(asm.R2, regStack), asm.Add.Imm(asm.R2, stackDevice),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "device"),
		asm.LoadMem(regA, asm.R0, 0, asm.Word),
		asm.Mov.Reg(regA, regA).WithSymbol("device"),
	)
}

// count reads the flow's SPI, its sequence number and where there are any, its
// ports, and goes on in the tail. A packet so short that its end may be padding
// is left to who reads the length that its IP header tells.
func (p *program) count(i int, c countFlow) {
	next := place(i + 1)
	from, at := c.spiAt(), int32(stackUpper+8)
	length := int32(8)
	if c.inUDP {
		from, at, length = 0, stackUpper, 16
	}
	p.countable(next)
	p.add(
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(regStack, stackUpper, asm.R1, asm.DWord),
	)
	p.loadBytes(regX, from, at, length, next)
	p.add(
		asm.StoreImm(regStack, stackKey+keyProto, 0, asm.Word),
		asm.StoreImm(regStack, stackKey+keyProto, int64(c.proto), asm.Byte),
		asm.Ja.Label("count"),
	)
}

// countable goes on where the frame's device and its length allow to count it.
func (p *program) countable(otherwise string) {
	p.add(
		asm.LoadMem(asm.R1, regStack, cell(cellDevice), asm.Word),
		asm.JNE.Imm(asm.R1, int32(deviceCounted), otherwise),
		asm.LoadMem(asm.R1, regFrame, frameLength, asm.Word),
		asm.Sub.Reg(asm.R1, regX),
		asm.JSLT.Imm(asm.R1, minCounted, otherwise),
	)
}

// minCounted is how many bytes, from the upper layer on, a packet has that is
// counted. An Ethernet frame that is padded to 60 bytes has fewer.
const minCounted = 32

// loadBytes copies bytes of the frame, off behind an offset in a register, to
// the stack.
func (p *program) loadBytes(base asm.Register, off, to, length int32, fail string) {
	p.add(
		asm.Mov.Reg(asm.R1, regFrame),
		asm.Mov.Reg32(asm.R2, base), asm.Add.Imm32(asm.R2, off),
		asm.Mov.Reg(asm.R3, regStack), asm.Add.Imm(asm.R3, to),
		asm.Mov.Imm(asm.R4, length),
		asm.FnSkbLoadBytes.Call(),
		asm.JNE.Imm(asm.R0, 0, fail),
	)
}
