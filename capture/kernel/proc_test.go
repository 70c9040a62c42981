//go:build linux

package kernel

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"ipsecdiag/analyze"
)

// procTree makes a tree of files that stands for /proc.
func procTree(t *testing.T, files map[string]string) proc {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(content, "→ "); ok {
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return proc(root)
}

func TestCounters(t *testing.T) {
	p := procTree(t, map[string]string{
		"thread-self/net/xfrm_stat": "XfrmInError             \t0\nXfrmOutNoStates         \t17\nXfrmOfTheFuture\t1\nbroken\nXfrmNotANumber x\n",
		"thread-self/net/snmp6":     "Ip6InReceives                   \t5\nIcmp6InNeighborSolicits\t18446744073709551615\nUdp6InDatagrams\t9\n",
	})
	got, err := p.counters()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{
		"XfrmInError": 0, "XfrmOutNoStates": 17, "XfrmOfTheFuture": 1,
		"Ip6InReceives": 5, "Icmp6InNeighborSolicits": 1<<64 - 1,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestCountersWithoutXfrmStat: a kernel without CONFIG_XFRM_STATISTICS still has
// the others.
func TestCountersWithoutXfrmStat(t *testing.T) {
	p := procTree(t, map[string]string{"thread-self/net/snmp6": "Ip6InReceives 5\n"})
	got, err := p.counters()
	if !errors.Is(err, fs.ErrNotExist) || got["Ip6InReceives"] != 5 {
		t.Errorf("got %v, error %v", got, err)
	}
}

func TestSysctls(t *testing.T) {
	p := procTree(t, map[string]string{
		"sys/net/core/xfrm_larval_drop":            "1\n",
		"sys/net/core/somaxconn":                   "4096\n",
		"sys/net/ipv4/conf/eth0/disable_policy":    "0\n",
		"sys/net/ipv4/conf/eth0.7/disable_policy":  "1\n",
		"sys/net/ipv6/neigh/eth0/ucast_solicit":    "3\n",
		"sys/net/ipv6/neigh/eth1/ucast_solicit":    "1\n",
		"sys/net/ipv6/neigh/default/mcast_solicit": "3\n",
	})
	got, err := p.sysctls(sysctlPatterns...)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"net.core.xfrm_larval_drop":            "1",
		"net.ipv4.conf.eth0/7.disable_policy":  "1",
		"net.ipv6.neigh.eth1.ucast_solicit":    "1",
		"net.ipv6.neigh.default.mcast_solicit": "3",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

const netlinkTable = `sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
0000000000000000 6   0          00000000 0        0        0     2        0        1
0000000000000000 6   100        00000001 0        0        0     2        0        11
0000000000000000 6   4294963000 0000004f 0        0        0     2        0        12
0000000000000000 6   102        0000000e 0        0        0     2        0        13
0000000000000000 0   103        00000001 0        0        0     2        0        14
0000000000000000 6   104        00000001 0        0        0     2        0        15
0000000000000000 6   105        00000001 0        0        0     2        0        16
cut off
`

func TestListeners(t *testing.T) {
	ours.Store(uint64(15), struct{}{})
	defer ours.Delete(uint64(15))
	p := procTree(t, map[string]string{
		"thread-self/net/netlink": netlinkTable,
		"thread-self/net/pfkey":   "sk       RefCnt Rmem   Wmem   User   Inode\n0000000000000000 2      0      0      0      21\n",
		"100/comm":                "charon-systemd\n", // its port is its PID
		"100/fd/9":                "→ socket:[11]",
		"201/comm":                "ip\n", // found by search
		"201/fd/3":                "→ socket:[12]",
		"202/comm":                "racoon\n",
		"202/fd/0":                "→ /dev/null",
		"202/fd/3":                "→ socket:[21]",
	})
	l := listeners{proc: p}
	want := []analyze.Listener{
		{Via: "netlink"}, // 16: of a process that may not be looked into
		{Via: "netlink", PID: 100, Name: "charon-systemd"},
		{Via: "netlink", PID: 201, Name: "ip", Monitor: true},
		{Via: "pfkey", PID: 202, Name: "racoon"},
	}
	for range 2 { // the second time from memory
		got, err := l.read()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, error %v", got, err)
		}
	}
}

// TestListenerInherited: a socket that outlives the process that opened it is
// given to who holds it now.
func TestListenerInherited(t *testing.T) {
	p := procTree(t, map[string]string{
		"thread-self/net/netlink": "h e a d\nx 6 100 00000001 0 0 0 2 0 11\n",
		"100/comm":                "pluto\n",
		"100/fd/9":                "→ socket:[11]",
	})
	l := listeners{proc: p}
	if got, err := l.read(); err != nil || len(got) != 1 || got[0].PID != 100 {
		t.Fatalf("got %+v, error %v", got, err)
	}
	if err := os.Rename(filepath.Join(string(p), "100"), filepath.Join(string(p), "101")); err != nil {
		t.Fatal(err)
	}
	l.forget(100)
	if got, err := l.read(); err != nil || len(got) != 1 || got[0].PID != 101 {
		t.Errorf("got %+v, error %v", got, err)
	}
}

func TestIsMonitor(t *testing.T) {
	for name, want := range map[string]bool{
		"ip": true, "setkey": true, "ipsecdiag": true, "ipsecdiag-linux": true,
		"charon": false, "charon-systemd": false, "pluto": false, "racoon": false, "iked": false, "": false,
	} {
		if isMonitor(name) != want {
			t.Errorf("isMonitor(%q) = %v", name, !want)
		}
	}
}
