package capture

import "github.com/cilium/ebpf/asm"

// tail is where the program ends for packets of flows. It finds the key's
// counts, makes them where there are none, and hands the frame up or counts it.
// X is the offset of the upper layer.
func (p *program) tail() {
	p.key()
	p.find()
	p.firstOnes()
	p.slot()
	p.addFrame()
	p.add(asm.Mov.Imm(asm.R0, 0), asm.Return())
	p.insert()
	p.add(
		asm.Mov.Reg32(asm.R0, regX).WithSymbol("hand up"),
		asm.Add.Imm32(asm.R0, flowSnap),
		asm.Return(),
	)
}

// key fills in the key on the stack, of which the protocol is there.
func (p *program) key() {
	p.add(
		asm.LoadMem(asm.R1, regStack, cell(cellFamily), asm.Word).WithSymbol("count"),
		asm.StoreMem(regStack, stackKey+keyFamily, asm.R1, asm.Byte),
		asm.LoadMem(asm.R8, regStack, cell(cellNetwork), asm.Word),
		asm.JEq.Imm(asm.R1, 6, "six"),
	)
	p.loadBytes(asm.R8, 12, stackKey+keyAddresses, 8, "hand up")
	p.add(asm.Ja.Label("addresses"))
	p.add(asm.Mov.Imm(asm.R1, 0).WithSymbol("six"))
	p.loadBytes(asm.R8, 8, stackKey+keyAddresses, 32, "hand up")
	p.add(
		asm.LoadMem(asm.R1, regStack, stackUpper+8, asm.Word).WithSymbol("addresses"),
		asm.StoreMem(regStack, stackKey+keySPI, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, regStack, stackUpper, asm.Word),
		asm.StoreMem(regStack, stackKey+keyPorts, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, regFrame, frameIndex, asm.Word),
		asm.StoreMem(regStack, stackKey+keyIndex, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, regFrame, framePktType, asm.Word),
		asm.Mov.Imm(asm.R2, 1), // analyze.DirIn
		asm.JNE.Imm(asm.R1, packetOutgoing, "incoming"),
		asm.Mov.Imm(asm.R2, 2), // analyze.DirOut
		asm.StoreMem(regStack, stackKey+keyDirection, asm.R2, asm.Byte).WithSymbol("incoming"),
	)
}

// find looks the key up in the interval's room. The interval stays in R9: one in
// which a program began is not over before it has ended.
func (p *program) find() {
	p.add(asm.LoadMapValue(asm.R1, p.interval, 0), asm.LoadMem(asm.R9, asm.R1, 0, asm.DWord))
	p.inRoom("find", asm.FnMapLookupElem)
	p.add(
		asm.JEq.Imm(asm.R0, 0, "insert").WithSymbol("find done"),
		asm.Mov.Reg(regSlots, asm.R0),
	)
}

// inRoom calls a function of maps with the key, and the map of its family that is in
// the interval's room. It goes on where its name is done.
func (p *program) inRoom(name string, f asm.BuiltinFunc) {
	p.add(
		asm.LoadMem(asm.R1, regStack, stackKey+keyFamily, asm.Byte),
		asm.JEq.Imm(asm.R1, 6, name+" six"),
		asm.JSLT.Imm(asm.R9, 0, name+" four 1"), // secondRoom
	)
	p.call(p.flows4[0], f)
	p.add(asm.Ja.Label(name+" done"), asm.Mov.Imm(asm.R0, 0).WithSymbol(name+" four 1"))
	p.call(p.flows4[1], f)
	p.add(asm.Ja.Label(name+" done"), asm.JSLT.Imm(asm.R9, 0, name+" six 1").WithSymbol(name+" six"))
	p.call(p.flows6[0], f)
	p.add(asm.Ja.Label(name+" done"), asm.Mov.Imm(asm.R0, 0).WithSymbol(name+" six 1"))
	p.call(p.flows6[1], f)
}

// call calls a function of maps with the key.
func (p *program) call(flows int, f asm.BuiltinFunc) {
	p.add(
		asm.LoadMapPtr(asm.R1, flows),
		asm.Mov.Reg(asm.R2, regStack), asm.Add.Imm(asm.R2, stackKey),
		f.Call(),
	)
}

// firstOnes hands the first frames of a key up.
func (p *program) firstOnes() {
	p.add(
		asm.LoadMem(asm.R1, regSlots, slotsHanded, asm.DWord),
		asm.JGE.Imm(asm.R1, firstFrames, "counted"),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(regSlots, slotsHanded, asm.R1, asm.DWord),
		asm.Ja.Label("hand up"),
	)
}

// slot finds the slot of the interval, and begins it where it is of an earlier
// one. That is the only time for which clocks are read: the exact one costs more
// than all else that is done for a frame, the coarse one a fifth of that.
func (p *program) slot() {
	p.add(
		asm.Mov.Reg(asm.R2, asm.R9).WithSymbol("counted"), asm.And.Imm(asm.R2, 1), asm.Mul.Imm(asm.R2, slotSize),
		asm.Add.Imm(regSlots, slotsFirst), asm.Add.Reg(regSlots, asm.R2),
		asm.LoadMem(asm.R2, regSlots, slotInterval, asm.DWord),
		asm.JEq.Reg(asm.R2, asm.R9, "begun"),
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(regSlots, slotStart, asm.R0, asm.DWord),
		asm.FnKtimeGetCoarseNs.Call(),
		asm.StoreMem(regSlots, slotCoarse, asm.R0, asm.DWord),
		asm.FnJiffies64.Call(),
		asm.StoreMem(regSlots, slotTick, asm.R0, asm.DWord),
		asm.StoreMem(regSlots, slotInterval, asm.R9, asm.DWord),
		asm.Mov.Reg(asm.R2, asm.R9), asm.And.Imm(asm.R2, 1), asm.LSh.Imm(asm.R2, 3),
		asm.LoadMapValue(asm.R1, p.latest, 0), asm.Add.Reg(asm.R1, asm.R2),
		asm.StoreMem(asm.R1, 0, asm.R9, asm.DWord),
		asm.Mov.Imm(asm.R2, 0),
		asm.StoreMem(regSlots, slotPackets, asm.R2, asm.DWord),
		asm.StoreMem(regSlots, slotBytes, asm.R2, asm.DWord),
		asm.StoreMem(regSlots, slotLongest, asm.R2, asm.Word),
	)
	p.sequence()
	p.add(
		asm.StoreMem(regSlots, slotFirstSeq, asm.R5, asm.Word),
		asm.StoreMem(regSlots, slotSmallest, asm.R5, asm.Word),
		asm.StoreMem(regSlots, slotLargest, asm.R5, asm.Word),
	)
}

// sequence loads the sequence number into R5.
func (p *program) sequence() {
	p.add(
		asm.LoadMem(asm.R5, regStack, stackUpper+12, asm.Word),
		asm.HostTo(asm.BE, asm.R5, asm.Word),
	)
}

// addFrame adds the frame to the slot. To read jiffies is no call: the kernel puts
// a load in its place (do_misc_fixups in kernel/bpf/verifier.c).
func (p *program) addFrame() {
	p.add(
		asm.FnJiffies64.Call().WithSymbol("begun"),
		asm.StoreMem(regSlots, slotEndTick, asm.R0, asm.DWord),
		asm.LoadMem(asm.R1, regSlots, slotPackets, asm.DWord),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(regSlots, slotPackets, asm.R1, asm.DWord),
	)
	p.sequence()
	p.add(
		asm.StoreMem(regSlots, slotLastSeq, asm.R5, asm.Word),
		asm.LoadMem(asm.R1, regSlots, slotSmallest, asm.Word),
		asm.JGE.Reg(asm.R5, asm.R1, "not smaller"),
		asm.StoreMem(regSlots, slotSmallest, asm.R5, asm.Word),
		asm.LoadMem(asm.R1, regSlots, slotLargest, asm.Word).WithSymbol("not smaller"),
		asm.JLE.Reg(asm.R5, asm.R1, "not larger"),
		asm.StoreMem(regSlots, slotLargest, asm.R5, asm.Word),
		asm.LoadMem(asm.R1, regFrame, frameLength, asm.Word).WithSymbol("not larger"),
		asm.Add.Imm(asm.R1, p.perFrame),
	)
	if p.tags {
		p.add(
			asm.LoadMem(asm.R2, regFrame, frameTagged, asm.Word),
			asm.JEq.Imm(asm.R2, 0, "untagged"),
			asm.Add.Imm(asm.R1, 4),
		)
	}
	p.add(
		asm.LoadMem(asm.R2, regSlots, slotBytes, asm.DWord).WithSymbol("untagged"),
		asm.Add.Reg(asm.R2, asm.R1),
		asm.StoreMem(regSlots, slotBytes, asm.R2, asm.DWord),
		asm.LoadMem(asm.R2, regSlots, slotLongest, asm.Word),
		asm.JLE.Reg(asm.R1, asm.R2, "not longer"),
		asm.StoreMem(regSlots, slotLongest, asm.R1, asm.Word),
		asm.Mov.Imm(asm.R2, 0).WithSymbol("not longer"),
	)
}

// insert makes counts for a new key. The frame is handed up in any case: where
// there is no room, so are all others of its key, and nothing goes uncounted.
func (p *program) insert() {
	p.add(asm.Mov.Imm(asm.R1, 0).WithSymbol("insert"))
	for at := slotsFirst; at < slotsSize; at += 8 {
		p.add(asm.StoreMem(regStack, int16(stackSlots+at), asm.R1, asm.DWord))
	}
	p.add(
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreMem(regStack, stackSlots+slotsHanded, asm.R1, asm.DWord),
		asm.Mov.Reg(asm.R3, regStack), asm.Add.Imm(asm.R3, stackSlots),
		asm.Mov.Imm(asm.R4, 1), // BPF_NOEXIST
	)
	p.inRoom("insert", asm.FnMapUpdateElem)
	p.add(asm.Ja.Label("hand up").WithSymbol("insert done"))
}
