package align

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"ipsecdiag/analyze"
)

var (
	glass  = netip.MustParseAddr("fd00::1")
	teapot = netip.MustParseAddr("fd00::2")
	public = netip.MustParseAddr("192.0.2.1") // of glass, behind NAT
)

// link is a way between two observers, and what their clocks and files do.
type link struct {
	offset     time.Duration
	drift      float64
	there      time.Duration // delay from glass to teapot
	back       time.Duration
	jitter     time.Duration
	loss       float64
	span       time.Duration
	every      time.Duration
	directions bool // the files tell them
	resend     int  // of so many, one packet is sent again two times, in seconds
	nat        bool
	oneWay     bool
	echo       bool // teapot's devices show each packet twice
}

// observe lets packets go both ways and returns what glass and teapot saw.
func (l link) observe(seed uint64) (a, b *Marks) {
	r := rand.New(rand.NewPCG(seed, 1))
	a, b = &Marks{}, &Marks{}
	begin := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC).UnixNano()
	skewed := func(at int64) int64 { return at + int64(l.offset) + int64(float64(at-begin)*l.drift) }
	n := 0
	for at := begin; at < begin+int64(l.span); at += int64(l.every) {
		n++
		mark := analyze.Mark{Class: analyze.MarkIKE, Key: r.Uint64()}
		times := []int64{at}
		if l.resend > 0 && n%l.resend == 0 {
			times = append(times, at+int64(time.Second)+r.Int64N(1e6), at+3*int64(time.Second)+r.Int64N(1e6))
		}
		back := n%2 == 0 && !l.oneWay
		for _, at := range times {
			l.carry(r, a, b, mark, back, at, skewed)
		}
	}
	for _, m := range []*Marks{a, b} {
		end := begin + int64(l.span) + 4e9
		if m == b {
			m.Watched(skewed(begin))
			m.Watched(skewed(end))
			continue
		}
		m.Watched(begin)
		m.Watched(end)
	}
	return a, b
}

// carry sends one packet.
func (l link) carry(r *rand.Rand, a, b *Marks, mark analyze.Mark, back bool, at int64, skewed func(int64) int64) {
	out, in := analyze.DirUnknown, analyze.DirUnknown
	if l.directions {
		out, in = analyze.DirOut, analyze.DirIn
	}
	delay := func(d time.Duration) int64 { return int64(d) + r.Int64N(int64(l.jitter)+1) }
	lost := r.Float64() < l.loss
	if back {
		b.Add(mark, teapot, out, skewed(at))
		if !lost {
			a.Add(mark, teapot, in, at+delay(l.back))
		}
		return
	}
	a.Add(mark, glass, out, at)
	from := glass
	if l.nat {
		from = public
	}
	if !lost {
		got := skewed(at + delay(l.there))
		b.Add(mark, from, in, got)
		if l.echo {
			b.Add(mark, from, in, got+40_000)
		}
	}
}

var links = map[string]link{
	"the same clock":      {there: 200 * time.Microsecond, back: 200 * time.Microsecond, jitter: 100 * time.Microsecond, span: time.Minute, every: time.Second},
	"an hour ahead":       {offset: time.Hour, there: time.Millisecond, back: time.Millisecond, jitter: time.Millisecond, span: time.Minute, every: time.Second, directions: true},
	"3.7 s behind":        {offset: -3700 * time.Millisecond, there: 20 * time.Millisecond, back: 20 * time.Millisecond, jitter: 5 * time.Millisecond, span: time.Minute, every: time.Second},
	"uneven delay":        {offset: time.Hour, there: 10 * time.Millisecond, back: 200 * time.Millisecond, jitter: 5 * time.Millisecond, span: time.Minute, every: time.Second},
	"loss and resends":    {offset: -90 * time.Second, there: 5 * time.Millisecond, back: 5 * time.Millisecond, jitter: 20 * time.Millisecond, loss: 0.3, resend: 3, span: 2 * time.Minute, every: 700 * time.Millisecond},
	"drift":               {offset: time.Hour, drift: 200e-6, there: 2 * time.Millisecond, back: 2 * time.Millisecond, jitter: 2 * time.Millisecond, span: 10 * time.Minute, every: time.Second},
	"drift through a day": {offset: -5 * time.Second, drift: -50e-6, there: 20 * time.Millisecond, back: 20 * time.Millisecond, jitter: 30 * time.Millisecond, loss: 0.05, resend: 9, span: 24 * time.Hour, every: 7 * time.Second},
	"NAT":                 {offset: 10 * time.Minute, there: 15 * time.Millisecond, back: 15 * time.Millisecond, jitter: time.Millisecond, span: time.Minute, every: time.Second, nat: true, directions: true},
	"echoes":              {offset: time.Second, there: time.Millisecond, back: time.Millisecond, jitter: time.Millisecond, span: time.Minute, every: time.Second, echo: true},
	"very many":           {offset: 2 * time.Second, there: time.Millisecond, back: time.Millisecond, jitter: time.Millisecond, span: 100 * time.Second, every: time.Millisecond, loss: 0.01},
}

// TestTheClockIsFound holds that the offset is found within the error that is
// told, which is no more than delays leave open, and the drift where there is one
// and only there; and that packets are on their senders' sides.
func TestTheClockIsFound(t *testing.T) {
	for name, l := range links {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(name, seed), func(t *testing.T) {
				a, b := l.observe(seed)
				f, ok := Compare(a, b)
				if !ok {
					t.Fatal("not compared")
				}
				l.check(t, f)
			})
		}
	}
}

func (l link) check(t *testing.T, f Fit) {
	t.Helper()
	off := (f.Clock.Offset() - l.offset).Abs()
	const slack = 2 * time.Millisecond
	if most := (l.there+l.back)/2 + l.jitter + slack; f.Error < 0 || off > f.Error+slack || f.Error > most {
		t.Errorf("offset %v ± %v is off by %v; at most ± %v is open", f.Clock.Offset(), f.Error, off, most)
	}
	if d := f.Clock.Drift() - l.drift; d > 5e-6 || d < -5e-6 {
		t.Errorf("drift %g, want %g", f.Clock.Drift(), l.drift)
	}
	if f.Same != (l.offset == 0 && l.drift == 0) {
		t.Errorf("the same clock: %v", f.Same)
	}
	near := fmt.Sprint(f.Near, f.Far)
	if want := fmt.Sprint([]netip.Addr{glass}, []netip.Addr{teapot}); near != want {
		t.Errorf("near and far: %s, want %s", near, want)
	}
}

// TestOneWayIsTold holds that a delay is not taken for the clock's error, nor a
// clock's error hidden, where packets went one way only.
func TestOneWayIsTold(t *testing.T) {
	for _, l := range []link{
		{there: 80 * time.Millisecond, oneWay: true, directions: true, span: time.Minute, every: time.Second},
		{offset: -time.Minute, there: 80 * time.Millisecond, oneWay: true, directions: true, span: time.Minute, every: time.Second},
	} {
		a, b := l.observe(1)
		f, ok := Compare(a, b)
		if !ok || f.Error >= 0 || f.Same != (l.offset == 0) {
			t.Errorf("%v: %+v, %v", l.offset, f, ok)
		}
		if !f.Same && (f.Clock.Offset()-l.offset).Abs() > 100*time.Millisecond {
			t.Errorf("offset %v, want %v", f.Clock.Offset(), l.offset)
		}
	}
}

// TestNothingInCommonIsNoClock holds that strangers' clocks are not compared, nor
// those of two captures of which one follows the other and a message was sent
// again in the second.
func TestNothingInCommonIsNoClock(t *testing.T) {
	l := link{span: time.Minute, every: time.Second}
	a, _ := l.observe(1)
	_, b := l.observe(2)
	if f, ok := Compare(a, b); ok {
		t.Errorf("strangers: %+v", f)
	}
	again := analyze.Mark{Class: analyze.MarkIKE, Key: 42}
	a.Add(again, glass, analyze.DirUnknown, a.last)
	b.Add(again, glass, analyze.DirUnknown, b.first)
	if f, ok := Compare(a, b); ok {
		t.Errorf("one message sent again: %+v", f)
	}
	if f, ok := Compare(&Marks{}, &Marks{}); ok {
		t.Errorf("nothing: %+v", f)
	}
}

// TestMemoryIsBounded holds that sightings beyond the bound leave others out.
func TestMemoryIsBounded(t *testing.T) {
	a, _ := links["very many"].observe(1)
	if n := len(a.control.kept); n > maxMarks || n < maxMarks/4 {
		t.Errorf("%d sightings are kept of 100,000, want between a quarter of %d and all", n, maxMarks)
	}
}

func TestAClockTurnsTimesBack(t *testing.T) {
	c := Clock{at: 1e18, offset: int64(time.Hour), drift: 200e-6}
	for _, since := range []int64{0, 1e9, -1e12, 86400e9} {
		at := c.at + since
		shown := at + c.offset + int64(float64(since)*c.drift)
		if got := c.Reference(shown); max(got-at, at-got) > 1000 {
			t.Errorf("%d s later: %d ns off", since/1e9, got-at)
		}
	}
	far := Clock{at: 1e18 + int64(time.Hour), offset: int64(time.Minute)}.After(c)
	if got, want := far.Offset(), time.Hour+time.Minute; (got - want).Abs() > time.Second {
		t.Errorf("a clock a minute ahead of one that is an hour ahead: %v", got)
	}
}
