package capture

import (
	"errors"
	"io/fs"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/confine"
)

// counting is the live stream's part in counting flows in the kernel. Its
// counter is nil where all frames are handed up.
type counting struct {
	counter *counter
	kinds   map[int]deviceKind // interfaces that the counter was told of
	early   []countedFlow      // counted before their key's first frames came out of the ring
}

// countedFlow is what the kernel counted of a key in an interval.
type countedFlow struct {
	key countKey
	sum countSum
}

// openCounting prepares to count on the named devices, of which it is given the
// ARPHRD_ types. Where it cannot be done, why says so in a few words.
func openCounting(opt counterOptions, hatypes map[int]uint16) (c counting, why string) {
	if !opt.several {
		for _, hatype := range hatypes {
			if kindOf(hatype, 0) != deviceCounted {
				return c, "not an Ethernet device"
			}
		}
	}
	if why := c.make(opt); why != "" {
		c.close()
		return counting{}, why
	}
	c.kinds = map[int]deviceKind{}
	for index, hatype := range hatypes {
		c.tell(index, kindOf(hatype, maybeRelated))
	}
	return c, ""
}

// make makes the counter, and makes sure that it can be read by a process without
// capabilities: before Linux 5.19 that could be forbidden
// (kernel.unprivileged_bpf_disabled).
func (c *counting) make(opt counterOptions) (why string) {
	made, err := newCounter(opt)
	if err != nil {
		return whyNotCounted(err, mayUseBPF())
	}
	c.counter = made
	if err := confine.WithoutCapabilities(func() error { return made.empty(made.rooms[1]) }); err != nil {
		return "this kernel lets nobody read its counts without CAP_BPF, which is given up"
	}
	return ""
}

// whyNotCounted says in a few words why the kernel does not count. Who has the
// capability may be refused all the same: by lockdown, by a filter of system calls
// (as container engines set), in a user namespace.
func whyNotCounted(err error, capable bool) string {
	switch {
	case errors.Is(err, fs.ErrPermission) && !capable:
		return "CAP_BPF is missing"
	case errors.Is(err, fs.ErrPermission):
		return "bpf(2) is forbidden here, by lockdown, seccomp or a user namespace"
	case errors.Is(err, unix.ENOSYS), errors.Is(err, ebpf.ErrNotSupported):
		return "this kernel cannot"
	}
	return err.Error()
}

// mayUseBPF reports whether this thread has CAP_BPF, or CAP_SYS_ADMIN, which was
// asked for before Linux 5.8 and still includes it.
func mayUseBPF() bool {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&head, &data[0]) != nil {
		return false
	}
	return data[unix.CAP_BPF/32].Effective&(1<<(unix.CAP_BPF%32)) != 0 || data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// maybeRelated stands for the group of a device while that is not known.
const maybeRelated = -1

// kindOf returns what is to be told of a device with that ARPHRD_ type and
// group of related devices.
func kindOf(hatype uint16, group int) deviceKind {
	switch {
	case hatype == hatypeEther && group == 0:
		return deviceCounted
	case hatype == hatypeEther, hatype == hatypeLoopback:
		return deviceEthernet
	}
	return deviceOther
}

// saw tells the counter of an interface that showed a frame, if need be.
func (c *counting) saw(index int, hatype uint16, groups deviceGroups) {
	if c.counter == nil || !c.counter.opt.several {
		return
	}
	kind := kindOf(hatype, groups.of(index))
	if was, ok := c.kinds[index]; was != kind {
		c.tell(index, kind)
		if !ok {
			c.regroup(groups)
		}
	}
}

// tell tells the counter of an interface. One that it has no room for stays
// unknown to it: its frames are handed up.
func (c *counting) tell(index int, kind deviceKind) {
	_ = c.counter.tell(index, kind)
	c.kinds[index] = kind
}

// regroup has all frames handed up of interfaces that have become related to
// others. Those that are no longer are counted again once they show a frame.
func (c *counting) regroup(groups deviceGroups) {
	for index, kind := range c.kinds {
		if kind == deviceCounted && groups.of(index) != 0 {
			c.tell(index, deviceEthernet)
		}
	}
}

// forget takes interfaces that are gone out of the counter's map.
func (c *counting) forget(gone func(index int) bool) {
	for index := range c.kinds {
		if gone(index) {
			_ = c.counter.devices.Delete(uint32(index))
			delete(c.kinds, index)
		}
	}
}

// read adds what was counted since the last read to the meter. Frames come out of
// the ring late, and the first ones of a key are handed up: while they are still
// to come, what was counted after them waits for the next read, so that a flow
// begins with its first packet. After the last read none is to come.
func (c *counting) read(meter *FlowMeter, originOf func(index int) *analyze.Origin, last bool) error {
	if c.counter == nil {
		return nil
	}
	c.release(meter, originOf)
	hand := func(k *countKey, s *countSum) {
		key, dir := k.flow()
		origin := originOf(int(k.Index))
		if meter.Frames(key, dir, origin) < firstFrames {
			c.early = append(c.early, countedFlow{*k, *s})
			return
		}
		meter.AddCounted(key, dir, origin, s)
	}
	if last {
		err := c.counter.readLast(hand)
		c.release(meter, originOf)
		return err
	}
	return c.counter.read(hand)
}

// release adds what waits to the meter.
func (c *counting) release(meter *FlowMeter, originOf func(index int) *analyze.Origin) {
	for i := range c.early {
		key, dir := c.early[i].key.flow()
		meter.AddCounted(key, dir, originOf(int(c.early[i].key.Index)), &c.early[i].sum)
	}
	c.early = c.early[:0]
}

func (c *counting) close() {
	if c.counter != nil {
		c.counter.close()
	}
}
