package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"ipsecdiag/fixtures/bounds"
)

// testBlock is a block as the kernel lays it out, made of frames of the given
// bytes, each with a VLAN tag that the kernel took out.
func testBlock(frames ...[]byte) []byte {
	u16, u32 := binary.NativeEndian.PutUint16, binary.NativeEndian.PutUint32
	block := make([]byte, blockHeaderLen)
	u32(block[blockFramesAt:], uint32(len(frames)))
	u32(block[blockFirstAt:], blockHeaderLen)
	for i, data := range frames {
		b := make([]byte, 96+len(data))
		if i < len(frames)-1 {
			u32(b, uint32(len(b)))
		}
		u32(b[4:], 1700000000)
		u32(b[8:], 5)
		u32(b[12:], uint32(len(data)))
		u32(b[16:], 1500)
		u32(b[20:], 1|statusVLANValid|statusTPIDValid)
		u16(b[24:], 96)
		u16(b[26:], 96+2)
		u32(b[32:], 0x2005)
		u16(b[36:], etherQinQ)
		binary.BigEndian.PutUint16(b[50:], etherIPv6)
		u32(b[52:], 7)
		u16(b[56:], hatypeEther)
		b[58], b[59] = packetOutgoing, 6
		copy(b[60:], "\x02\x00\x00\x00\x00\x09\x00\x00")
		copy(b[96:], data)
		block = append(block, b...)
	}
	return block
}

func TestBlockFrames(t *testing.T) {
	want := [][]byte{[]byte("one"), []byte("two or more"), {}}
	var got []ringFrame
	err := blockFrames(testBlock(want...), func(f *ringFrame) bool {
		got = append(got, *f)
		return true
	})
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d frames, %v; want %d", len(got), err, len(want))
	}
	for i, f := range got {
		if !bytes.Equal(f.data, want[i]) {
			t.Errorf("frame %d: %q, want %q", i, f.data, want[i])
		}
		if f.net != min(2, len(f.data)) {
			t.Errorf("frame %d: network header at %d", i, f.net)
		}
		f.data, f.net = nil, 0
		if expect := (ringFrame{
			at: 1700000000e9 + 5, length: 1500, index: 7, protocol: etherIPv6, hatype: hatypeEther,
			pkttype: packetOutgoing, halen: 6, addr: [8]byte{2, 5: 9}, tpid: etherQinQ, tci: 0x2005,
		}); !reflect.DeepEqual(f, expect) {
			t.Errorf("frame %d: %+v, want %+v", i, f, expect)
		}
	}
}

func TestBlockFramesEndsWithConsumer(t *testing.T) {
	n := 0
	err := blockFrames(testBlock(nil, nil, nil), func(*ringFrame) bool { n++; return n < 2 })
	if err != nil || n != 2 {
		t.Errorf("%d frames, %v; want 2", n, err)
	}
}

func TestBlockWithoutFrames(t *testing.T) {
	if err := blockFrames(testBlock(), nil); err != nil {
		t.Error(err)
	}
}

// Headers that lead out of the block are refused; none may make the reader
// panic or loop.
func TestBlockFramesDamaged(t *testing.T) {
	whole := testBlock([]byte("one"), []byte("two"))
	ignore := func(*ringFrame) bool { return true }
	for name, at := range map[string]int{
		"first":   blockFirstAt,
		"next":    blockHeaderLen,
		"snaplen": blockHeaderLen + 12,
		"mac":     blockHeaderLen + 24, // net is less then
	} {
		block := bytes.Clone(whole)
		binary.NativeEndian.PutUint32(block[at:], 0x8000ffff)
		if err := blockFrames(block, ignore); !errors.Is(err, errRing) {
			t.Errorf("%s leads out of the block: %v, want %v", name, err, errRing)
		}
	}
	for n := range whole {
		if err := blockFrames(whole[:n], ignore); !errors.Is(err, errRing) {
			t.Errorf("block cut to %d of %d bytes: %v, want %v", n, len(whole), err, errRing)
		}
	}
}

// FuzzBlockFrames looks for a block that makes the reader panic, or see a frame
// outside of it.
func FuzzBlockFrames(f *testing.F) {
	f.Add(testBlock([]byte("one"), []byte("two")))
	f.Add(testBlock())
	f.Fuzz(bounds.Each(func(t *testing.T, block []byte) {
		defer bounds.Hold(t, len(block), bounds.Small)()
		n := 0
		_ = blockFrames(block, func(frame *ringFrame) bool {
			if len(frame.data) > len(block) {
				t.Fatal("frame is longer than its block")
			}
			n++
			return n < 1000
		})
	}))
}
