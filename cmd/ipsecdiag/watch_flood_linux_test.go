package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ipsecdiag/capture/netns"
	"ipsecdiag/fixtures/bounds"
	"ipsecdiag/fixtures/flood"
	"ipsecdiag/rules"
)

// floodVariable says for how long TestWatchUnderAttack goes on, 1h say, and
// seedVariable repeats the frames of another run.
const (
	floodVariable = "IPSECDIAG_FLOOD"
	seedVariable  = "IPSECDIAG_FLOOD_SEED"
)

const (
	// floodRate is how many frames are sent in a second, at most.
	floodRate = 20_000
	// floodLeast is how many there must have been: enough to fill any memory.
	floodLeast = 200_000
	// foundWithin is how soon the deadlock must be found after the first
	// solicitation that was seen, in event time.
	foundWithin = 10 * time.Second
)

// TestWatchUnderAttack floods a watch with IKE, ESP, neighbour discovery and
// fragments from strangers, millions in an hour. Its memory stays below what it may
// take, it finds a deadlock that begins in the middle, and says what it forgot.
func TestWatchUnderAttack(t *testing.T) {
	length := 10 * time.Second
	if text := os.Getenv(floodVariable); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", floodVariable, err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(seedVariable); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("%s=%d, for %v", seedVariable, seed, length)
	a, b := watchedHosts(t)
	policeTeapot(t, b)
	limit := watchMemory
	if length < time.Minute {
		limit = leastMemory // which fills at once
	}
	w := startUnderAttack(t, b, limit)
	f := newAttack(t, seed, a, b)
	f.goOn(length/2, floodLeast/2, w)
	f.deadlock = true
	f.goOn(length/2, floodLeast, w)
	for wait := 0; len(w.found) == 0 && wait < 30; wait++ { // a busy machine lags behind
		f.goOn(time.Second, 0, w)
	}
	w.end(t, f)
}

// policeTeapot gives the host under attack the address and the policies of teapot.
func policeTeapot(t *testing.T, b string) {
	t.Helper()
	for _, args := range []string{
		"addr add fd00::2/64 dev vb nodad",
		"xfrm policy add src fd00::2/128 dst fd00::1/128 dir out priority 268928 tmpl proto esp reqid 1 mode transport",
		"xfrm policy add src fd00::1/128 dst fd00::2/128 dir in priority 268928 tmpl proto esp reqid 1 mode transport",
	} {
		if out, err := exec.Command("ip", append([]string{"-n", b}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
			t.Skipf("needs IPv6 and policies: ip %s: %v: %s", args, err, out)
		}
	}
}

// attacked is a watch under attack.
type attacked struct {
	cmd   *exec.Cmd
	limit memory
	most  int64 // resident memory, bytes
	found chan rules.Finding
	text  chan string // all of its standard error, at its end
	lines atomic.Int64
}

func startUnderAttack(t *testing.T, b string, limit memory) *attacked {
	t.Helper()
	w := &attacked{
		cmd:   exec.Command(program, "watch", "vb", "--netns", b, "--format", "json", "--max-memory", limit.String()),
		limit: limit,
		found: make(chan rules.Finding, 1), text: make(chan string, 1),
	}
	stdout, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := w.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.cmd.Process.Kill() })
	begun := make(chan bool, 1)
	go func() {
		text := ""
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			text += lines.Text() + "\n"
			if strings.HasPrefix(lines.Text(), "watching vb on ") {
				begun <- true
			}
		}
		close(begun)
		w.text <- text
	}()
	go func() {
		lines := bufio.NewReader(stdout)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			w.lines.Add(1)
			var f rules.Finding
			if strings.Contains(line, `"rule":"nd-deadlock"`) && json.Unmarshal([]byte(line), &f) == nil && len(w.found) == 0 {
				w.found <- f
			}
		}
	}()
	if !<-begun {
		t.Fatalf("watch ended: %s", <-w.text)
	}
	return w
}

// look notes how much memory it has, its children's included, whichever of its
// threads started them.
func (w *attacked) look(t *testing.T) {
	t.Helper()
	sum := residentSize(t, w.cmd.Process.Pid)
	if sum == 0 { // it waits to be waited for
		t.Fatalf("watch ended: %s", <-w.text)
	}
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", w.cmd.Process.Pid))
	for _, thread := range threads {
		children, _ := os.ReadFile(thread)
		for _, pid := range strings.Fields(string(children)) {
			n, _ := strconv.Atoi(pid)
			of, _ := resident(n) // it may have ended
			sum += of
		}
	}
	w.most = max(w.most, sum)
}

// end holds what the watch said, and what it took.
func (w *attacked) end(t *testing.T, f *attack) {
	t.Helper()
	_ = w.cmd.Process.Signal(os.Interrupt)
	text := <-w.text
	_ = w.cmd.Wait()
	t.Logf("%d frames sent, %d lines of findings, at most %d MB resident\n%s", f.sent, w.lines.Load(), w.most/1e6, text)
	if status := w.cmd.ProcessState.ExitCode(); status != statusFound {
		t.Errorf("exit status %d", status)
	}
	if memory(w.most) >= w.limit {
		t.Errorf("%d bytes resident, of %d that it may take", w.most, w.limit)
	}
	if !strings.Contains(text, "pairs forgotten for lack of room") {
		t.Error("it does not say that it forgot anything")
	}
	select {
	case found := <-w.found:
		if took := found.FirstSeen.Sub(firstSolicited(found)); took > foundWithin {
			t.Errorf("the deadlock was found %v after the first solicitation", took)
		}
	default:
		t.Error("the deadlock was not found")
	}
}

// firstSolicited is when the first solicitation of a deadlock was seen.
func firstSolicited(f rules.Finding) time.Time {
	for _, e := range f.Evidence {
		if strings.Contains(e.Text, "solicits") {
			return e.Time
		}
	}
	return time.Time{}
}

// attack sends frames.
type attack struct {
	t        *testing.T
	sender   *flood.Sender
	wire     *frameSocket // into the host under attack
	own      *frameSocket // out of it
	ask, ike []byte       // the solicitation and the IKE message of a deadlock
	deadlock bool
	sent     int
	next     time.Time // when those are due
}

func newAttack(t *testing.T, seed uint64, a, b string) *attack {
	t.Helper()
	f := &attack{t: t, wire: openFrames(t, a, "va"), own: openFrames(t, b, "vb")}
	f.sender = flood.New(seed, bounds.Frames(t, "../../fixtures"), f.own.mac, netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("fd00::2"))
	const next, src, dst = 14 + 6, 14 + 8, 14 + 24
	glass, teapot := netip.MustParseAddr("fd00::1").As16(), netip.MustParseAddr("fd00::2").As16()
	for _, frame := range bounds.Capture(t, "../../fixtures/nd-deadlock-ikev2/teapot.tcpdump.pcap") {
		switch {
		case len(frame) < dst+16+8 || binary.BigEndian.Uint16(frame[12:]) != 0x86dd:
		case frame[next] == 58 && frame[dst+16] == 135 && [16]byte(frame[src:dst]) == glass && frame[dst] == 0xff:
			f.ask = frame
		case frame[next] == 17 && [16]byte(frame[src:dst]) == teapot && [16]byte(frame[dst:dst+16]) == glass:
			f.ike = frame
		}
	}
	if f.ask == nil || f.ike == nil {
		t.Fatal("the recording of the deadlock holds no solicitation, or no IKE")
	}
	return f
}

// goOn sends for so long, and until so many frames were sent in all. What is late is
// not made up for.
func (f *attack) goOn(length time.Duration, least int, w *attacked) {
	const step = 5 * time.Millisecond
	clock := time.NewTicker(step)
	defer clock.Stop()
	looked := time.Time{}
	for end := time.Now().Add(length); time.Now().Before(end) || f.sent < least; <-clock.C {
		for range floodRate * step / time.Second {
			f.wire.send(f.sender.Next())
			f.sent++
		}
		now := time.Now()
		if f.deadlock && now.After(f.next) {
			f.next = now.Add(time.Second)
			f.wire.send(f.ask)
			f.own.send(f.ike)
		}
		if now.Sub(looked) > 100*time.Millisecond {
			w.look(f.t)
			looked = now
		}
	}
}

// frameSocket sends frames by an interface.
type frameSocket struct {
	fd  int
	to  unix.SockaddrLinklayer
	mac [6]byte
}

func openFrames(t *testing.T, namespace, device string) *frameSocket {
	t.Helper()
	s := &frameSocket{fd: -1}
	err := netns.Do(namespace, func() error {
		i, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		copy(s.mac[:], i.HardwareAddr)
		s.to.Ifindex = i.Index
		s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(s.fd) })
	return s
}

// send sends a frame; what a device does not take (too long, no room) is not sent.
func (s *frameSocket) send(frame []byte) { _ = unix.Sendto(s.fd, frame, syscall.MSG_DONTWAIT, &s.to) }
