package metrics

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/capture"
	"ipsecdiag/rules"
)

// scrape serves a collector and returns what Prometheus would get.
func scrape(t *testing.T, c *Collector) string {
	t.Helper()
	ready := make(chan struct{})
	close(ready)
	s, err := Serve("127.0.0.1:0", c, "1.2-\xff", ready)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	answer, err := http.Get("http://" + s.Addr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", answer.Status, err, body)
	}
	return string(body)
}

// recorded lets a collector see a recording.
func recorded(t *testing.T, path string) *Collector {
	t.Helper()
	engine := rules.NewEngine(analyze.NewState(analyze.Limits{}), rules.All)
	c := New(engine, new(sync.Mutex))
	for e, err := range capture.Files(context.Background(), []string{"../../../fixtures/" + path}, capture.FileOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		engine.Apply(e)
		c.Saw(e)
	}
	return c
}

func TestMetricsOfADeadlock(t *testing.T) {
	got := scrape(t, recorded(t, "nd-deadlock-ikev2/teapot.pcapng"))
	for _, line := range []string{
		`ipsecdiag_findings_open{explained="false",rule="nd-deadlock",severity="error"} 1`,
		`ipsecdiag_findings_open{explained="false",rule="key-file",severity="warning"} 0`,
		`ipsecdiag_acquires_outstanding{host="teapot"} 1`,
		`ipsecdiag_build_info{version="1.2-\\xff"} 1`,
		`ipsecdiag_packets_total{kind="esp"} 0`,
		`ipsecdiag_sas{host="teapot",state="larval"} 1`,
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("%s is not among\n%s", line, got)
		}
	}
	for _, kind := range []string{"nd", "ike"} {
		if strings.Contains(got, fmt.Sprintf("ipsecdiag_packets_total{kind=%q} 0\n", kind)) {
			t.Errorf("no packets of kind %s", kind)
		}
	}
}

func TestMetricsOfAHealthyLink(t *testing.T) {
	c := recorded(t, "healthy-ikev2/glass.pcapng")
	got := scrape(t, c)
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "ipsecdiag_findings_open") && strings.Contains(line, `severity="error"`) && !strings.HasSuffix(line, " 0\n") {
			t.Errorf("a healthy link has %s", line)
		}
	}
	for _, direction := range []string{`{dst="fd00::2",src="fd00::1"}`, `{dst="fd00::1",src="fd00::2"}`} {
		if !strings.Contains(got, "ipsecdiag_esp_silence_seconds"+direction) {
			t.Errorf("nothing of ESP %s in\n%s", direction, got)
		}
	}
	if c.packets["esp"] == 0 || c.bytes["esp"] < c.packets["esp"]*100 {
		t.Errorf("%d packets and %d bytes of ESP", c.packets["esp"], c.bytes["esp"])
	}
}

// TestMetricsAreBounded holds that pairs and losses without end do not make
// metrics without end, and that those left out are counted.
func TestMetricsAreBounded(t *testing.T) {
	engine := rules.NewEngine(analyze.NewState(analyze.Limits{}), rules.All)
	c := New(engine, new(sync.Mutex))
	const many = 2*MaxPairs + 500
	start := time.Unix(1_700_000_000, 0)
	for i := range many {
		at := time.Duration(i) * time.Millisecond
		h := analyze.Header{Time: start.Add(at), Mono: at, Origin: analyze.Origin{Host: "glass"}}
		key := analyze.FlowKey{Src: netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), Dst: netip.MustParseAddr("10.0.0.1"), Proto: spd.ProtoESP, SPI: 7}
		for _, e := range []analyze.Event{
			&analyze.Flow{Header: h, Key: key, Start: h.Time, End: h.Time, Packets: 1, Bytes: 100, FirstSeq: 1, LastSeq: 1, MinSeq: 1, MaxSeq: 1},
			&analyze.Lost{Header: h, What: fmt.Sprintf("kind %d", i)},
		} {
			engine.Apply(e)
			c.Saw(e)
		}
	}
	got := scrape(t, c)
	if n := strings.Count(got, "ipsecdiag_esp_silence_seconds{"); n > 2*MaxPairs {
		t.Errorf("%d directions of pairs", n)
	}
	if n := strings.Count(got, "ipsecdiag_lost_total{"); n != maxLost {
		t.Errorf("%d kinds of losses, want %d", n, maxLost)
	}
	if strings.Contains(got, "ipsecdiag_pairs_left_out 0\n") {
		t.Error("pairs were left out and not counted")
	}
}

// TestMetricsWaitUntilReady holds that nobody is answered before the process is
// locked in, nor where it never is.
func TestMetricsWaitUntilReady(t *testing.T) {
	c := recorded(t, "nd-deadlock-ikev2/teapot.pcapng")
	for _, locked := range []bool{true, false} {
		ready := make(chan struct{})
		s, err := Serve("127.0.0.1:0", c, "1", ready)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if locked {
			close(ready)
			if answer, err := io.ReadAll(conn); err != nil || !strings.Contains(string(answer), "200 OK") {
				t.Errorf("%q, %v", answer, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if answer, _ := io.ReadAll(conn); len(answer) > 0 {
			t.Errorf("it answers before it is locked in: %q", answer)
		}
	}
}

func TestMetricsListenOnLoopbackUnlessTold(t *testing.T) {
	for text, want := range map[string]string{
		"9765": "127.0.0.1:9765", ":9765": "127.0.0.1:9765", "0.0.0.0:9765": "0.0.0.0:9765", "[::]:80": "[::]:80", "[::1]:0": "[::1]:0",
	} {
		if got, err := Address(text); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "host", "1.2.3.4", "::1", "host:", "host:port", "1.2.3.4:99999"} {
		if got, err := Address(text); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}
