package report

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/timeline"
	"ipsecdiag/rules"
)

// crowd makes a stream of frames and flows of many pairs that suffer.
type crowd struct {
	engine *rules.Engine
	frames int
	now    time.Duration
}

func newCrowd() *crowd {
	c := &crowd{engine: rules.NewEngine(analyze.NewState(analyze.Limits{}), rules.All)}
	c.engine.Timeline = timeline.New(timeline.Limits{})
	return c
}

const crowdPairs = 400 // each with a finding: more than a report shows

func (c *crowd) head() analyze.Header {
	return analyze.Header{
		Time: time.Unix(1_800_000_000, 0).UTC().Add(c.now), Mono: c.now,
		Origin: analyze.Origin{Host: "glass", Interface: "eth0"},
	}
}

// run lets that many frames go by, 5000 a second.
func (c *crowd) run(frames int) {
	for n := range frames {
		c.now += 200 * time.Microsecond
		if c.now%time.Second == 0 {
			c.engine.Apply(&analyze.Tick{Header: c.head()})
		}
		c.frames++
		pair := c.frames % crowdPairs
		switch n % 3 {
		case 0:
			c.engine.Apply(c.frame(solicitation(pair)))
		case 1:
			c.engine.Apply(c.frame(initRequest(pair, uint64(pair+1))))
		default:
			c.engine.Apply(c.esp(pair))
		}
	}
}

func (c *crowd) frame(ip []byte) *analyze.Frame {
	return &analyze.Frame{Header: c.head(), Link: analyze.LinkRaw, OrigLen: len(ip), Data: ip}
}

func (c *crowd) esp(pair int) *analyze.Flow {
	h := c.head()
	return &analyze.Flow{
		Header: h, Key: analyze.FlowKey{Src: host(1, pair), Dst: host(0, pair), Proto: spd.ProtoESP, SPI: uint32(c.frames / 1000)},
		Start: h.Time, End: h.Time, Packets: 10, Bytes: 1000, FirstSeq: 1, LastSeq: 10, MinSeq: 1, MaxSeq: 10,
	}
}

func host(side byte, pair int) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfd, 13: side, 14: byte(pair >> 8), 15: byte(pair)})
}

// ipv6 puts a header before a payload (RFC 8200 section 3).
func ipv6(src, dst netip.Addr, next byte, payload []byte) []byte {
	b := make([]byte, 40, 40+len(payload))
	b[0], b[6], b[7] = 0x60, next, 255
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	s, d := src.As16(), dst.As16()
	copy(b[8:], s[:])
	copy(b[24:], d[:])
	return append(b, payload...)
}

func solicitation(pair int) []byte {
	target := host(1, pair).As16()
	return ipv6(host(0, pair), analyze.SolicitedNode(host(1, pair)), spd.ProtoICMPv6, append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, target[:]...))
}

// initRequest is the header of an IKE_SA_INIT request (RFC 7296 section 3.1).
func initRequest(pair int, spi uint64) []byte {
	b := make([]byte, 8+28)
	binary.BigEndian.PutUint16(b, 500)
	binary.BigEndian.PutUint16(b[2:], 500)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	m := b[8:]
	binary.BigEndian.PutUint64(m, spi)
	m[17], m[18], m[19], m[27] = 0x20, 34, 0x08, 28
	return ipv6(host(1, pair), host(0, pair), spd.ProtoUDP, b)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestAReportOfAMillionFrames holds its size, and that neither reading nor
// writing takes more memory for a million frames than for a part of them.
func TestAReportOfAMillionFrames(t *testing.T) {
	frames, part := 1_000_000, 400_000
	if raceDetector { // all of it takes minutes then, and says nothing more
		frames, part = 500_000, 400_000
	}
	c := newCrowd()
	c.run(part)
	before := heap()
	c.run(frames - part)
	after := heap()
	if after > before+before/4 {
		t.Errorf("after %d frames the heap is %d bytes, after %d it is %d", part, before, frames, after)
	}
	var b bytes.Buffer
	if err := HTML(&b, c.engine, HTMLOptions{Version: "test"}); err != nil {
		t.Fatal(err)
	}
	const most = 5_000_000
	if b.Len() > most || b.Len() < 100_000 {
		t.Errorf("the report is %d bytes, want at most %d", b.Len(), most)
	}
	if n, steps := strings.Count(b.String(), "<svg viewBox"), strings.Count(b.String(), `role="listitem"`); n < 20 || steps > maxHTMLAllSteps {
		t.Errorf("%d ladders with %d steps are drawn", n, steps)
	}
	if !strings.Contains(b.String(), "more findings are not shown") {
		t.Errorf("of %d findings it is not said that some are left out", len(c.engine.Findings()))
	}
	if held := heap(); held > after+2*uint64(b.Cap())+after/10 {
		t.Errorf("writing the report left %d bytes more", held-after)
	}
	t.Logf("%d frames, %d findings: heap %.1f MB, report %.2f MB", c.frames, len(c.engine.Findings()), float64(after)/1e6, float64(b.Len())/1e6)
	runtime.KeepAlive(c)
}

// TestHTMLCleans holds that whatever comes out of the templates is cleaned.
func TestHTMLCleans(t *testing.T) {
	var b bytes.Buffer
	c := &cleaner{w: &b}
	if _, err := io.WriteString(c, "a\x1b[2Jb\nc\u202ed"); err != nil {
		t.Fatal(err)
	}
	if err := c.flush(); err != nil || b.String() != `a\x1b[2Jb`+"\n"+`c\u{202e}d` {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

// TestHTMLEscapes puts markup into every string that a source may give.
func TestHTMLEscapes(t *testing.T) {
	const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>{{.}}`
	e := rules.NewEngine(analyze.NewState(analyze.Limits{}), rules.All)
	e.Timeline = timeline.New(timeline.Limits{})
	h := analyze.Header{Time: start.UTC(), Origin: analyze.Origin{Host: evil}}
	e.Apply(&analyze.Snapshot{Header: h, KernelState: analyze.KernelState{
		Release: evil, Missing: []string{evil}, Listeners: []analyze.Listener{{Name: evil}},
	}})
	e.Apply(&analyze.Lost{Header: h, What: evil, Count: 1})
	var b bytes.Buffer
	if err := HTML(&b, e, HTMLOptions{Version: evil, Files: []string{evil}}); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.Contains(got, "<script") || strings.Contains(got, "<img") || !strings.Contains(got, "&lt;script&gt;alert(1)") {
		t.Errorf("got %s", got)
	}
}
