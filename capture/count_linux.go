// This file is the live fast path: frames of ESP and AH that are counted in the
// kernel, by a program on the socket, and never come to user space.
//
// What it may skip, and why that is safe:
//
//   - Nothing but ESP, AH and ESP in UDP is skipped. The program is the classic
//     filter, translated, so both agree on what every frame is; where that one
//     says "flow", this one may count instead of handing up.
//   - The first frames of each key are handed up and counted like all others
//     that are: every frame is either handed up, or counted here, never both
//     and never neither. The meter adds the two.
//   - A key for which there is no room has all of its frames handed up.
//   - A frame so short that part of it may be padding is handed up: only who
//     reads the IP header's length knows what it is.
//   - Frames of devices that are related to others (a bond and its members) are
//     handed up, since the copies have to be told from the packets; so are
//     those of devices without an Ethernet header. Where a device is put into a
//     bridge or a bond while it is watched, that is noticed with the first frame
//     of the other, and what was counted until then may be told twice.
//   - The counts are per processor, so that nobody waits and no sum is torn.
//     Each has two slots: while one interval is read, the next one is written
//     in the other. Between the two we wait until no program runs any more that
//     began in the old interval (membarrier(2)). Nothing is ever deleted from a
//     map in which is counted; when too many of its keys have gone quiet, the
//     next interval is counted in another, and then the old one is emptied.
//
// What this leaves to rules is the same Flow events as ever. Beyond the first frames
// none is handed up as a sample now and then, for it could tell them nothing: of
// each packet a rule asks for its time, its length and its sequence number. The
// longest one and the first, last, smallest and largest numbers of the interval are
// counted here, from which gaps, replays and new beginnings follow; all else is
// ciphertext.

package capture

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
)

// Bounds of the kernel's map of flows.
const (
	maxCountedKeys = 65536
	// maxCountedMemory bounds it on machines with many processors, bytes.
	maxCountedMemory = 64 << 20
	// quietKeys is how many keys may be quiet before a new map takes over.
	quietKeys = 4096
)

// counterOptions say what a counter counts.
type counterOptions struct {
	link    analyze.LinkType // in which frames are handed on
	several bool             // devices are to be told of, else there is one of Ethernet
	unknown uint32           // verdict on frames of devices that it was not told of
	keys    int              // room, maxCountedKeys if 0
}

// counter is a program on a packet socket that counts flows, with its maps.
type counter struct {
	opt       counterOptions
	rooms     [2]countRoom
	interval  *ebpf.Map // its only value is a countInterval
	latest    *ebpf.Map // its only value is a latestIntervals
	devices   *ebpf.Map // interface index to deviceKind
	program   *ebpf.Program
	processor int // how many there may be
	now       countInterval
	quiet     bool         // most keys had no packet when they were last read
	keys4     []countKey4  // what a read fills
	keys      []countKey   // the same
	slots     []countSlots // as many for each key as there are processors
}

// countRoom is where flows are counted. There are two, of which one is empty.
type countRoom struct {
	flows4 *ebpf.Map // countKey4 to a countSlots for each processor
	flows6 *ebpf.Map // countKey to the same
}

// countInterval is the number of an interval, and in its highest bit in which room
// is counted: a program reads both at once.
type countInterval uint64

const secondRoom countInterval = 1 << 63

// room returns which room is counted in.
func (i countInterval) room() int { return int(i >> 63) }

// slot returns which of a key's slots is counted in.
func (i countInterval) slot() int { return int(i & 1) }

// newCounter loads a program; the error says what the kernel lacks or refuses.
func newCounter(opt counterOptions) (*counter, error) {
	if err := canAwaitPrograms(); err != nil {
		return nil, err
	}
	n, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, err
	}
	c := &counter{opt: opt, processor: n, now: 1}
	most := min(maxCountedKeys, maxCountedMemory/(keySize+n*slotsSize))
	if c.opt.keys == 0 || c.opt.keys > most {
		c.opt.keys = most
	}
	if err := c.load(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// load makes the maps and the program. That needs Linux 5.11, by
// bpf_ktime_get_coarse_ns, since when no map counts against RLIMIT_MEMLOCK.
func (c *counter) load() (err error) {
	flows := func(name string, key uint32) ebpf.MapSpec {
		return ebpf.MapSpec{Name: name, Type: ebpf.PerCPUHash, KeySize: key, ValueSize: slotsSize,
			MaxEntries: uint32(c.opt.keys), Flags: unix.BPF_F_NO_PREALLOC}
	}
	spec := []struct {
		to   **ebpf.Map
		spec ebpf.MapSpec
	}{
		{&c.rooms[0].flows4, flows("ipsec_flows4_0", keySize4)},
		{&c.rooms[0].flows6, flows("ipsec_flows6_0", keySize)},
		{&c.rooms[1].flows4, flows("ipsec_flows4_1", keySize4)},
		{&c.rooms[1].flows6, flows("ipsec_flows6_1", keySize)},
		{&c.interval, ebpf.MapSpec{Name: "ipsec_interval", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}},
		{&c.latest, ebpf.MapSpec{Name: "ipsec_latest", Type: ebpf.Array, KeySize: 4, ValueSize: latestSize, MaxEntries: 1}},
		{&c.devices, ebpf.MapSpec{Name: "ipsec_devices", Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 4096,
			Flags: unix.BPF_F_NO_PREALLOC}},
	}
	for _, s := range spec {
		if *s.to, err = ebpf.NewMap(&s.spec); err != nil {
			return err
		}
	}
	if err := c.begin(c.now); err != nil {
		return err
	}
	c.program, err = c.newProgram()
	return err
}

func (c *counter) newProgram() (*ebpf.Program, error) {
	filter, err := newCountingFilter(c.opt.several, c.opt.unknown)
	if err != nil {
		return nil, err
	}
	p := program{
		interval: c.interval.FD(), latest: c.latest.FD(), devices: c.devices.FD(),
		tags: c.opt.link == analyze.LinkEthernet,
	}
	for i, r := range c.rooms {
		p.flows4[i], p.flows6[i] = r.flows4.FD(), r.flows6.FD()
	}
	if c.opt.link == analyze.LinkSLL2 {
		p.perFrame = sll2Len - 14
	}
	code, err := p.translate(filter)
	if err != nil {
		return nil, err
	}
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "ipsecdiag", Type: ebpf.SocketFilter, License: "Apache-2.0", Instructions: code,
	})
}

// attach puts the program on a socket, in place of what is there.
func (c *counter) attach(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, c.program.FD())
}

// tell says what an interface is.
func (c *counter) tell(index int, kind deviceKind) error {
	return c.devices.Put(uint32(index), uint32(kind))
}

// latestIntervals are the last intervals in which a frame was counted, the even one
// and the odd one. A program that is late with the last interval takes nothing away
// of what another one says of this.
type latestIntervals [2]countInterval

const latestSize = 16

// read ends the interval and hands on what was counted in it, with times in
// nanoseconds since 1970. One in which nothing was counted goes on. Where most keys
// were quiet the last time, the next interval is counted in the other room.
func (c *counter) read(hand func(*countKey, *countSum)) error {
	var latest latestIntervals
	if err := c.latest.Lookup(uint32(0), &latest); err != nil {
		return fmt.Errorf("read the kernel's counts of flows: %w", err)
	}
	over := c.now
	if latest[over.slot()] != over {
		return nil
	}
	if !c.quiet {
		return c.readInterval(over+1, hand)
	}
	if err := c.readInterval((over+1)^secondRoom, hand); err != nil {
		return err
	}
	c.quiet = false
	return c.empty(c.rooms[over.room()])
}

// readLast hands on what was counted since the last read, by a program too that was
// still running when the counter was taken off its socket.
func (c *counter) readLast(hand func(*countKey, *countSum)) error {
	if err := awaitPrograms(); err != nil { // else it could still begin to count in the next interval
		return err
	}
	return c.readInterval(c.now+1, hand)
}

// readInterval ends the interval, waits for what is still counted in it, and hands it
// on.
func (c *counter) readInterval(next countInterval, hand func(*countKey, *countSum)) error {
	over := c.now
	if err := c.begin(next); err != nil {
		return err
	}
	if err := awaitPrograms(); err != nil {
		return err
	}
	return c.readKeys(over, hand)
}

// readKeys hands on the keys that had packets in an interval, and finds out whether
// most had none.
func (c *counter) readKeys(over countInterval, hand func(*countKey, *countSum)) error {
	offset, tick := wallOffset(), jiffy()
	active, quiet := 0, 0
	err := c.each(c.rooms[over.room()], func(k *countKey, slots []countSlots) {
		sum := counted(slots, uint64(over), tick)
		if sum.Packets == 0 {
			quiet++
			return
		}
		active++
		sum.Start += offset
		sum.End += offset
		hand(k, &sum)
	})
	c.quiet = quiet > max(active, min(quietKeys, c.opt.keys/2))
	return err
}

// begin begins an interval.
func (c *counter) begin(i countInterval) error {
	c.now = i
	return c.interval.Put(uint32(0), i)
}

// batchKeys is how many keys are read at once. A bucket of the kernel's table
// must fit; they have about one each.
const batchKeys = 1024

// each calls f for each key of a room with the slots of all processors.
func (c *counter) each(r countRoom, f func(*countKey, []countSlots)) error {
	err := c.batches(r.flows4, c.buffers(), func(i int, slots []countSlots) {
		k := c.keys4[i].key()
		f(&k, slots)
	})
	if err != nil {
		return err
	}
	return c.batches(r.flows6, c.keys, func(i int, slots []countSlots) { f(&c.keys[i], slots) })
}

// buffers makes what a read fills, and returns the part for the keys of IPv4.
func (c *counter) buffers() []countKey4 {
	if c.keys == nil {
		c.keys, c.keys4 = make([]countKey, batchKeys), make([]countKey4, batchKeys)
		c.slots = make([]countSlots, batchKeys*c.processor)
	}
	return c.keys4
}

// batches reads the keys of a map batch by batch, and calls f for the place of
// each.
func (c *counter) batches(flows *ebpf.Map, keys any, f func(i int, slots []countSlots)) error {
	var cursor ebpf.MapBatchCursor
	for {
		n, err := flows.BatchLookup(&cursor, keys, c.slots, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read the kernel's counts of flows: %w", err)
		}
		for i := range n {
			f(i, c.slots[i*c.processor:(i+1)*c.processor])
		}
		if err != nil {
			return nil
		}
	}
}

// empty deletes all keys of a room in which is not counted.
func (c *counter) empty(r countRoom) error {
	var keys4 []countKey4
	var keys []countKey
	err := c.batches(r.flows4, c.buffers(), func(i int, _ []countSlots) { keys4 = append(keys4, c.keys4[i]) })
	if err == nil {
		err = c.batches(r.flows6, c.keys, func(i int, _ []countSlots) { keys = append(keys, c.keys[i]) })
	}
	if err == nil && len(keys4) > 0 {
		_, err = r.flows4.BatchDelete(keys4, nil)
	}
	if err == nil && len(keys) > 0 {
		_, err = r.flows6.BatchDelete(keys, nil)
	}
	if err != nil {
		return fmt.Errorf("empty the kernel's counts of flows: %w", err)
	}
	return nil
}

func (c *counter) close() {
	for _, m := range []*ebpf.Map{
		c.rooms[0].flows4, c.rooms[0].flows6, c.rooms[1].flows4, c.rooms[1].flows6, c.interval, c.latest, c.devices,
	} {
		m.Close() // of nil too
	}
	c.program.Close()
}

// canAwaitPrograms reports why awaitPrograms will not work, if so.
func canAwaitPrograms() error {
	commands, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, 0, 0, 0) // MEMBARRIER_CMD_QUERY
	switch {
	case errno != 0:
		return fmt.Errorf("membarrier: %w", errno)
	case commands&membarrierGlobal == 0:
		return errors.New("membarrier: the kernel cannot wait for running programs")
	}
	return nil
}

const membarrierGlobal = 1 // MEMBARRIER_CMD_GLOBAL, linux/membarrier.h

// awaitPrograms returns once no program runs any more that ran when it was
// called: they run under RCU, and the command waits for a grace period
// (synchronize_rcu in kernel/sched/membarrier.c).
func awaitPrograms() error {
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != 0 {
		return fmt.Errorf("membarrier: %w", errno)
	}
	return nil
}

// wallOffset returns what makes CLOCK_MONOTONIC the wall clock, in nanoseconds.
func wallOffset() uint64 {
	var mono unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) // cannot fail
	return uint64(time.Now().UnixNano() - mono.Nano())
}

// jiffy returns how long a jiffy is, nanoseconds: the coarse clocks move with each
// (posix_get_coarse_res in kernel/time/posix-timers.c).
func jiffy() uint64 {
	var tick unix.Timespec
	_ = unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &tick) // cannot fail
	return uint64(tick.Nano())
}
