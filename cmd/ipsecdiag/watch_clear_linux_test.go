package main

import (
	"bufio"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ipsecdiag/capture/netns"
)

// TestWatchTellsWhatLeavesInTheClear holds that watch looks for packets that an
// optional policy lets out in the clear, and tells of them.
func TestWatchTellsWhatLeavesInTheClear(t *testing.T) {
	ns := namespace(t)
	for _, args := range []string{
		"link add va type veth peer name vb", "addr add 10.9.0.1/24 dev va", "link set va up", "link set vb up",
		"neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev va",
		"xfrm policy add src 10.9.0.1 dst 10.9.0.2 dir out tmpl proto esp mode transport level use",
	} {
		if out, err := exec.Command("ip", append([]string{"-n", ns}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	cmd := exec.Command(program, "watch", "va", "--netns", ns, "--for", "60s", "--format", "json")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan bool)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), `"rule":"plaintext-leak"`) {
				told <- true
			}
		}
		close(told)
	}()
	send := func() error {
		c, err := net.Dial("udp", "10.9.0.2:53")
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("in the clear"))
		return err
	}
	for again := time.Tick(300 * time.Millisecond); ; {
		select {
		case found := <-told:
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if !found {
				t.Error("watch ended and told nothing of packets in the clear")
			}
			return
		case <-again:
			if err := netns.Do(ns, send); err != nil {
				t.Fatal(err)
			}
		}
	}
}
