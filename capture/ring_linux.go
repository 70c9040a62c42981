package capture

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The ring's shape. Version 3 packs frames of any length behind each other, so
// that the short copies of ESP cost what they are long; version 2 would need
// slots of the longest frame. A block is handed over when it is full, or
// retireMillis after its first frame, twice that at most: that is how late an
// event can be.
const (
	ringBlockSize = 256 << 10 // above the longest control frame
	ringBlocks    = 16        // 4 MiB in all
	retireMillis  = 30
	// ringFrameSize only has to be aligned and fit a block: version 3 makes no
	// slots of it.
	ringFrameSize = 2048
)

// ring is the memory of a TPACKET_V3 receive ring, shared with the kernel
// (Documentation/networking/packet_mmap.rst). A block belongs to whom its status
// word says; the reader visits the blocks in turn.
type ring struct {
	mem       []byte
	blockSize int
	at        int // offset of the block that is read next
}

// mapRing gives a packet socket a ring and maps it.
func mapRing(fd int) (*ring, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return nil, fmt.Errorf("set packet ring version 3: %w", err)
	}
	req := &unix.TpacketReq3{
		Block_size:     ringBlockSize,
		Block_nr:       ringBlocks,
		Frame_size:     ringFrameSize,
		Frame_nr:       ringBlockSize / ringFrameSize * ringBlocks,
		Retire_blk_tov: retireMillis,
	}
	if err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, req); err != nil {
		return nil, fmt.Errorf("set up packet ring: %w", err)
	}
	mem, err := unix.Mmap(fd, 0, ringBlockSize*ringBlocks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map packet ring: %w", err)
	}
	return &ring{mem: mem, blockSize: ringBlockSize}, nil
}

// block returns the next block if the kernel has handed it over, else nil. It
// is the reader's until release.
func (r *ring) block() []byte {
	if atomic.LoadUint32(r.status())&unix.TP_STATUS_USER == 0 {
		return nil
	}
	return r.mem[r.at : r.at+r.blockSize : r.at+r.blockSize]
}

// release gives the block back to the kernel and goes on to the next.
func (r *ring) release() {
	atomic.StoreUint32(r.status(), unix.TP_STATUS_KERNEL)
	if r.at += r.blockSize; r.at >= len(r.mem) {
		r.at = 0
	}
}

// status returns the status word of the current block, which orders what the
// kernel wrote before it against what is read after it: tpacket_hdr_v1's first
// field, behind tpacket_block_desc's version and offset_to_priv. This is the
// package's only use of unsafe: sync/atomic needs a pointer.
func (r *ring) status() *uint32 {
	word := r.mem[r.at+blockStatusAt : r.at+blockStatusAt+4 : r.at+blockStatusAt+4]
	return (*uint32)(unsafe.Pointer(&word[0]))
}

// close unmaps the ring. No slice of a block may be used after it.
func (r *ring) close() error { return unix.Munmap(r.mem) }
