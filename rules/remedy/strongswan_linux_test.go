package remedy

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ipsecdiag/analyze/spd"
)

const (
	charon  = "/usr/sbin/charon-systemd"
	swanctl = "/usr/sbin/swanctl"
)

// strongSwanConf keeps to itself what charon would make or take elsewhere.
const strongSwanConf = `charon-systemd {
  plugins {
    vici {
      socket = unix://%s
    }
    bypass-lan {
      load = no
    }
    dhcp {
      load = no
    }
    farp {
      load = no
    }
    forecast {
      load = no
    }
  }
}
`

// startStrongSwan runs strongSwan in the namespace and returns what loads a
// file into it.
func startStrongSwan(ns namespace) (load func(conf string)) {
	t := ns.t
	t.Helper()
	for _, program := range []string{charon, swanctl} {
		if _, err := os.Stat(program); err != nil {
			t.Skip("strongSwan is not installed")
		}
	}
	dir := t.TempDir()
	conf, socket := filepath.Join(dir, "strongswan.conf"), filepath.Join(dir, "vici")
	if err := os.WriteFile(conf, fmt.Appendf(nil, strongSwanConf, socket), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	daemon := exec.Command("ip", "netns", "exec", ns.name, charon)
	daemon.Env, daemon.Stdout, daemon.Stderr = append(os.Environ(), "STRONGSWAN_CONF="+conf), &out, &out
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { daemon.Wait(); close(ended) }()
	t.Cleanup(func() { daemon.Process.Kill(); <-ended })
	deadline := time.Now().Add(time.Minute)
	for {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		select {
		case <-ended:
			t.Fatalf("strongSwan ended: %s", &out)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("strongSwan has no vici socket after a minute")
		}
	}
	return func(content string) {
		t.Helper()
		file := filepath.Join(dir, "shunts.conf")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(swanctl, "--load-conns", "--file", file, "--uri", "unix://"+socket).CombinedOutput(); err != nil {
			t.Fatalf("swanctl: %v: %s\n%s", err, out, content)
		}
	}
}

// TestIntegrationStrongSwanTakesTheShunts has a real strongSwan load what is
// exported, and finds in the kernel what the plan would have put there.
func TestIntegrationStrongSwanTakesTheShunts(t *testing.T) {
	ns := newNamespace(t)
	load := startStrongSwan(ns)
	for _, o := range []NDOptions{{}, {Peers: []netip.Addr{teapot}}, {AllND: true}, {AllICMPv6: true}} {
		plan, err := NDBypass(kernelOf(), o)
		if err != nil {
			t.Fatal(err)
		}
		mirrored, err := Mirror(&plan)
		if err != nil {
			t.Fatal(err)
		}
		for side, want := range map[Side]Plan{SideLocal: plan, SidePeer: mirrored} {
			files, _ := exported(t, FormatSwanctl, side, &plan, nil)
			for _, content := range files {
				load(content)
			}
			k := ns.state()
			for _, s := range want.Steps {
				if !slices.ContainsFunc(k.Policies, func(p spd.Policy) bool { return SamePolicy(&p, s.Policy) }) {
					t.Errorf("%s, %+v: strongSwan has not made %s, but\n%s", side, o, s.Policy, policyLines(k.Policies))
				}
			}
			if side == SideLocal {
				if again, err := NDBypass(k, o); err != nil || !again.Empty() {
					t.Errorf("%+v: with strongSwan's shunts there is still to do: %v %q", o, err, Commands(again.Steps))
				}
			}
		}
	}
}
