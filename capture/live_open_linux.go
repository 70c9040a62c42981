package capture

import (
	"context"
	"errors"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/await"
	"ipsecdiag/capture/kernel"
	"ipsecdiag/capture/netns"
)

// openLive prepares a stream: all of its sockets are in the namespace, all of
// its waiting is not.
func openLive(ctx context.Context, opt LiveOptions) (*live, error) {
	if opt.Warn == nil {
		opt.Warn = func(string) {}
	}
	l := &live{ctx: ctx, opt: opt, sorter: liveSorter{meter: NewFlowMeter(opt.Flows)}}
	err := netns.Do(opt.Netns, l.openSockets)
	if err == nil {
		l.waiter, err = await.New(ctx)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// openSockets finds the interfaces and starts to receive from them.
func (l *live) openSockets() error {
	if len(l.opt.Interfaces) == 0 {
		return errors.New("no interface to watch")
	}
	devices, err := openDevices()
	if err != nil {
		return err
	}
	l.sources = &liveSources{
		devices: devices,
		origin:  analyze.Origin{Host: l.opt.Host, Netns: l.opt.Netns},
		origins: map[int]*analyze.Origin{},
		warn:    l.opt.Warn,
	}
	if err := l.sources.find(l.opt.Interfaces); err != nil {
		return err
	}
	l.framer.link = l.sources.link()
	l.relate()
	l.openCounting()
	l.socket, err = openPacketSocket(l.sources.indexes(), l.counting.counter)
	return err
}

// openCounting has flows counted in the kernel where that is possible, and
// tells why where it is not.
func (l *live) openCounting() {
	why := "switched off"
	if !l.opt.frameByFrame {
		l.counting, why = openCounting(l.counterOptions(), l.sources.hatypes())
	}
	if l.opt.Counting != nil {
		l.opt.Counting(why)
	}
}

func (l *live) counterOptions() counterOptions {
	opt := counterOptions{link: l.framer.link, several: len(l.sources.named) != 1, keys: l.opt.countedKeys}
	if opt.keys == 0 {
		opt.keys = l.opt.Flows
	}
	if l.sources.all {
		opt.unknown = controlSnap // until the first frame tells what the device is
	}
	return opt
}

// relate prepares to tell copies from packets where more than one interface is
// watched.
func (l *live) relate() {
	if len(l.sources.named) == 1 {
		return
	}
	l.sorter.dedup = new(deduper)
	// The kernel answers at once: nothing to be cancelled.
	reader, err := kernel.OpenLinks(context.WithoutCancel(l.ctx), kernel.Options{})
	l.links = reader
	l.sources.regroup = func() (deviceGroups, error) {
		if err != nil {
			return nil, err
		}
		links, err := reader.Links()
		return newDeviceGroups(links), err
	}
}

// close gives everything back that openLive took.
func (l *live) close() {
	if l.waiter != nil {
		l.waiter.Close()
	}
	if l.socket != nil {
		l.socket.close()
	}
	if l.links != nil {
		l.links.Close()
	}
	l.counting.close()
	if l.sources != nil {
		l.sources.devices.close()
	}
}
