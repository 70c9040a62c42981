package capture

import (
	"encoding/binary"
	"net/netip"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

const protoAH = spd.ProtoAH

// countKey is the kernel's key of what is counted apart, for IPv6. That for IPv4
// is its beginning up to the first 8 bytes of the addresses: the shorter a key,
// the sooner it is found. Addresses, SPI and ports are in network order.
type countKey struct {
	SPI       [4]byte
	Ports     [4]byte // source, destination; 0 for plain ESP and AH
	Index     uint32  // of the interface
	Proto     uint8   // ESP or AH
	Direction uint8
	Family    uint8 // 4 or 6
	_         uint8
	Addresses [32]byte // source, destination
}

// countKey4 is the key for IPv4.
type countKey4 [keySize4]byte

// key returns the key as IPv6 has it.
func (k *countKey4) key() countKey {
	return countKey{
		SPI: [4]byte(k[keySPI:]), Ports: [4]byte(k[keyPorts:]), Index: binary.NativeEndian.Uint32(k[keyIndex:]),
		Proto: k[keyProto], Direction: k[keyDirection], Family: k[keyFamily],
		Addresses: [32]byte(append(k[keyAddresses:keySize4:keySize4], make([]byte, 24)...)),
	}
}

// Offsets in countKey.
const (
	keySPI       = 0
	keyPorts     = 4
	keyIndex     = 8
	keyProto     = 12
	keyDirection = 13
	keyFamily    = 14
	keyAddresses = 16
	keySize      = keyAddresses + 32
	keySize4     = keyAddresses + 8
)

// flow returns the key as the meter has it.
func (k *countKey) flow() (key analyze.FlowKey, dir analyze.Direction) {
	a := &k.Addresses
	if k.Family == 4 {
		key.Src, key.Dst = netip.AddrFrom4([4]byte(a[:4])), netip.AddrFrom4([4]byte(a[4:8]))
	} else {
		key.Src, key.Dst = netip.AddrFrom16([16]byte(a[:16])), netip.AddrFrom16([16]byte(a[16:]))
	}
	key.Proto, key.SPI = k.Proto, binary.BigEndian.Uint32(k.SPI[:])
	key.SrcPort, key.DstPort = binary.BigEndian.Uint16(k.Ports[:]), binary.BigEndian.Uint16(k.Ports[2:])
	return key, analyze.Direction(k.Direction)
}

// countSlots is what one processor has counted of a key: one slot is written
// while the other is read.
type countSlots struct {
	Handed uint64 // frames handed up, up to firstFrames
	Slot   [2]countSlot
}

// countSlot is what one processor counted of a key in one interval; it is of no
// meaning where Interval is another one.
type countSlot struct {
	Interval       uint64
	Packets, Bytes uint64
	Start          uint64 // nanoseconds of CLOCK_MONOTONIC
	// When it ended is told in jiffies, which are read for nothing: where the first
	// packet came, CLOCK_MONOTONIC_COARSE (nanoseconds) and jiffies stood together.
	Coarse, StartTick, EndTick uint64
	First, Last                uint32 // sequence numbers
	Smallest                   uint32
	Largest                    uint32
	Longest                    uint32 // frame, bytes
	_                          uint32
}

// countSum is what was counted of a key in one interval.
type countSum struct {
	Packets, Bytes uint64
	Start, End     uint64 // nanoseconds; End up to coarse early, but not before Start
	First, Last    uint32 // sequence numbers
	Smallest       uint32
	Largest        uint32
	Longest        uint32 // frame, bytes
}

// sum returns what one processor has counted. A tick is the time of a jiffy,
// nanoseconds.
func (s *countSlot) sum(tick uint64) countSum {
	return countSum{
		Packets: s.Packets, Bytes: s.Bytes, Start: s.Start, End: max(s.Start, s.Coarse+(s.EndTick-s.StartTick)*tick),
		First: s.First, Last: s.Last, Smallest: s.Smallest, Largest: s.Largest, Longest: s.Longest,
	}
}

// coarse is how far CLOCK_MONOTONIC_COARSE may be behind: a jiffy, of which some
// kernels have 100 a second.
const coarse = uint64(10 * time.Millisecond)

// Offsets in countSlots and countSlot.
const (
	slotsHanded = 0
	slotsFirst  = 8
	slotsSize   = slotsFirst + 2*slotSize

	slotInterval = 0
	slotPackets  = 8
	slotBytes    = 16
	slotStart    = 24
	slotCoarse   = 32
	slotTick     = 40
	slotEndTick  = 48
	slotFirstSeq = 56
	slotLastSeq  = 60
	slotSmallest = 64
	slotLargest  = 68
	slotLongest  = 72
	slotSize     = 80
)

// counted adds up what the processors counted of a key in an interval. A tick is
// the time of a jiffy, nanoseconds.
func counted(slots []countSlots, interval, tick uint64) (sum countSum) {
	for i := range slots {
		if s := &slots[i].Slot[interval%2]; s.Interval == interval && s.Packets > 0 {
			one := s.sum(tick)
			sum.add(&one)
		}
	}
	return sum
}

// add adds what came from about the same time on. Where the clock does not tell
// which ended later, the sequence numbers do (RFC 4303 section 2.2: they rise).
func (sum *countSum) add(s *countSum) {
	if sum.Packets == 0 {
		*sum = *s
		return
	}
	if s.Start < sum.Start {
		sum.Start, sum.First = s.Start, s.First
	}
	apart := int64(s.End - sum.End)
	if together := max(apart, -apart) <= int64(coarse); apart > 0 && !together || together && int32(s.Last-sum.Last) > 0 {
		sum.Last = s.Last
	}
	sum.End = max(s.End, sum.End)
	sum.Packets += s.Packets
	sum.Bytes += s.Bytes
	sum.Smallest, sum.Largest = min(sum.Smallest, s.Smallest), max(sum.Largest, s.Largest)
	sum.Longest = max(sum.Longest, s.Longest)
}
