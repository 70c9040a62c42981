package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ipsecdiag/capture/netns"
)

// soakVariable is the environment variable that says for how long
// TestWatchStaysSmall is to watch, 1h say.
const soakVariable = "IPSECDIAG_SOAK"

// soakAllowance is by how much the memory of a watch may differ between its sixth
// part, when all that is bounded is filled, and its end, bytes.
const soakAllowance = 16 << 20

// TestWatchStaysSmall holds that a watch that records takes no more memory after
// an hour of rekeying, dead peer detection, unanswered IKE, ESP, policies, SAs and
// neighbours that come and go, and an interface that does, than after ten minutes.
func TestWatchStaysSmall(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv(soakVariable))
	if err != nil || length < time.Minute {
		t.Skipf("takes an hour: set %s=1h, and -timeout", soakVariable)
	}
	a, b := watchedHosts(t)
	file := filepath.Join(t.TempDir(), "it.pcapng")
	cmd := exec.Command(program, "watch", "vb", "--netns", b, "--for", length.String(), "--format", "json",
		"-w", file, "--ring", "3x1MB")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	began := time.Now()
	var settled int64
	next := 0 // sixth of the length
	for i := 0; ; i++ {
		select {
		case err := <-ended:
			t.Logf("ended after %v: %v", time.Since(began).Round(time.Second), err)
			if i < int(length/time.Second)/2 {
				t.Error("it ended by itself")
			}
			return
		case <-time.After(time.Second):
		}
		soakSecond(t, a, b, i)
		if time.Since(began) < length*time.Duration(next)/6-5*time.Second {
			continue
		}
		rss := residentSize(t, cmd.Process.Pid)
		t.Logf("%v: RSS %.1f MiB", time.Since(began).Round(time.Second), float64(rss)/(1<<20))
		if next == 1 {
			settled = rss
		}
		if next > 1 && rss > settled+soakAllowance {
			t.Errorf("grew from %d to %d", settled, rss)
		}
		next++
	}
}

// residentSize returns the memory of a process that is in RAM, bytes.
func residentSize(t *testing.T, pid int) int64 {
	t.Helper()
	n, err := resident(pid)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func resident(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			return kib << 10, nil
		}
	}
	return 0, nil
}

// watchedHosts makes two namespaces with va and vb between them, 10.9.0.1 and
// 10.9.0.2.
func watchedHosts(t *testing.T) (a, b string) {
	t.Helper()
	a = namespace(t)
	b = a + "-b"
	for _, args := range []string{
		"netns add " + b,
		"-n " + a + " link add va type veth peer name vb netns " + b,
		"-n " + a + " addr add 10.9.0.1/24 dev va", "-n " + a + " link set va up",
		"-n " + b + " addr add 10.9.0.2/24 dev vb", "-n " + b + " link set vb up", "-n " + b + " link set lo up",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Skipf("needs network namespaces and veth: ip %s: %v: %s", args, err, out)
		}
		if strings.HasPrefix(args, "netns add") {
			t.Cleanup(func() { exec.Command("ip", "netns", "delete", b).Run() })
		}
	}
	return a, b
}

// soakSecond makes what one second brings: the i-th.
func soakSecond(t *testing.T, a, b string, i int) {
	t.Helper()
	spi := uint32(0x10000 + i/30) // a new one each half minute
	sendFrom(t, a, 1, 4500, encapsulated(spi, i%30, 20)...)
	sendFrom(t, b, 2, 4500, encapsulated(spi^0xffff0000, i%30, 20)...)
	sendFrom(t, a, 1, 500, ikeHeader(1, 37, i, 0x08))   // INFORMATIONAL of one IKE SA
	sendFrom(t, b, 2, 500, ikeHeader(1, 37, i, 0x20))   // answered
	sendFrom(t, a, 1, 500, ikeHeader(i/7, 34, 0, 0x08)) // IKE_SA_INIT again and again, unanswered
	switch {
	case i%60 == 59:
		soakIP(t, "-n", b, "link", "set", "vb", "down")
		soakIP(t, "-n", b, "link", "set", "vb", "up")
	case i%5 == 0:
		soakIP(t, "-n", b, "neigh", "flush", "dev", "vb")
		soakIP(t, "-n", b, "xfrm", "policy", "add", "src", "10.9.0.2", "dst", fmt.Sprintf("10.9.%d.1", 1+i/5%200),
			"dir", "out", "tmpl", "proto", "esp", "mode", "transport")
	case i%5 == 2:
		soakIP(t, "-n", b, "xfrm", "state", "allocspi", "src", "10.9.0.1", "dst", "10.9.0.2", "proto", "esp",
			"mode", "transport", "min", strconv.Itoa(0x1000+i), "max", strconv.Itoa(0x1000+i))
	case i%5 == 4:
		soakIP(t, "-n", b, "xfrm", "policy", "flush")
		soakIP(t, "-n", b, "xfrm", "state", "flush")
	}
}

func soakIP(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Errorf("ip %q: %v: %s", args, err, out)
	}
}

// sendFrom sends datagrams from one host of watchedHosts to the other, from and to
// that port. That nobody listens there does not matter.
func sendFrom(t *testing.T, ns string, host byte, port int, datagrams ...[]byte) {
	t.Helper()
	err := netns.Do(ns, func() error {
		from := &net.UDPAddr{IP: net.IPv4(10, 9, 0, host), Port: port}
		c, err := net.ListenUDP("udp4", from)
		if err != nil {
			return err
		}
		defer c.Close()
		for _, d := range datagrams {
			_, _ = c.WriteToUDP(d, &net.UDPAddr{IP: net.IPv4(10, 9, 0, 3-host), Port: port})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// encapsulated returns n packets of ESP for UDP (RFC 3948), the round-th n of
// their SPI.
func encapsulated(spi uint32, round, n int) [][]byte {
	var packets [][]byte
	for i := range n {
		b := make([]byte, 100)
		binary.BigEndian.PutUint32(b, spi)
		binary.BigEndian.PutUint32(b[4:], uint32(round*n+i+1))
		packets = append(packets, b)
	}
	return packets
}

// ikeHeader returns an IKEv2 message without payloads (RFC 7296, section 3.1), of
// the IKE SA with that number.
func ikeHeader(sa int, exchange byte, id int, flags byte) []byte {
	b := make([]byte, 28)
	binary.BigEndian.PutUint64(b, 0x1122334400000000+uint64(sa))
	if exchange != 34 {
		binary.BigEndian.PutUint64(b[8:], 0x5566778800000000+uint64(sa))
	}
	b[17], b[18], b[19], b[27] = 0x20, exchange, flags, 28
	binary.BigEndian.PutUint32(b[20:], uint32(id))
	return b
}
