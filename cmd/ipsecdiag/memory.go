package main

import (
	"fmt"
	"runtime/debug"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/timeline"
)

// memory is how much the program may take, bytes; 0: the bounds of each part alone
// hold.
type memory int64

const (
	// watchMemory is what a watch takes by default.
	watchMemory memory = 256e6
	leastMemory memory = 100e6
	// fixedMemory is what is taken whatever happens: the program itself, the ring
	// that the kernel writes into, the tables of one size, and the process that reads
	// the kernel.
	fixedMemory memory = 64e6
)

const memoryUsage = "take no more memory than this `SIZE` (100MB or more):\nof too many pairs the oldest are forgotten,\nstrangers first"

// Set reads 256MB and its like.
func (m *memory) Set(text string) error {
	n, ok := parseSize(text)
	if !ok || memory(n) < leastMemory {
		return fmt.Errorf("%q is not a size of at least 100MB (256MB, 1GiB)", text)
	}
	*m = memory(n)
	return nil
}

// String satisfies pflag.Value.
func (m *memory) String() string {
	if *m == 0 {
		return ""
	}
	return fmt.Sprintf("%dMB", *m/1e6)
}

// Type satisfies pflag.Value.
func (m *memory) Type() string { return "SIZE" }

// govern has the garbage collector keep to it, unless GOMEMLIMIT is less.
func (m memory) govern() {
	if m > 0 {
		debug.SetMemoryLimit(min(debug.SetMemoryLimit(-1), int64(m-fixedMemory)))
	}
}

// share is a part of what may change, as many times as unit fits; 0 where there is
// no bound. The parts add up to two thirds of it: garbage takes the rest.
func (m memory) share(of, unit memory) int {
	if m == 0 {
		return 0
	}
	return int(max((m-fixedMemory)/of/unit, 1))
}

// state bounds the picture: a quarter is for pairs, and with what is scaled by that
// it takes a third.
func (m memory) state() analyze.Limits { return analyze.Limits{Bytes: m.share(4, 1)} }

// timeline bounds the record of what happened.
func (m memory) timeline() timeline.Limits {
	l := timeline.Limits{Bytes: m.share(10, 1)}
	if m > 0 {
		l.Bytes = min(l.Bytes, 32<<20)
	}
	return l
}

// findings is how many are followed. One takes 12 kB, with what it says.
func (m memory) findings() int {
	if m == 0 {
		return 0
	}
	return min(m.share(10, 12e3), 10_000)
}

// flows is how many flows of ESP and AH are counted apart. One takes 1 kB: in the
// meter, and as an event each second.
func (m memory) flows() int {
	if m == 0 {
		return 0
	}
	return min(m.share(8, 1e3), 65_536)
}

// held is what the sequencer may hold, bytes.
func (m memory) held() int {
	if m == 0 {
		return 0
	}
	return min(m.share(8, 1), 64<<20)
}
