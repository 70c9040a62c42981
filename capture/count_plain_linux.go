package capture

import (
	"github.com/cilium/ebpf/asm"

	"ipsecdiag/analyze/spd"
)

// plainLen is what countPlain reads of a frame, bytes: the headers of Ethernet
// and IPv6, SPI and sequence number.
const plainLen = 14 + 40 + 8

// Offsets in a plain frame.
const (
	plainEtherType = 12
	plainIPv4      = 14
	plainFragment  = plainIPv4 + 6
	plainProtocol  = plainIPv4 + 9
	plainAddress4  = plainIPv4 + 12
	plainSPI4      = plainIPv4 + 20
	plainIPv6      = 14
	plainNext      = plainIPv6 + 6
	plainAddress6  = plainIPv6 + 8
	plainSPI6      = plainIPv6 + 40
)

// plain fills in the key of a plain frame, or jumps to otherwise. A frame that
// is counted is long enough for one read.
func (p *program) plain(otherwise string) {
	p.add(asm.Mov.Imm(regX, plainSPI6))
	p.countable(otherwise)
	p.add(asm.Mov.Imm(asm.R1, 0), asm.Mov.Imm(asm.R8, 0))
	p.loadBytes(asm.R8, 0, stackFrame, plainLen, otherwise)
	p.add(
		asm.Mov.Imm(asm.R2, 0),
		asm.StoreMem(regStack, stackUpper, asm.R2, asm.DWord),
		asm.LoadMem(asm.R1, regStack, stackFrame+plainEtherType, asm.Half),
		asm.HostTo(asm.BE, asm.R1, asm.Half),
		asm.JEq.Imm(asm.R1, etherIPv6, "plain six"),
		asm.JNE.Imm(asm.R1, etherIPv4, otherwise),
	)
	p.plainIPv4(otherwise)
	p.plainIPv6(otherwise)
}

func (p *program) plainIPv4(otherwise string) {
	p.add(
		asm.LoadMem(asm.R1, regStack, stackFrame+plainIPv4, asm.Byte),
		asm.JNE.Imm(asm.R1, 0x45, otherwise), // version 4, header of 5 words
		asm.LoadMem(asm.R1, regStack, stackFrame+plainProtocol, asm.Byte),
		asm.JNE.Imm(asm.R1, spd.ProtoESP, otherwise),
		asm.LoadMem(asm.R1, regStack, stackFrame+plainFragment, asm.Half),
		asm.HostTo(asm.BE, asm.R1, asm.Half),
		asm.JSet.Imm(asm.R1, 0x1fff, otherwise),
		asm.LoadMem(asm.R1, regStack, stackFrame+plainAddress4, asm.DWord),
		asm.StoreMem(regStack, stackKey+keyAddresses, asm.R1, asm.DWord),
	)
	p.plainFlow(plainSPI4, 4)
}

func (p *program) plainIPv6(otherwise string) {
	p.add(
		asm.LoadMem(asm.R1, regStack, stackFrame+plainNext, asm.Byte).WithSymbol("plain six"),
		asm.JNE.Imm(asm.R1, spd.ProtoESP, otherwise),
	)
	for i := int16(0); i < 32; i += 4 {
		p.add(
			asm.LoadMem(asm.R1, regStack, stackFrame+plainAddress6+i, asm.Word),
			asm.StoreMem(regStack, stackKey+keyAddresses+i, asm.R1, asm.Word),
		)
	}
	p.plainFlow(plainSPI6, 6)
}

// plainFlow goes on in the tail with what it wants to know.
func (p *program) plainFlow(spi int16, family int64) {
	p.add(
		asm.Mov.Imm(regX, int32(spi)),
		asm.LoadMem(asm.R1, regStack, stackFrame+spi, asm.Word),
		asm.StoreMem(regStack, stackUpper+8, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, regStack, stackFrame+spi+4, asm.Word),
		asm.StoreMem(regStack, stackUpper+12, asm.R1, asm.Word),
		asm.StoreImm(regStack, stackKey+keyProto, 0, asm.Word),
		asm.StoreImm(regStack, stackKey+keyProto, spd.ProtoESP, asm.Byte),
		asm.StoreImm(regStack, stackKey+keyFamily, family, asm.Byte),
		asm.Ja.Label("addresses"),
	)
}
