package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var fixHosts atomic.Int32

// fixHost is a network namespace with a journal, on which fix is tried.
type fixHost struct {
	t       *testing.T
	netns   string
	journal string
}

// newFixHost makes one with fd00::1 and 10.0.0.1 on eth0, of whose cable the
// other end is in the same namespace and answers nothing.
func newFixHost(t *testing.T) *fixHost {
	t.Helper()
	needsPrivilege(t)
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("iproute2 is not installed")
	}
	h := &fixHost{t, fmt.Sprintf("ipsecdiag-fix-cmd-%d-%d", os.Getpid(), fixHosts.Add(1)), filepath.Join(t.TempDir(), "journal")}
	if out, err := exec.Command("ip", "netns", "add", h.netns).CombinedOutput(); err != nil {
		t.Skipf("cannot make a network namespace: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", h.netns).Run() })
	h.ip("link add eth0 type veth peer name cable")
	for _, l := range []string{"addr add fd00::1/64 dev eth0 nodad", "addr add 10.0.0.1/24 dev eth0", "link set cable up", "link set eth0 up", "link set lo up"} {
		h.ip(l)
	}
	return h
}

// deadlocked gives it the policies with which neighbour discovery dies.
func (h *fixHost) deadlocked() *fixHost {
	h.t.Helper()
	h.ip("xfrm policy add src fd00::1/128 dst fd00::2/128 dir out tmpl proto esp mode transport")
	h.ip("xfrm policy add src fd00::2/128 dst fd00::1/128 dir in priority 268928 tmpl proto esp mode transport")
	h.ip("xfrm policy add src fd00::/64 dst fd00::/64 dir out priority 300000 action block")
	return h
}

func (h *fixHost) ip(args string) string {
	h.t.Helper()
	out, err := exec.Command("ip", append([]string{"-n", h.netns}, strings.Fields(args)...)...).CombinedOutput()
	if err != nil {
		h.t.Fatalf("ip %s: %v: %s", args, err, out)
	}
	return string(out)
}

// args completes a command line of fix.
func (h *fixHost) args(words string) []string {
	return append(append([]string{"fix"}, strings.Fields(words)...), "--netns", h.netns, "--journal", h.journal)
}

func (h *fixHost) fix(words string) result {
	h.t.Helper()
	return ipsecdiag(h.t, nil, h.args(words)...)
}

// must runs fix and holds its exit status and what it says.
func (h *fixHost) must(words string, status int, says string) result {
	h.t.Helper()
	r := h.fix(words)
	if r.status != status || !strings.Contains(unwrap(r.stdout), says) {
		h.t.Fatalf("fix %s: got %+v, want status %d and %q", words, r, status, says)
	}
	return r
}

// unwrap undoes the breaking of lines.
func unwrap(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestIntegrationFixAndUndo(t *testing.T) {
	h := newFixHost(t).deadlocked()
	before := h.ip("xfrm policy")
	h.must("nd-bypass --dry-run", statusFine, "ip xfrm policy add src ::/0 dst ::/0 proto ipv6-icmp type 136 dir in priority 100")
	if r := h.fix("nd-bypass"); r.status != statusError || !strings.Contains(r.stderr, "there is no terminal to ask; --yes does it") {
		t.Errorf("without a terminal: %+v", r)
	}
	if now := h.ip("xfrm policy"); now != before {
		t.Fatalf("changed without consent:\n%s", now)
	}
	h.must("nd-bypass --yes", statusFine, "Applied as number 1.")
	with := h.ip("xfrm policy")
	again := h.must("nd-bypass --yes", statusFine, "nothing to do: neighbour discovery passes already")
	if !strings.Contains(again.stdout, "It was applied as number 1.") {
		t.Errorf("the journal was not asked: %s", again.stdout)
	}
	if now := h.ip("xfrm policy"); now != with || now == before {
		t.Errorf("applied twice:\n%s", now)
	}
	h.must("list", statusFine, "let neighbour discovery pass (namespace "+h.netns+") applied")
	h.must("undo", statusFine, "Undone: 1, let neighbour discovery pass.")
	if now := h.ip("xfrm policy"); now != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, now)
	}
	h.must("undo", statusFine, "there is nothing to undo")
	h.must("undo 1", statusFine, "it was undone already")
	h.must("list --all", statusFine, "undone ")
	if r := h.fix("undo 7"); r.status != statusError || !strings.Contains(r.stderr, "undo 7: nothing of that number was applied") {
		t.Errorf("got %+v", r)
	}
}

// TestIntegrationUndoFromElsewhere: the journal knows the namespace.
// TestIntegrationUndoBeneathAnother: what came later had left to the first one
// what that did.
func TestIntegrationUndoBeneathAnother(t *testing.T) {
	h := newFixHost(t).deadlocked()
	before := h.ip("xfrm policy")
	h.must("nd-bypass --yes", statusFine, "Applied as number 1.")
	h.must("nd-bypass --all-nd --yes", statusFine, "Applied as number 2.")
	h.must("undo 1", statusFine, "2, let neighbour discovery pass, still stands and was computed while this did")
	h.must("nd-bypass --yes", statusFine, "Applied as number 3.")
	if r := h.must("undo", statusFine, "Undone: 3"); strings.Contains(r.stdout, "still stands") {
		t.Errorf("nothing rests on the last one: %s", r.stdout)
	}
	h.must("undo", statusFine, "Undone: 2")
	if now := h.ip("xfrm policy"); now != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, now)
	}
}

func TestIntegrationUndoFromElsewhere(t *testing.T) {
	h := newFixHost(t).deadlocked()
	before := h.ip("xfrm policy")
	h.must("nd-bypass --yes", statusFine, "Applied as number 1.")
	if r := ipsecdiag(t, nil, "fix", "undo", "1", "--journal", h.journal); r.status != statusFine {
		t.Errorf("got %+v", r)
	}
	if now := h.ip("xfrm policy"); now != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, now)
	}
}

func TestIntegrationUndoLeavesAloneWhatOthersChanged(t *testing.T) {
	h := newFixHost(t).deadlocked()
	h.must("nd-bypass --yes", statusFine, "Applied as number 1.")
	h.ip("xfrm policy update src ::/0 dst ::/0 proto ipv6-icmp type 136 dir in priority 77")
	h.ip("xfrm policy delete src ::/0 dst ::/0 proto ipv6-icmp type 135 dir in")
	r := h.must("undo", statusFound, "LEFT ALONE, since somebody else has changed it: policy dir in src ::/0 dst ::/0 proto ipv6-icmp type 136")
	if !strings.Contains(unwrap(r.stdout), "Somebody had deleted it already: policy dir in src ::/0 dst ::/0 proto ipv6-icmp type 135") {
		t.Errorf("got %s", r.stdout)
	}
	if now := h.ip("xfrm policy"); !strings.Contains(now, "priority 77") || strings.Contains(now, "priority 100") {
		t.Errorf("after:\n%s", now)
	}
}

func TestIntegrationFixJSON(t *testing.T) {
	h := newFixHost(t).deadlocked()
	decode := func(r result) (d fixResult) {
		t.Helper()
		if err := json.Unmarshal([]byte(r.stdout), &d); err != nil {
			t.Fatalf("%v: %+v", err, r)
		}
		return d
	}
	d := decode(h.must("nd-bypass --yes --format json", statusFine, ""))
	if d.Version != 1 || d.Status != fixApplied || d.ID != 1 || len(d.Commands) != 5 || len(d.Proofs) != 1 || !d.Proofs[0].Holds {
		t.Errorf("got %+v", d)
	}
	if d := decode(h.must("nd-bypass --yes --format json", statusFine, "")); d.Status != fixNothing || d.ID != 1 {
		t.Errorf("got %+v", d)
	}
	if d := decode(h.must("undo --format json", statusFine, "")); d.Status != fixUndone || d.ID != 1 {
		t.Errorf("got %+v", d)
	}
	r := h.fix("nd-bypass --peer ff02::1 --yes --format json")
	if d := decode(r); r.status != statusError || d.Status != fixRefused || d.Refusal == nil || d.Refusal.Reason != "multicast" || d.Error == "" {
		t.Errorf("got %+v", r)
	}
}

// TestIntegrationFixRefusesBadInput: in one line, before anything is changed.
func TestIntegrationFixRefusesBadInput(t *testing.T) {
	h := newFixHost(t)
	keys := filepath.Join(t.TempDir(), "keys")
	const short = "00112233445566778899aabbccddeeff"
	if err := os.WriteFile(keys, []byte("esp-enc 0x"+short+"\nesp-auth 0x"+short+short+"\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	before := h.ip("xfrm policy") + h.ip("xfrm state")
	pair := "manual-sa --yes --local fd00::1 --peer "
	for _, c := range []struct{ args, why string }{
		{pair + "fd00::2 --keys " + keys + " --enc aes256", "has 128 bits, and aes256 takes 256"},
		{pair + "10.0.0.2", "are of different families"},
		{"manual-sa --yes --local fd00::7 --peer fd00::2", "fd00::7"},
		{pair + "fd00::2 --spi-in 0xff", "0xff is reserved: the smallest is 0x100"},
		{pair + "fd00::2 --spi-in 12x", "is not an SPI"},
		{pair + "fd00::1", "fd00::1"},
		{pair + "ff02::1", "group"},
		{pair + "fd00::2 --enc rot13", "known are aes256, aes192, aes128"},
		{pair + "fd00::2 --enc aes-gcm", "RFC 8221"},
		{pair + "fd00::2 --enc 3des", "--legacy"},
		{pair + "fd00::2 --mode beet", "there are transport and tunnel"},
		{pair + "fd00::2 --keys /does/not/exist", "/does/not/exist: no such file"},
		{pair + "fd00::2 --export ifcfg --side both", "there are local and peer"},
		{pair + "fd00::2 --export ipsec.conf", "unknown format"},
		{pair + "fd00::2 --export swanctl", "swanctl"},
		{pair + "fd00::2 --peer-script /does/not/exist", "/does/not/exist"},
		{"manual-sa --yes", "needs --local and --peer"},
		{"bring-up --yes --local fd00::1 --peer nobody", "is not an address"},
		{"nd-bypass --yes --peer 10.0.0.2", "ARP"},
		{"neighbour --yes --peer fd00::2", "needs --peer and --lladdr"},
		{"neighbour --yes --peer fd00::2 --lladdr 0", "is not a link-layer address"},
		{"neighbour --yes --peer fd01::2 --lladdr 02:00:00:00:00:02", "is not on a link of this host"},
		{"nd-bypass --yes --confirm-within -1s", "no time to confirm"},
		{"larval-drop", "needs one value"},
		{"larval-drop 2", "0 or 1"},
		{"undo x", "is not the number of an application"},
		{"confirm", "nothing waits for a confirmation"},
		{"frobnicate", "unknown command"},
	} {
		t.Run(c.args, func(t *testing.T) { ipsecdiag(t, nil, h.args(c.args)...).refused(t, c.why) })
	}
	if now := h.ip("xfrm policy") + h.ip("xfrm state"); now != before {
		t.Errorf("changed:\n%s", now)
	}
	if files, _ := filepath.Glob(filepath.Join(h.journal, "*.journal")); files != nil {
		t.Errorf("written: %v", files)
	}
}

// TestIntegrationOverwrittenFilesComeBack: a plan that comes to nothing takes no
// file with it that --force had it overwrite.
func TestIntegrationOverwrittenFilesComeBack(t *testing.T) {
	h := newFixHost(t).deadlocked()
	script := filepath.Join(t.TempDir(), "peer.ip")
	if err := os.WriteFile(script, []byte("# former\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(h.journal, 0o755); err != nil { // which the journal refuses
		t.Fatal(err)
	}
	words := "nd-bypass --yes --force --peer-script " + script
	if r := h.fix(words); r.status != statusError || !strings.Contains(r.stderr, "put the former "+script+" back") {
		t.Errorf("got %+v", r)
	}
	info, err := os.Stat(script)
	if b, _ := os.ReadFile(script); err != nil || string(b) != "# former\n" || info.Mode() != 0o400 {
		t.Errorf("now %q, %v, %v", b, info, err)
	}
	if err := os.Chmod(h.journal, 0o700); err != nil {
		t.Fatal(err)
	}
	h.must(words, statusFine, "Applied as number 1.")
	if b, _ := os.ReadFile(script); !strings.Contains(string(b), "xfrm policy") {
		t.Errorf("not overwritten: %q", b)
	}
}

// TestIntegrationKernelWithoutESP runs where the kernel has none, as where the
// tests are written; in the lab there is one.
func TestIntegrationKernelWithoutESP(t *testing.T) {
	h := newFixHost(t)
	if exec.Command("ip", "-n", h.netns, "xfrm", "state", "add", "src", "fd00::1", "dst", "fd00::3", "proto", "esp", "spi", "0x999",
		"enc", "ecb(cipher_null)", "").Run() == nil {
		t.Skip("this kernel has ESP")
	}
	script := filepath.Join(t.TempDir(), "peer.ip")
	r := h.fix("bring-up --yes --local fd00::1 --peer fd00::2 --peer-script " + script)
	if r.status != statusError || !strings.Contains(r.stderr, "kernel without ESP") || !strings.Contains(r.stderr, "everything is as it was before") {
		t.Errorf("got %+v", r)
	}
	if now := h.ip("xfrm policy") + h.ip("xfrm state"); now != "" {
		t.Errorf("left behind:\n%s", now)
	}
	if _, err := os.Stat(script); err == nil {
		t.Error("the peer script of nothing is left behind")
	}
	if left, _ := filepath.Glob(filepath.Join(h.journal, "*.keys")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestFixWithoutPrivilege(t *testing.T) {
	for _, words := range []string{"nd-bypass --yes", "undo", "list", "confirm", "larval-drop 0", ""} {
		finish(t, as(t, exec.Command(program, append([]string{"fix"}, strings.Fields(words)...)...))).refused(t, "CAP_NET_ADMIN is missing")
	}
	finish(t, as(t, exec.Command(program, "fix", "nd-bypass", "--yes"), unix.CAP_NET_ADMIN)).refused(t, "fix must run as root")
}

func TestIntegrationFixNeighbourAndLarvalDrop(t *testing.T) {
	h := newFixHost(t)
	h.must("neighbour --yes --peer fd00::2 --lladdr 02:00:00:00:00:02", statusFine, "Applied as number 1.")
	if got := h.ip("neigh show fd00::2"); !strings.Contains(got, "02:00:00:00:00:02 PERMANENT") {
		t.Errorf("ip says %q", got)
	}
	h.must("neighbour --yes --peer fd00::2 --lladdr 02:00:00:00:00:02", statusFine, "nothing to do")
	h.must("larval-drop 0 --yes", statusFine, "Applied as number 2.")
	h.must("larval-drop 0 --yes", statusFine, "nothing to do")
	h.must("undo", statusFine, "Undone: 2")
	h.must("larval-drop 1 --yes", statusFine, "nothing to do")
	h.must("undo", statusFine, "Undone: 1")
	if got := h.ip("neigh show fd00::2"); strings.Contains(got, "02:00") {
		t.Errorf("ip says %q", got)
	}
}

// TestIntegrationExports: with modes, and never over a file that is there.
func TestIntegrationExports(t *testing.T) {
	h := newFixHost(t).deadlocked()
	dir := t.TempDir()
	script := filepath.Join(dir, "peer.ip")
	words := "nd-bypass --yes --export systemd --output " + dir + " --peer-script " + script
	r := h.must(words, statusFine, "Wrote "+dir)
	if b, err := os.ReadFile(script); err != nil || !strings.Contains(string(b), "type 136") {
		t.Errorf("%v: %s", err, b)
	}
	if !strings.Contains(r.stdout, "ip -batch peer.ip") {
		t.Errorf("got %s", r.stdout)
	}
	r = h.fix(words)
	if r.status != statusError || !strings.Contains(r.stderr, "exists already; --force overwrites it") {
		t.Errorf("got %+v", r)
	}
	h.must(words+" --force", statusFine, "nothing to do")
	h.must("undo", statusFine, "Undone: 1")
	if r := h.fix(words); r.status != statusError || h.ip("xfrm policy list dir in") == "" || !strings.Contains(r.stderr, "exists already") {
		t.Errorf("got %+v", r)
	}
	h.must("undo", statusFine, "nothing to undo")
}

func TestIntegrationConfirmWithin(t *testing.T) {
	h := newFixHost(t).deadlocked()
	before := h.ip("xfrm policy")
	h.must("nd-bypass --yes --confirm-within 1s", statusFine, "unless this is run before:")
	for end := time.Now().Add(patience); h.ip("xfrm policy") != before; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it was not undone by itself")
		}
	}
	for end := time.Now().Add(patience); !strings.Contains(h.fix("list --all").stdout, "undone "); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the journal does not say that it was undone")
		}
	}
	if r := h.fix("confirm 1"); r.status != statusError || !strings.Contains(r.stderr, "it was undone already") {
		t.Errorf("confirmed too late: %+v", r)
	}
	h.must("nd-bypass --yes --confirm-within 2s", statusFine, "Applied as number 2.")
	h.must("list", statusFine, "unless confirmed")
	h.must("confirm", statusFine, "Confirmed: 2")
	with := h.ip("xfrm policy")
	time.Sleep(3 * time.Second) // what must not happen cannot be waited for
	if now := h.ip("xfrm policy"); now != with || now == before {
		t.Errorf("a confirmed one was undone:\n%s", now)
	}
}

// TestIntegrationFixAsksATerminal answers in all ways; while it waits, the
// process may leave no core.
func TestIntegrationFixAsksATerminal(t *testing.T) {
	h := newFixHost(t).deadlocked()
	before := h.ip("xfrm policy")
	for _, answer := range []string{"n", "", "y"} {
		status := statusError
		if answer == "y" {
			status = statusFine
		}
		x := startTerminal(t, 80, 24, nil, append([]string{program}, h.args("nd-bypass")...)...)
		x.shows("proto ipv6-icmp type 136 dir in", "Apply these 5 steps on ", "[y/N]")
		if limits := limitsOf(t, h.netns); !strings.Contains(limits, "Max core file size 0 0 bytes") {
			t.Errorf("limits %s", limits)
		}
		if h.ip("xfrm policy") != before {
			t.Error("changed before the answer")
		}
		if answer != "" {
			x.keys(answer)
		}
		x.keys("Enter")
		x.shows(fmt.Sprintf("exit status %d", status), "terminal restored")
		if applied := h.ip("xfrm policy") != before; applied != (status == statusFine) {
			t.Errorf("answer %q: applied %v", answer, applied)
		}
	}
	h.must("undo", statusFine, "Undone")
	if now := h.ip("xfrm policy"); now != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, now)
	}
}

// limitsOf returns the limits of the program that works in that namespace.
func limitsOf(t *testing.T, netns string) string {
	t.Helper()
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range all {
		if b, _ := os.ReadFile(file); strings.HasPrefix(string(b), program+"\x00fix") && strings.Contains(string(b), netns) {
			limits, err := os.ReadFile(filepath.Join(filepath.Dir(file), "limits"))
			if err != nil {
				t.Fatal(err)
			}
			return unwrap(string(limits))
		}
	}
	return "of no process"
}

// TestIntegrationFixWarnsOfItsOwnConnection: the variable is a parent's, as with
// sudo.
func TestIntegrationFixWarnsOfItsOwnConnection(t *testing.T) {
	h := newFixHost(t)
	for client, warned := range map[string]bool{"fd00::2": true, "fd00::3": false} {
		cmd := exec.Command("sh", append([]string{"-c", `env -u SSH_CONNECTION "$@"; exit $?`, "sh", program}, h.args("manual-sa --local fd00::1 --peer fd00::2")...)...)
		cmd.Env = append(os.Environ(), "SSH_CONNECTION="+client+" 50000 fd00::1 22")
		r := finish(t, cmd)
		if r.status != statusError || strings.Contains(r.stderr, "you are connected from fd00::2, and this concerns that very connection") != warned {
			t.Errorf("client %s: got %+v", client, r)
		}
	}
}

// TestFixFrom takes the findings from a recording of other hosts: shown, never
// applied.
func TestFixFrom(t *testing.T) {
	r := ipsecdiag(t, nil, "fix", "--yes", "--from", fixture("nd-deadlock-ikev2", "teapot.pcapng"))
	if r.status != statusFine || !strings.Contains(r.stdout, "This was recorded on teapot") ||
		!strings.Contains(r.stdout, "proto ipv6-icmp type 136 dir out priority 100") || strings.Contains(r.stdout, "Applied") {
		t.Errorf("got %+v", r)
	}
	ipsecdiag(t, nil, "fix", "--from", fixture("nd-deadlock-ikev2", "glass.tcpdump.pcap")).refused(t, "no kernel was seen in it")
	healthy := ipsecdiag(t, nil, "fix", "--from", fixture("healthy-ikev2", "glass.pcapng"))
	if healthy.status != statusFine || !strings.Contains(healthy.stdout, "there is nothing to do") {
		t.Errorf("got %+v", healthy)
	}
}
