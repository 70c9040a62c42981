package capture

import (
	"context"
	"fmt"
	"testing"

	"ipsecdiag/analyze"
)

// follows are the ways in which a stream follows what it was asked for by name.
var follows = map[string]struct {
	interfaces   []string
	frameByFrame bool
}{
	"one":                     {[]string{"vb"}, false},
	"several":                 {[]string{"vb", "vx"}, false},
	"several, frame by frame": {[]string{"vb", "vx"}, true},
}

// followed calls f with a watch for each of follows, in b of two hosts of its own.
func followed(t *testing.T, f func(t *testing.T, w *watching, a, b string)) {
	for name, c := range follows {
		t.Run(name, func(t *testing.T) {
			a, b := twoHosts(t)
			ip(t, b, "link add vx type veth peer name vy")
			ip(t, b, "link set vx up")
			ctx, cancel := context.WithCancel(t.Context())
			w := &watching{cancel: cancel, done: make(chan struct{})}
			w.start(t, ctx, LiveOptions{Interfaces: c.interfaces, Netns: b, Host: "host", Warn: w.warn, frameByFrame: c.frameByFrame})
			f(t, w, a, b)
		})
	}
}

// arrives holds that a frame that goes out on va is seen on an interface of that
// name, again and again until it is: it may take a moment to be found.
func (w *watching) arrives(t *testing.T, a, payload, on string) {
	t.Helper()
	frame := ethernet(etherIPv6, nil, ipv6(17, udp(500, 500, []byte(payload))))
	want := fmt.Sprintf("in udp 500>500 %q", payload)
	w.until(t, payload+" on "+on, func(events []analyze.Event) bool {
		sendFrames(t, a, "va", frame)
		for _, e := range events {
			if countOf([]analyze.Event{e}, want) > 0 && e.Head().Origin.Interface == on {
				return true
			}
		}
		return false
	})
}

// joinAnew makes va and vb again.
func joinAnew(t *testing.T, a, b string) {
	t.Helper()
	ip(t, a, "link add va type veth peer name vb netns "+b)
	ip(t, a, "link set va up")
	ip(t, b, "link set vb up")
	awaitLink(t, a, "va")
	awaitLink(t, b, "vb")
}

// An interface that is deleted is told of and waited for; the one that comes
// under its name takes its place, with another index.
func TestIntegrationLiveInterfaceMadeAnew(t *testing.T) {
	followed(t, func(t *testing.T, w *watching, a, b string) {
		w.arrives(t, a, "before", "vb")
		for round := range 2 {
			ip(t, a, "link del va")
			w.until(t, "the loss of vb", func(events []analyze.Event) bool {
				return countOf(events, "lost interface vb vanished") == round+1
			})
			joinAnew(t, a, b)
			w.arrives(t, a, fmt.Sprint("after ", round), "vb")
		}
		w.untilWarned(t, "interface vb vanished; it is waited for", "interface vb is there again",
			"interface vb vanished; it is waited for", "interface vb is there again")
		if n := countOf(w.seen(), "lost the first frames of interface vb, which is there again"); n != 2 {
			t.Errorf("told %d times that frames may be missing, want twice", n)
		}
	})
}

// An interface that is deleted and made anew between two looks is noticed too.
func TestIntegrationLiveInterfaceMadeAnewAtOnce(t *testing.T) {
	followed(t, func(t *testing.T, w *watching, a, b string) {
		ip(t, a, "link del va")
		joinAnew(t, a, b)
		w.arrives(t, a, "after", "vb")
	})
}

// To be moved to another namespace is to vanish, to come back is to be there
// again, with the same index.
func TestIntegrationLiveInterfaceMoved(t *testing.T) {
	followed(t, func(t *testing.T, w *watching, a, b string) {
		for _, waits := range []bool{true, false} { // the second time it comes back before anybody looks
			ip(t, b, "link set vb netns "+a)
			if waits {
				w.untilWarned(t, "interface vb vanished; it is waited for")
			}
			ip(t, a, "link set vb netns "+b)
			ip(t, b, "link set vb up")
			awaitLink(t, b, "vb")
			w.arrives(t, a, fmt.Sprint("back ", waits), "vb")
		}
	})
}

// A renamed interface is followed under its new name, through its end and back.
func TestIntegrationLiveInterfaceRenamed(t *testing.T) {
	followed(t, func(t *testing.T, w *watching, a, b string) {
		w.arrives(t, a, "before", "vb")
		ip(t, b, "link set vb down")
		ip(t, b, "link set vb name wan0")
		ip(t, b, "link set wan0 up")
		awaitLink(t, b, "wan0")
		w.arrives(t, a, "renamed", "wan0")
		w.untilWarned(t, "interface vb is called wan0 now")
		ip(t, a, "link del va")
		w.untilWarned(t, "interface wan0 vanished; it is waited for")
		joinAnew(t, a, b)
		w.arrives(t, a, "again", "vb")
		w.untilWarned(t, "interface vb is there again")
	})
}

// Of a single interface nothing takes the place that shows frames of another
// form: a recording holds one. Of several all are shown in the same form.
func TestIntegrationLiveAnotherKindIsNotTaken(t *testing.T) {
	ns := newNamespace(t)
	openTun(t, ns, "vb")
	var d *devices
	inside(t, ns, func() (err error) {
		d, err = openDevices()
		return err
	})
	defer d.close()
	gone := namedDevice{asked: "vb", name: "vb", hatype: hatypeEther, gone: true}
	one := liveSources{devices: d, named: []namedDevice{gone}}
	if f := one.named[0].seek(&one); f != (fate{}) || !one.missing() {
		t.Errorf("a tun device takes the place of an Ethernet device: %+v", f)
	}
	two := liveSources{devices: d, named: []namedDevice{gone, {name: "lo", index: 1}}}
	if f := two.named[0].seek(&two); !f.back || two.missing() || two.named[0].hatype != hatypeNone {
		t.Errorf("a tun device does not take the place among several: %+v, %+v", f, two.named)
	}
}
