package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// maxParents bounds the way up from this process to its session.
const maxParents = 16

// sshSession is an SSH connection, by this host's address and the client's.
type sshSession struct {
	local, client netip.Addr
	there         bool
}

// session returns the SSH connection in which this process runs. sudo drops the
// variable that tells it, so that it is searched among the parents: with
// privileges that are given up later.
func session() (s sshSession) {
	pid := os.Getpid()
	for range maxParents {
		environment, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
		for v := range strings.SplitSeq(string(environment), "\x00") {
			if v, found := strings.CutPrefix(v, "SSH_CONNECTION="); found {
				s.local, s.client, s.there = sshConnection(v)
				return s
			}
		}
		if pid = parent(pid); pid <= 1 {
			break
		}
	}
	return s
}

// sshConnection reads "client port server port" (ssh(1), ENVIRONMENT).
func sshConnection(v string) (local, client netip.Addr, ok bool) {
	f := strings.Fields(v)
	if len(f) != 4 {
		return local, client, false
	}
	client, err1 := netip.ParseAddr(f[0])
	local, err2 := netip.ParseAddr(f[2])
	return local.Unmap().WithZone(""), client.Unmap().WithZone(""), err1 == nil && err2 == nil
}

// parent returns the process's parent, 0 where it cannot be told.
func parent(pid int) int {
	status, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "PPid:"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(v))
			return n
		}
	}
	return 0
}

// cutsOff reports whether a plan makes policies for an SSH connection that want
// an SA: it may be lost with the first step.
func cutsOff(plan *remedy.Plan, local, client netip.Addr) bool {
	f := spd.Flow{Src: local, Dst: client, Proto: spd.ProtoTCP, SrcPort: 22, DstPort: 50000}
	for i := range plan.Steps {
		if p := plan.Steps[i].Policy; p != nil && p.Direction == spd.Out && !p.Bypass() && p.Matches(f) {
			return true
		}
	}
	return false
}

// warnSession says that the session in which fix runs may be lost.
func (r *fixRun) warnSession(plan *remedy.Plan) {
	s := r.session
	if !s.there || r.confirmWithin > 0 || !cutsOff(plan, s.local, s.client) {
		return
	}
	r.io.say(fmt.Sprintf("you are connected from %s, and this concerns that very connection: with --confirm-within 60s it is undone by itself if you are cut off", s.client))
}
