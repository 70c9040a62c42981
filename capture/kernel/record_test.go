//go:build linux

package kernel

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

var record = flag.Bool("record", false, "record testdata/*.hex anew from the running kernel")

// recording is one file of netlink messages that a kernel sent: what it notified
// to the groups while the commands ran, or what it answered to a dump after.
type recording struct {
	name     string
	protocol int
	groups   []int
	dump     request
	commands string // for ip -batch
	act      func(ns *testNS)
}

// testKey stands for keys in recordings, so that a test can look for it.
const testKey = "5ec2e75ec2e75ec2e75ec2e75ec2e75e"

var recordings = []recording{
	{
		name: "policies", dump: request{protocol: unix.NETLINK_XFRM, kind: nl.XFRM_MSG_GETPOLICY},
		commands: policiesOfAllKinds, act: func(ns *testNS) { ns.bypassSocket() },
	},
	{
		name: "policy-changes", protocol: unix.NETLINK_XFRM, groups: []int{nl.XFRMNLGRP_POLICY, nl.XFRMNLGRP_EXPIRE},
		commands: `
xfrm policy add src fd00::1/128 dst fd00::2/128 dir out priority 5 tmpl proto esp mode transport reqid 1
xfrm policy update src fd00::1/128 dst fd00::2/128 dir out priority 6 mark 1 mask 1 if_id 2 tmpl proto esp mode transport reqid 1
xfrm policy delete src fd00::1/128 dst fd00::2/128 dir out
xfrm policy add src 10.1.1.1/32 dst 10.1.1.2/32 proto udp dport 53 dir in ptype sub
xfrm policy flush ptype sub
xfrm policy flush
xfrm policy setdefault in block
xfrm policy add src fd00::1/128 dst fd00::2/128 dir out limit time-hard 1 tmpl proto esp mode transport reqid 1
`,
		act: func(*testNS) { time.Sleep(1500 * time.Millisecond) }, // until it has expired
	},
	{
		name: "acquire", protocol: unix.NETLINK_XFRM,
		groups: []int{nl.XFRMNLGRP_ACQUIRE, nl.XFRMNLGRP_EXPIRE},
		commands: `
xfrm policy add src fd00::1/128 dst fd00::2/128 dir out tmpl proto esp mode transport reqid 1
xfrm policy add src ::/0 dst fd00::3/128 proto udp dir out ptype sub tmpl src 10.1.1.1 dst 10.1.1.2 proto esp mode tunnel reqid 2
`,
		act: func(ns *testNS) {
			ns.sysctl("net/core/xfrm_acq_expires", "1")
			ns.udp("fd00::2")
			ns.udp("fd00::3")
			time.Sleep(1500 * time.Millisecond) // until the larval SAs have expired
		},
	},
	{
		name: "unkeyed-sas", dump: request{protocol: unix.NETLINK_XFRM, kind: nl.XFRM_MSG_GETSA},
		commands: `
xfrm state allocspi src fd00::2 dst fd00::1 proto esp mode transport reqid 4 min 0x100 max 0x100
xfrm policy add src fd00::1/128 dst fd00::2/128 dir out tmpl proto esp mode transport reqid 1
`,
		act: func(ns *testNS) { ns.daemon(); ns.udp("fd00::2") },
	},
	{
		name: "keyed-sas", dump: request{protocol: unix.NETLINK_XFRM, kind: nl.XFRM_MSG_GETSA},
		commands: keyedSAs,
	},
	{
		name: "sa-changes", protocol: unix.NETLINK_XFRM, groups: []int{nl.XFRMNLGRP_SA, nl.XFRMNLGRP_EXPIRE},
		commands: keyedSAs + `
xfrm state update src fd00::1 dst fd00::2 proto esp spi 0x1001 mode transport reqid 8 enc cbc(aes) 0x` + testKey + ` auth-trunc hmac(sha256) 0x` + testKey + testKey + ` 128
xfrm state delete src fd00::1 dst fd00::2 proto esp spi 0x1001
xfrm state flush proto esp
xfrm state flush
`,
	},
	{
		name: "neighbors", dump: request{protocol: unix.NETLINK_ROUTE, kind: unix.RTM_GETNEIGH, data: make([]byte, unix.SizeofNdMsg)},
		commands: `
neigh add fd00::7 lladdr 02:00:00:00:00:07 dev ve0 nud permanent
neigh add fd00::8 lladdr 02:00:00:00:00:08 dev ve0 nud stale router
neigh add 10.1.1.9 lladdr 02:00:00:00:00:09 dev ve0 nud reachable
`,
		act: func(ns *testNS) { ns.udp("fd00::5") },
	},
	{
		name: "links", dump: request{protocol: unix.NETLINK_ROUTE, kind: unix.RTM_GETLINK, data: make([]byte, unix.SizeofIfInfomsg)},
		commands: "link add br0 type bridge\nlink set ve1 master br0\n",
		act: func(ns *testNS) { // as far as the kernel has them
			for _, kind := range []string{"xfrm dev ve0 if_id 0x2a", "vlan id 7", "macvlan"} {
				ns.try("link add link ve0 name t" + kind[:2] + " type " + kind)
			}
		},
	},
	{
		name: "addresses", dump: request{protocol: unix.NETLINK_ROUTE, kind: unix.RTM_GETADDR, data: make([]byte, unix.SizeofIfAddrmsg)},
		commands: "addr add 10.2.2.1 peer 10.2.2.2/32 dev ve0\naddr add fd00:9::1/64 dev ve0\n",
	},
	{
		name: "routes", dump: request{protocol: unix.NETLINK_ROUTE, kind: unix.RTM_GETROUTE, data: make([]byte, unix.SizeofRtMsg)},
		commands: `
route add default via 10.1.1.254 metric 7
route add 10.9.0.0/16 nexthop via 10.1.1.8 nexthop via 10.1.1.9
route add 10.8.0.0/16 via inet6 fd00::9 dev ve0
route add blackhole 10.66.0.0/16
route add 10.77.0.0/16 dev ve0 table 77
`,
		act: func(ns *testNS) { ns.ip("-6 route add default via fe80::99 dev ve0") },
	},
	{
		name: "sad-info", dump: request{protocol: unix.NETLINK_XFRM, kind: nl.XFRM_MSG_GETSADINFO, data: make([]byte, infoHeader)},
		commands: "xfrm state allocspi src fd00::2 dst fd00::1 proto esp mode transport reqid 4 min 0x100 max 0x100\n",
	},
	{
		name: "spd-info", dump: request{protocol: unix.NETLINK_XFRM, kind: nl.XFRM_MSG_GETSPDINFO, data: make([]byte, infoHeader)},
		act: func(ns *testNS) { ns.bypassSocket() },
	},
}

// keyedSAs need a kernel with ESP and AH.
const keyedSAs = `
xfrm state add src fd00::1 dst fd00::2 proto esp spi 0x1001 mode transport reqid 7 replay-window 32 enc cbc(aes) 0x` + testKey + ` auth-trunc hmac(sha256) 0x` + testKey + testKey + ` 128 limit byte-soft 1000 limit byte-hard 2000 limit packet-soft 10 limit packet-hard 20 limit time-soft 100 limit time-hard 200 limit time-use-soft 300 limit time-use-hard 400
xfrm state add src 10.1.1.1 dst 10.1.1.2 proto esp spi 0x1002 mode tunnel flag esn replay-window 128 mark 5 mask 0xff if_id 0x2a aead rfc4106(gcm(aes)) 0x` + testKey + `01020304 128 encap espinudp 4500 4501 0.0.0.0
xfrm state add src fd00::1 dst fd00::2 proto ah spi 0x1003 mode transport auth hmac(sha1) 0x` + testKey + `01020304 sel src fd00::1/128 dst fd00::2/128 proto tcp dport 80
`

// TestIntegrationRecord records testdata/*.hex, each as far as the kernel can do
// what it holds.
func TestIntegrationRecord(t *testing.T) {
	if !*record {
		t.Skip("records only with -record")
	}
	for _, r := range recordings {
		t.Run(r.name, func(t *testing.T) {
			msgs := r.run(newNS(t).withLink())
			var b bytes.Buffer
			fmt.Fprintf(&b, "# Linux %s: message type and body; see record_test.go\n", release())
			for _, m := range msgs {
				fmt.Fprintf(&b, "%#x %x\n", m.kind, m.data)
			}
			if err := os.WriteFile(filepath.Join("testdata", r.name+".hex"), b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func (r recording) run(ns *testNS) (out []message) {
	keep := func(m message) {
		if m.kind >= unix.NLMSG_MIN_TYPE {
			m.data = bytes.Clone(m.data)
			out = append(out, m)
		}
	}
	var s *socket
	ns.do(func() (err error) {
		s, err = openSocket(max(r.protocol, r.dump.protocol), r.groups...)
		return err
	})
	defer s.close()
	if err := ns.tryBatch(r.commands); err != nil {
		ns.t.Skip(err)
	}
	if r.act != nil {
		r.act(ns)
	}
	if r.dump.kind != 0 {
		flags := unix.NLM_F_DUMP
		if r.dump.kind == nl.XFRM_MSG_GETSADINFO || r.dump.kind == nl.XFRM_MSG_GETSPDINFO {
			flags = 0
		}
		req := nl.NewNetlinkRequest(int(r.dump.kind), flags)
		req.AddRawData(r.dump.data)
		if err := s.send(req.Serialize()); err != nil {
			ns.t.Fatal(err)
		}
	}
	for { // answers of the kernel are there when send returns, except for the rest of a dump
		err := s.receive(keep)
		if errors.Is(err, unix.EAGAIN) {
			return out
		}
		if err != nil {
			ns.t.Fatal(err)
		}
	}
}

func (ns *testNS) try(args string) {
	_ = ns.tryBatch(args + "\n")
}

// readRecording reads what TestIntegrationRecord wrote.
func readRecording(t testing.TB, name string) []message {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	var out []message
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var m message
		if _, err := fmt.Sscanf(line, "%v %x", &m.kind, &m.data); err != nil {
			t.Fatalf("%s: %q: %v", name, line, err)
		}
		out = append(out, m)
	}
	return out
}
