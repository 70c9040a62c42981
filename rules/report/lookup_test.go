package report

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// readersHost is teapot with setkey's policies, the bypass last, and a bypass
// for another device.
func readersHost() *analyze.KernelState {
	any := spd.Selector{Src: netip.MustParsePrefix("::/0"), Dst: netip.MustParsePrefix("::/0"), Family: spd.IPv6}
	icmp6, eth1 := any, any
	icmp6.Proto = spd.ProtoICMPv6
	eth1.IfIndex = 3
	pair := spd.Selector{Src: netip.MustParsePrefix("fd00::2/128"), Dst: netip.MustParsePrefix("fd00::1/128"), Family: spd.IPv6}
	esp := []spd.Template{{Proto: spd.ProtoESP, Mode: spd.Transport}}
	const setkey = 0x80000000
	return &analyze.KernelState{
		Links:     []analyze.Link{{Index: 1, Name: "lo"}, {Index: 2, Name: "eth0"}, {Index: 3, Name: "eth1"}},
		Addresses: []analyze.Address{{Prefix: netip.MustParsePrefix("fd00::2/64"), IfIndex: 2}},
		Policies: []spd.Policy{
			{Selector: pair, Direction: spd.Out, Priority: setkey, Templates: esp},
			{Selector: icmp6, Direction: spd.Out, Priority: setkey},
			{Selector: eth1, Direction: spd.Out, Priority: 5},
			{Selector: any, Direction: spd.Out, Socket: true},
			{Selector: any, Direction: spd.Out, Socket: true},
		},
	}
}

func lookupNA(k *analyze.KernelState) Lookup {
	db := k.Database()
	f := spd.ICMPv6Flow(netip.MustParseAddr("fd00::2"), netip.MustParseAddr("fd00::1"), spd.NeighborAdvertisement)
	return Lookup{Explanation: db.Explain(spd.Out, k.Through(spd.Out, f, 0))}
}

const wantLookup = `dies: dir out src fd00::2/128 dst fd00::1/128 priority 2147483648 wants esp
      transport, and there is no such SA
  fd00::2 → fd00::1 proto ipv6-icmp type 136 code 0, dir out, out by eth0
  XfrmOutNoStates rises with each such packet

  What matches, in the order in which the kernel weighs it
   1  wins       dir out src fd00::2/128 dst fd00::1/128 priority 2147483648,
                 esp transport
                 older than another of the same priority 2147483648; would drop
                 it: no SA for esp transport
   2  loses      dir out src ::/0 dst ::/0 proto ipv6-icmp bypass priority
                 2147483648
                 younger than the winner of the same priority 2147483648; would
                 let it pass in the clear

  It depends: two policies of the same priority 2147483648 would do different
              things. Linux 6.18 takes the older; older kernels (6.1) keep
              host-to-host selectors apart from wider ones and may take the
              other. Give the one that is to win a smaller number

  What would let it pass, and does not match
      dir out src ::/0 dst ::/0 dev eth1 bypass priority 5
        but its dev is eth1, the packet has eth0

  Policies of single sockets, which come first for that socket's own packets
      dir out src ::/0 dst ::/0 bypass priority 0 (2 sockets)
`

func TestLookupTellsTheVerdictAndItsReasons(t *testing.T) {
	k := readersHost()
	var b bytes.Buffer
	if err := LookupText(&b, []Lookup{lookupNA(k)}, DevicesOf(k.Links), Options{}); err != nil {
		t.Fatal(err)
	}
	if b.String() != wantLookup {
		t.Errorf("got\n%s\nwant\n%s", b.String(), wantLookup)
	}
	for line := range strings.Lines(b.String()) {
		if n := displayWidth(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// TestLookupOfManyTellsReasonsOnce holds the list, and that those alike are
// told together.
func TestLookupOfManyTellsReasonsOnce(t *testing.T) {
	k := readersHost()
	db := k.Database()
	var lookups []Lookup
	for _, d := range k.Discoveries(netip.MustParseAddr("fd00::2"), netip.MustParseAddr("fd00::1"), 0) {
		lookups = append(lookups, Lookup{d.What, db.Explain(d.Direction, d.Flow)})
	}
	var b bytes.Buffer
	if err := LookupText(&b, lookups, DevicesOf(k.Links), Options{}); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	if !strings.HasPrefix(got, "2 of 10 packets would die\n\n  out fd00::2 → ff02::1:ff00:1 type 135: solicitation, multicast: who has it?\n      clear: dir out") {
		t.Errorf("got\n%s", got)
	}
	if n := strings.Count(got, "What matches"); n != 1 {
		t.Errorf("the same reasons are told %d times", n)
	}
	if !strings.Contains(got, "type 135 code 0, dir out, out by eth0:\n  solicitation, unicast\n  fd00::2 → fd00::1 proto ipv6-icmp type 136 code 0") {
		t.Errorf("both packets are not named:\n%s", got)
	}
}

func TestLookupInJSON(t *testing.T) {
	k := readersHost()
	var b bytes.Buffer
	if err := LookupJSON(&b, []Lookup{lookupNA(k)}, DevicesOf(k.Links)); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Version int
		Lookups []struct {
			Dir, Decision, Verdict, Counter, Depends string
			Passes                                   bool
			Packet                                   struct {
				Src, Dst, Dev string
				Sport         int
			}
			Missing *spd.Template
			Weighed []struct {
				Policy                            spd.Policy
				Text, Standing, By, Reason, Would string
				Depends                           bool
			}
			Near []struct {
				Text    string
				Differs []struct{ Aspect, Policy, Packet, Text string }
			}
			Sockets []spd.Policy
		}
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	l := doc.Lookups[0]
	if doc.Version != 1 || l.Dir != "out" || l.Decision != "protect" || l.Passes || l.Counter != "XfrmOutNoStates" || l.Depends == "" ||
		l.Packet.Dev != "eth0" || l.Packet.Sport != 136 || l.Missing == nil || l.Missing.Proto != spd.ProtoESP || len(l.Sockets) != 2 {
		t.Errorf("got %+v", l)
	}
	if len(l.Weighed) != 2 || l.Weighed[1].Standing != "loses" || l.Weighed[1].By != "age" || !l.Weighed[1].Depends || l.Weighed[1].Policy.Priority != 0x80000000 {
		t.Errorf("weighed %+v", l.Weighed)
	}
	if len(l.Near) != 1 || l.Near[0].Differs[0].Policy != "eth1" || l.Near[0].Differs[0].Aspect != "dev" {
		t.Errorf("near %+v", l.Near)
	}
}

// TestQuestionsNameTheDevicesThatMatter holds the words about devices.
func TestQuestionsNameTheDevicesThatMatter(t *testing.T) {
	flow := func(dir spd.Direction, ifindex, via int) string {
		e := spd.Explanation{Direction: dir, Flow: spd.Flow{
			Src: netip.MustParseAddr("fd00::1"), Dst: netip.MustParseAddr("fd00::2"), Proto: spd.ProtoTCP, DstPort: 80, Mark: 5, IfID: 7, IfIndex: ifindex, Via: via}}
		return Devices{1: "lo", 2: "eth0", 3: "eth1"}.name(Question(&e))
	}
	const head = "fd00::1 → fd00::2 proto tcp sport 0 dport 80, dir "
	for got, want := range map[string]string{
		flow(spd.Out, 2, 2): "out, mark 0x5, if_id 0x7, out by eth0",
		flow(spd.Out, 0, 2): "out, mark 0x5, if_id 0x7, out by eth0 (selectors with a device do not match: IPv6 of a socket that is bound to none)",
		flow(spd.In, 1, 2):  "in, mark 0x5, if_id 0x7, in by eth0 (selectors are compared with the route's device, lo)",
		flow(spd.Fwd, 3, 2): "fwd, mark 0x5, if_id 0x7, in by eth0 and out by eth1",
		flow(spd.In, 1, 0):  "in, mark 0x5, if_id 0x7",
		flow(spd.In, 9, 9):  "in, mark 0x5, if_id 0x7, in by #9",
	} {
		if got != head+want {
			t.Errorf("got  %s\nwant %s", got, head+want)
		}
	}
}
