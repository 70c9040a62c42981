package capture

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
)

// testCounter returns a counter, or skips the test where the kernel has none.
func testCounter(t *testing.T, opt counterOptions) *counter {
	t.Helper()
	c, err := newCounter(opt)
	if err != nil {
		t.Skipf("needs eBPF: %v", err)
	}
	t.Cleanup(c.close)
	onOneProcessor(t)
	return c
}

// onOneProcessor keeps the test from moving to another processor, which has
// counts of its own.
func onOneProcessor(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	for cpu := 0; one.Count() == 0; cpu++ {
		if all.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.SchedSetaffinity(0, &all)
		runtime.UnlockOSThread()
	})
}

// run runs the program over a frame without a socket. The kernel takes the
// Ethernet header off what it is given, so there is one more.
func (c *counter) run(t *testing.T, frame []byte) (snap int) {
	t.Helper()
	verdict, _, err := c.program.Test(append(make([]byte, 14), frame...))
	if err != nil {
		t.Fatal(err)
	}
	return int(verdict)
}

// The program says of every frame what the classic filter says, until it has
// handed up the first frames of a flow; then it counts, under the key that the
// decoder sees.
func TestCounterAgreesWithFilter(t *testing.T) {
	c := testCounter(t, counterOptions{link: analyze.LinkEthernet})
	vm := filterVM(t, hatypeEther, 0)
	want := map[analyze.FlowKey]*countSum{}
	handed := map[analyze.FlowKey]int{}
	for tags, tpids := range tagCases {
		for _, pc := range filterCases() {
			frame := ethernet(pc.etherType, tpids, pc.packet)
			_, snap := verdict(t, vm, frame)
			key, counts := countable(frame)
			for i := range firstFrames + 3 {
				wanted := snap
				if counts && snap > 0 {
					if handed[key]++; handed[key] > firstFrames {
						addTo(want, key, len(frame))
						wanted = 0
					}
				}
				if got := c.run(t, frame); got != wanted {
					t.Fatalf("%s %s: run %d: verdict %d, want %d; the filter's is %d", tags, pc.name, i, got, wanted, snap)
				}
			}
		}
	}
	checkCounts(t, c, want)
}

// countable returns the key of a frame of a flow; ok is false where the frame is
// so short that it is always handed up, and for others.
func countable(frame []byte) (key analyze.FlowKey, ok bool) {
	var p analyze.Packet
	err := p.Decode(analyze.LinkEthernet, frame)
	key, _, ok = p.Flow()
	return key, ok && err == nil && len(p.Upper) >= minCounted
}

func addTo(sums map[analyze.FlowKey]*countSum, key analyze.FlowKey, length int) {
	if sums[key] == nil {
		sums[key] = new(countSum)
	}
	sums[key].Packets++
	sums[key].Bytes += uint64(length)
}

// checkCounts holds that these packets were counted and no others.
func checkCounts(t *testing.T, c *counter, want map[analyze.FlowKey]*countSum) {
	t.Helper()
	got := 0
	err := c.read(func(k *countKey, s *countSum) {
		got++
		key, _ := k.flow()
		if w := want[key]; w == nil || w.Packets != s.Packets || w.Bytes != s.Bytes {
			t.Errorf("%+v: counted %+v, want %+v", key, s, w)
		}
	})
	if err != nil || got != len(want) || got < 4 {
		t.Errorf("%d keys counted, want %d, at least 4: %v", got, len(want), err)
	}
}

// The offsets that the program uses are those of the structures.
func TestCounterLayout(t *testing.T) {
	var k countKey
	var s countSlots
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"key", unsafe.Sizeof(k), keySize}, {"addresses", unsafe.Offsetof(k.Addresses), keyAddresses}, {"spi", unsafe.Offsetof(k.SPI), keySPI},
		{"ports", unsafe.Offsetof(k.Ports), keyPorts}, {"index", unsafe.Offsetof(k.Index), keyIndex},
		{"proto", unsafe.Offsetof(k.Proto), keyProto}, {"direction", unsafe.Offsetof(k.Direction), keyDirection},
		{"family", unsafe.Offsetof(k.Family), keyFamily},
		{"slots", unsafe.Sizeof(s), slotsSize}, {"slot", unsafe.Offsetof(s.Slot), slotsFirst},
		{"slot size", unsafe.Sizeof(s.Slot[0]), slotSize}, {"packets", unsafe.Offsetof(s.Slot[0].Packets), slotPackets},
		{"bytes", unsafe.Offsetof(s.Slot[0].Bytes), slotBytes}, {"start", unsafe.Offsetof(s.Slot[0].Start), slotStart},
		{"coarse", unsafe.Offsetof(s.Slot[0].Coarse), slotCoarse}, {"tick", unsafe.Offsetof(s.Slot[0].StartTick), slotTick},
		{"end tick", unsafe.Offsetof(s.Slot[0].EndTick), slotEndTick}, {"first", unsafe.Offsetof(s.Slot[0].First), slotFirstSeq},
		{"last", unsafe.Offsetof(s.Slot[0].Last), slotLastSeq}, {"smallest", unsafe.Offsetof(s.Slot[0].Smallest), slotSmallest},
		{"largest", unsafe.Offsetof(s.Slot[0].Largest), slotLargest}, {"longest", unsafe.Offsetof(s.Slot[0].Longest), slotLongest},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, the program has %d", c.name, c.got, c.want)
		}
	}
}

// An interval that is read holds what came since the last read, no more and no
// less.
func TestCounterIntervals(t *testing.T) {
	c := testCounter(t, counterOptions{link: analyze.LinkEthernet})
	frame := func(seq byte) []byte { // the longer, the larger its number
		return ethernet(etherIPv6, nil, ipv6(50, append(espPacket(0xe1, seq), make([]byte, 16*int(seq))...)))
	}
	for range firstFrames {
		c.run(t, frame(1))
	}
	for _, interval := range [][]byte{{7, 5, 9}, {}, {8}, {3, 4}} {
		for _, seq := range interval {
			c.run(t, frame(seq))
		}
		var sum countSum
		if err := c.read(func(_ *countKey, s *countSum) { sum = *s }); err != nil {
			t.Fatal(err)
		}
		if sum.Packets != uint64(len(interval)) {
			t.Fatalf("%d packets in %v", sum.Packets, interval)
		}
		if n := len(interval); n > 0 && (sum.First != uint32(interval[0]) || sum.Last != uint32(interval[n-1]) ||
			sum.End < sum.Start || sum.Smallest != uint32(min(interval[0], interval[n-1], interval[n/2])) ||
			sum.Largest != uint32(max(interval[0], interval[n-1], interval[n/2])) || int(sum.Longest) != len(frame(byte(sum.Largest)))) {
			t.Errorf("%v: %+v", interval, sum)
		}
	}
}

// The times of an interval are those of its first and its last frame.
func TestCounterTimes(t *testing.T) {
	c := testCounter(t, counterOptions{link: analyze.LinkEthernet})
	frame := ethernet(etherIPv6, nil, ipv6(50, espPacket(0xe1, 1)))
	for range firstFrames {
		c.run(t, frame)
	}
	var times [4]uint64 // about the first frame, and about the last
	for i := 0; i < 4; i += 2 {
		times[i] = uint64(time.Now().UnixNano())
		c.run(t, frame)
		times[i+1] = uint64(time.Now().UnixNano())
		for uint64(time.Now().UnixNano()) < times[i+1]+10*coarse {
		}
	}
	var sum countSum
	if err := c.read(func(_ *countKey, s *countSum) { sum = *s }); err != nil {
		t.Fatal(err)
	}
	const slack = uint64(time.Millisecond) // two clocks are compared
	if sum.Start < times[0]-slack || sum.Start > times[1]+slack || sum.End < times[2]-coarse-slack || sum.End > times[3]+slack {
		t.Errorf("from %d to %d, sent within %d", sum.Start, sum.End, times)
	}
}

// A counter counts in its other room once most of its keys are quiet, again and
// again, and all are told that were counted in either.
func TestCounterRooms(t *testing.T) {
	c := testCounter(t, counterOptions{link: analyze.LinkEthernet, keys: 16})
	count := func(spi byte) (counted bool) {
		return c.run(t, ethernet(etherIPv6, nil, ipv6(50, espPacket(uint32(spi), 1)))) == 0
	}
	told := func() (n uint64) {
		if err := c.read(func(_ *countKey, s *countSum) { n += s.Packets }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for round := range 4 {
		if got := c.now.room(); got != round%2 {
			t.Fatalf("round %d is counted in room %d", round, got)
		}
		for spi := range byte(14) {
			for range firstFrames {
				if count(spi) {
					t.Fatalf("round %d: one of the first frames is counted", round)
				}
			}
			if !count(spi) {
				t.Fatalf("round %d: a frame is handed up", round)
			}
		}
		if n := told(); n != 14 || c.quiet {
			t.Errorf("round %d: %d frames, quiet: %v", round, n, c.quiet)
		}
		for _, quiet := range []bool{true, false} { // what is quiet is known of one interval, and left with the next
			if told() != 0 {
				t.Error("frames are told twice")
			}
			if n := count(3); !n || told() != 1 || c.quiet != quiet {
				t.Errorf("round %d: counted: %v, quiet: %v, want %v", round, n, c.quiet, quiet)
			}
		}
	}
}

// No frame is lost or told twice between two intervals, in one room or in two, however
// busy it is.
func TestCounterBusy(t *testing.T) {
	c := testCounter(t, counterOptions{link: analyze.LinkEthernet})
	frame := append(make([]byte, 14), ethernet(etherIPv6, nil, ipv6(50, espPacket(0xb5, 1)))...)
	const reads = 60
	enough, sent := make(chan bool), make(chan uint64, 1)
	go func() {
		n := uint64(0)
		defer func() { sent <- n }()
		for {
			select {
			case <-enough:
				return
			default:
			}
			// One by one: a signal ends a longer run, and it begins again.
			verdict, _, err := c.program.Test(frame)
			if err != nil {
				t.Error(err)
				return
			}
			if verdict == 0 {
				n++
			}
		}
	}()
	total, n := uint64(0), uint64(0)
	read := func() {
		if err := c.read(func(_ *countKey, s *countSum) { total += s.Packets }); err != nil {
			t.Fatal(err)
		}
	}
	for counted := 0; counted < reads; { // intervals in which something was
		before := total
		c.quiet = counted%3 == 0 // the other room is next
		if read(); total > before {
			counted++
		}
		if len(sent) > 0 { // it failed
			break
		}
	}
	select {
	case enough <- true:
		n = <-sent
	case n = <-sent: // it failed
	}
	read()
	if total != n {
		t.Errorf("%d were counted, %d are told", n, total)
	}
}
