package capture

import (
	"os/exec"
	"strings"
	"testing"

	"ipsecdiag/analyze"
)

// runOnRecording runs another program over a recording of all kinds of events
// and returns what it prints. The test is skipped where the program is missing.
func runOnRecording(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	events := liveEvents()
	for _, f := range frames(events) {
		f.Data = solicitation()
		f.OrigLen, f.Direction = len(f.Data), analyze.DirOut
	}
	path := writeFile(t, "recording.pcapng", recordAll(t, stamp(events, 0)))
	cmd := exec.Command(name, append(args, "-r", path)...)
	cmd.Env = append(cmd.Environ(), "TZ=UTC")
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			t.Fatalf("%s: %v: %s", name, err, exit.Stderr)
		}
		t.Fatal(err)
	}
	return string(out)
}

// TestTcpdumpOpensRecording holds that tcpdump reads the frames and skips all
// else.
func TestTcpdumpOpensRecording(t *testing.T) {
	out := runOnRecording(t, "tcpdump", "-nn", "-tttt")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines:\n%s", len(lines), out)
	}
	if want := "2024-02-29 12:00:00.423456"; !strings.HasPrefix(lines[0], want) || !strings.Contains(lines[0], "neighbor solicitation") {
		t.Errorf("got %q, want a solicitation at %s", lines[0], want)
	}
}

// TestTsharkShowsRecording holds that Wireshark shows the kernel's events
// between the frames, under the numbers that the events have.
func TestTsharkShowsRecording(t *testing.T) {
	out := runOnRecording(t, "tshark", "-T", "fields", "-e", "frame.number", "-e", "frame.time_epoch",
		"-e", "frame.packet_flags", "-e", "icmpv6.type", "-e", "systemd_journal.message")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 16 {
		t.Fatalf("%d frames:\n%s", len(lines), out)
	}
	for i, want := range map[int]string{
		0: "1\t1709208000.123456000\t\t\tipsecdiag 0.1 begins to record on glass",
		3: "4\t1709208000.423456789\t0x00000002\t135\t",
		4: "5\t1709208001.323456000\t\t\tACQUIRE for fd00::2 → fd00::1 ipv6-icmp type 136 (policy out priority 268928)",
	} {
		if lines[i] != want {
			t.Errorf("line %d:\n got %q\nwant %q", i+1, lines[i], want)
		}
	}
	if !strings.Contains(out, `listeners for ACQUIRE: evil\x1b[2J\nname (netlink)`) {
		t.Errorf("the name of a process is not escaped:\n%s", out)
	}
}
