package capture

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// assembler builds a classic BPF program with named jump targets. Every jump is
// the unconditional one, whose distance has 32 bits, behind a test that skips
// it: the 8-bit distances of conditional jumps never limit the program.
type assembler struct {
	code   []bpf.Instruction
	labels map[string]int // place of each label
	jumps  map[int]string // instructions that are jumps to a label

	base  uint32 // what X counts from, as the kernel's loads take it
	scope string // sets labels of the same name apart

	counting bool // the program is for eBPF and counts flows itself
}

func newAssembler() *assembler {
	return &assembler{labels: map[string]int{}, jumps: map[int]string{}}
}

// add appends instructions.
func (a *assembler) add(ins ...bpf.Instruction) { a.code = append(a.code, ins...) }

// label names the place of the next instruction within the scope.
func (a *assembler) label(name string) { a.labels[a.scope+name] = len(a.code) }

// jump goes to a label of the scope, which must lie ahead.
func (a *assembler) jump(target string) {
	a.jumps[len(a.code)] = a.scope + target
	a.add(bpf.Jump{})
}

// jumpIf goes to a label if the accumulator compares so with val.
func (a *assembler) jumpIf(cond bpf.JumpTest, val uint32, target string) {
	a.add(bpf.JumpIf{Cond: cond, Val: val, SkipFalse: 1})
	a.jump(target)
}

// jumpIfAny goes to a label if the accumulator equals one of the values.
func (a *assembler) jumpIfAny(target string, values ...uint32) {
	for _, val := range values {
		a.jumpIf(bpf.JumpEqual, val, target)
	}
}

// finish resolves the labels. Classic BPF has no jumps backwards.
func (a *assembler) finish() ([]bpf.Instruction, error) {
	for at, target := range a.jumps {
		to, ok := a.labels[target]
		if !ok || to <= at {
			return nil, fmt.Errorf("filter: label %q does not lie ahead of instruction %d", target, at)
		}
		a.code[at] = bpf.Jump{Skip: uint32(to - at - 1)}
	}
	return a.code, nil
}

// Scratch cells, in a counting program all of them.
const (
	cellType    = iota // of the header that follows
	cellNetwork        // offset of the network header
	cellFamily         // 4 or 6
	cellDevice         // deviceKind of the frame's interface
)

// The helpers below keep the program's convention: X holds the offset of the
// header that is being looked at, scratch cell 0 the type of what follows.

// load reads size bytes at offset off of the current header.
func (a *assembler) load(off uint32, size int) {
	a.add(bpf.LoadIndirect{Off: a.base + off, Size: size})
}

// keep puts the accumulator aside, recall brings it back.
func (a *assembler) keep()   { a.add(bpf.StoreScratch{Src: bpf.RegA, N: cellType}) }
func (a *assembler) recall() { a.add(bpf.LoadScratch{Dst: bpf.RegA, N: cellType}) }

// note keeps X, noteFamily an address family, for a program that counts.
func (a *assembler) note(cell int) {
	if a.counting {
		a.add(bpf.StoreScratch{Src: bpf.RegX, N: cell})
	}
}

func (a *assembler) noteFamily(family uint32) {
	if a.counting {
		a.add(bpf.LoadConstant{Dst: bpf.RegA, Val: family}, bpf.StoreScratch{Src: bpf.RegA, N: cellFamily})
	}
}

func (a *assembler) countPlain() {
	if a.counting {
		a.add(countPlain{})
	}
}

// count labels what a program does with a packet of a flow: one that counts has
// an instruction for it, which goes on with the next where the packet is to be
// handed up; for others it is the label alone.
func (a *assembler) count(label string, what countFlow) {
	a.label(label)
	if a.counting {
		a.add(what)
		a.jump("flow")
	}
}

// advance moves X on by n bytes; the accumulator is lost.
func (a *assembler) advance(n uint32) {
	a.add(bpf.TXA{}, bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: n}, bpf.TAX{})
}

// advanceA moves X on by the accumulator.
func (a *assembler) advanceA() {
	a.add(bpf.ALUOpX{Op: bpf.ALUOpAdd}, bpf.TAX{})
}
