package spd

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// told renders an explanation for comparison: the line, then a line for each
// policy weighed, what the verdict depends on, and the near misses.
func told(e Explanation) string {
	lines := []string{e.Line()}
	for i := range e.Weighed {
		w := &e.Weighed[i]
		lines = append(lines, fmt.Sprintf("%s by %s: %s; would %s", w.Standing, w.By, w.Reason(), e.Would(w)))
	}
	if c := e.Conclusion(); c != "" {
		lines = append(lines, "so: "+c)
	}
	if d := e.Depends(); d != "" {
		lines = append(lines, "depends: "+d)
	}
	for _, n := range e.Near {
		var d []string
		for _, x := range n.Differs {
			d = append(d, x.String())
		}
		lines = append(lines, "near: "+strings.Join(d, "; "))
	}
	return strings.Join(lines, "\n")
}

const (
	noSA      = "no SA for esp transport reqid 7"
	wanted    = "dir out src fd00::2/128 dst fd00::1/128 priority %d wants esp transport reqid 7, and there is no such SA"
	onlyMain  = "wins by alone: the only main policy that matches; would drop it: " + noSA
	otherTies = "Linux 6.18 takes the older; older kernels (6.1) keep host-to-host selectors apart from wider ones and may take the other. Give the one that is to win a smaller number"
	bothDo    = "two policies of the same priority %d would do different things. "
)

func dies(priority int) string { return "dies: " + fmt.Sprintf(wanted, priority) + "\n" }

// TestEveryRowOfTheBypassTableIsExplained goes through the second table of
// KERNEL.md section 3: does teapot's advertisement leave, and why?
func TestEveryRowOfTheBypassTableIsExplained(t *testing.T) {
	pair := between("fd00::2/128", "fd00::1/128")
	any := between("::/0", "::/0")
	na := icmp6(any, NeighborAdvertisement, -1)
	esp := func(priority uint32, options ...func(*Policy)) Policy {
		return pol(Out, pair, priority, append(options, withESP)...)
	}
	icmp4 := any
	icmp4.Proto = ProtoICMP
	onEth1 := na
	onEth1.IfIndex = 4
	tests := []struct {
		name     string
		policies []Policy
		defaults Defaults
		want     string
	}{
		{"esp priority 100 first, bypass 100 later", []Policy{esp(100), pol(Out, na, 100)}, Defaults{}, dies(100) +
			"wins by age: older than another of the same priority 100; would drop it: " + noSA + "\n" +
			"loses by age: younger than the winner of the same priority 100; would let it pass in the clear\n" +
			"depends: " + fmt.Sprintf(bothDo, 100) + otherTies},
		{"bypass 100 first, esp 100 later", []Policy{pol(Out, na, 100), esp(100)}, Defaults{},
			"clear: dir out src ::/0 dst ::/0 proto ipv6-icmp type 136 bypass priority 100\n" +
				"wins by age: older than another of the same priority 100; would let it pass in the clear\n" +
				"loses by age: younger than the winner of the same priority 100; would drop it: " + noSA + "\n" +
				"depends: " + fmt.Sprintf(bothDo, 100) + otherTies},
		{"esp 100, bypass 99", []Policy{esp(100), pol(Out, na, 99)}, Defaults{},
			"clear: dir out src ::/0 dst ::/0 proto ipv6-icmp type 136 bypass priority 99\n" +
				"wins by priority: priority 99 beats 100: the smaller number wins; would let it pass in the clear\n" +
				"loses by priority: priority 100 loses to 99: the smaller number wins; would drop it: " + noSA},
		{"esp without a priority (= 0, the best), bypass 10", []Policy{esp(0), pol(Out, na, 10)}, Defaults{}, dies(0) +
			"wins by priority: priority 0 beats 10: the smaller number wins; would drop it: " + noSA + "\n" +
			"loses by priority: priority 10 loses to 0: the smaller number wins; would let it pass in the clear"},
		{"both without priority, esp first", []Policy{esp(0), pol(Out, na, 0)}, Defaults{}, dies(0) +
			"wins by age: older than another of the same priority 0; would drop it: " + noSA + "\n" +
			"loses by age: younger than the winner of the same priority 0; would let it pass in the clear\n" +
			"depends: " + fmt.Sprintf(bothDo, 0) + otherTies},
		{"bypass only in", []Policy{esp(100), pol(In, na, 99)}, Defaults{},
			dies(100) + onlyMain + "\nnear: it is for dir in, the packet goes out"},
		{"bypass only in, for just the pair", []Policy{esp(100), pol(In, icmp6(between("fd00::1/128", "fd00::2/128"), 136, -1), 99)}, Defaults{},
			dies(100) + onlyMain + "\nnear: it is for dir in, the packet goes out"},
		{"bypass only fwd", []Policy{esp(100), pol(Fwd, na, 99)}, Defaults{},
			dies(100) + onlyMain + "\nnear: it is for dir fwd, the packet goes out"},
		{"type 135 only", []Policy{esp(100), pol(Out, icmp6(any, NeighborSolicitation, -1), 99)}, Defaults{},
			dies(100) + onlyMain + "\nnear: its type is 135, the packet has 136"},
		{"type 136 code 1", []Policy{esp(100), pol(Out, icmp6(any, NeighborAdvertisement, 1), 99)}, Defaults{},
			dies(100) + onlyMain + "\nnear: its code is 1, the packet has 0"},
		{"proto 1", []Policy{esp(100), pol(Out, icmp4, 99)}, Defaults{},
			dies(100) + onlyMain + "\nnear: its proto is icmp (1), the packet has ipv6-icmp (58)"},
		{"only fe80::/10 and ff02::/16 bypassed",
			[]Policy{esp(100), pol(Out, between("::/0", "fe80::/10"), 99), pol(Out, between("::/0", "ff02::/16"), 99)}, Defaults{},
			dies(100) + onlyMain + "\nnear: its dst fe80::/10 does not hold fd00::1\nnear: its dst ff02::/16 does not hold fd00::1"},
		{"bypass with a mark the packet has not", []Policy{esp(100), pol(Out, na, 99, marked(5, 0xff))}, Defaults{},
			dies(100) + onlyMain + "\nnear: its mark is 0x5/0xff, the packet has 0x0"},
		{"bypass with an if_id the packet has not", []Policy{esp(100), pol(Out, na, 99, ifID(5))}, Defaults{},
			dies(100) + onlyMain + "\nnear: its if_id is 0x5, the packet has none"},
		{"bypass for another device", []Policy{esp(100), pol(Out, onEth1, 99)}, Defaults{},
			dies(100) + onlyMain + "\nnear: its dev is #4, the packet has #3"},
		{"esp in sub, bypass in main", []Policy{esp(100, sub), pol(Out, na, 1)}, Defaults{},
			"dies: dir out src fd00::2/128 dst fd00::1/128 priority 100 ptype sub wants esp transport reqid 7, and there is no such SA\n" +
				"wins by alone: the only sub policy that matches; would drop it: " + noSA + "\n" +
				"wins by alone: the only main policy that matches; would let it pass in the clear\n" +
				"so: the sub policy's demand stands: a bypass in main does not lift it"},
		{"explicit block", []Policy{esp(100), pol(Out, pair, 50, block)}, Defaults{},
			"dies: blocked by dir out src fd00::2/128 dst fd00::1/128 action block priority 50\n" +
				"wins by priority: priority 50 beats 100: the smaller number wins; would block\n" +
				"loses by priority: priority 100 loses to 50: the smaller number wins; would drop it: " + noSA},
		{"setdefault out block", nil, Defaults{Out: Block},
			"dies: no policy matches, and the default action of dir out is block"},
	}
	f := answer
	f.IfIndex = 3
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db := Database{Policies: tt.policies, Defaults: tt.defaults}
			if got := told(db.Explain(Out, f)); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestEveryRowOfTheDiscoveryTableIsExplained goes through the table of
// KERNEL.md section 1.
func TestEveryRowOfTheDiscoveryTableIsExplained(t *testing.T) {
	hosts := Database{Policies: []Policy{
		pol(Out, between("fd00::1/128", "fd00::2/128"), 100, withESP),
		pol(Out, between("fd00::2/128", "fd00::1/128"), 100, withESP),
	}}
	all := Database{Policies: []Policy{pol(Out, between("::/0", "::/0"), 100, withESP)}}
	const clear = "clear: no policy matches"
	caught := dies(100) + onlyMain
	anyCaught := "dies: dir out src ::/0 dst ::/0 priority 100 wants esp transport reqid 7, and there is no such SA\n" + onlyMain
	tests := []struct {
		name             string
		flow             Flow
		host, everything string
	}{
		{"NS, first resolution", firstNS, clear, anyCaught},
		{"NA answering it", answer, caught, anyCaught},
		{"NUD probe", probe, clear, anyCaught},
		{"NA to a NUD probe", reply, clear, anyCaught},
		{"DAD NS", dad, clear, anyCaught},
		{"MLD report", mld, clear, anyCaught},
	}
	for _, tt := range tests {
		for db, want := range map[*Database]string{&hosts: tt.host, &all: tt.everything} {
			e := db.Explain(Out, tt.flow)
			if got := told(e); got != want {
				t.Errorf("%s under %v: got\n%s\nwant\n%s", tt.name, db.Policies, got, want)
			}
			counter := ""
			if want != clear {
				counter = "XfrmOutNoStates"
			}
			if got := e.Verdict.Counter(Out); got != counter {
				t.Errorf("%s: counter %q, want %q", tt.name, got, counter)
			}
		}
	}
	in := Database{Policies: []Policy{pol(In, between("fd00::2/128", "fd00::1/128"), 100, withESP)}}
	e := in.Explain(In, answer)
	want := "dies: dir in src fd00::2/128 dst fd00::1/128 priority 100 wants esp transport reqid 7, and there is no such SA\n" + onlyMain
	if got := told(e); got != want || e.Verdict.Counter(In) != "XfrmInTmplMismatch" {
		t.Errorf("inbound: %s, counter %s", got, e.Verdict.Counter(In))
	}
}

// TestTheReadersOwnCase is the one this program was begun for: twenty years ago
// a reader put `::/0 ::/0 icmp6 none` beside setkey's host-to-host policies.
// setkey gives all of them priority 0x80000000, so the order of lines decides.
func TestTheReadersOwnCase(t *testing.T) {
	const setkey = 0x80000000
	none := between("::/0", "::/0")
	none.Proto = ProtoICMPv6
	bypass := pol(Out, none, setkey)
	esp := pol(Out, between("fd00::2/128", "fd00::1/128"), setkey, withESP)

	last := (&Database{Policies: []Policy{esp, bypass}}).Explain(Out, answer)
	want := dies(setkey) +
		"wins by age: older than another of the same priority 2147483648; would drop it: " + noSA + "\n" +
		"loses by age: younger than the winner of the same priority 2147483648; would let it pass in the clear\n" +
		"depends: " + fmt.Sprintf(bothDo, setkey) + otherTies
	if got := told(last); got != want || !last.Verdict.Dies() || last.Weighed[1].Policy.Selector != none {
		t.Errorf("none lines last: got\n%s\nwant\n%s", got, want)
	}
	first := (&Database{Policies: []Policy{bypass, esp}}).Explain(Out, answer)
	want = "clear: dir out src ::/0 dst ::/0 proto ipv6-icmp bypass priority 2147483648\n" +
		"wins by age: older than another of the same priority 2147483648; would let it pass in the clear\n" +
		"loses by age: younger than the winner of the same priority 2147483648; would drop it: " + noSA + "\n" +
		"depends: " + fmt.Sprintf(bothDo, setkey) + otherTies
	if got := told(first); got != want {
		t.Errorf("none lines first: got\n%s\nwant\n%s", got, want)
	}
	esp.Priority = 0 // what `ip xfrm` gives where nobody says
	ip := (&Database{Policies: []Policy{bypass, esp}}).Explain(Out, answer)
	if !strings.HasPrefix(told(ip), dies(0)+"wins by priority: priority 0 beats 2147483648") || ip.Depends() != "" {
		t.Errorf("beside ip xfrm: %s", told(ip))
	}
}

func TestExplanationsOfWhatElseMayHappen(t *testing.T) {
	pair := between("fd00::2/128", "fd00::1/128")
	use := espTransport
	use.Optional = true
	optional := pol(Out, pair, 10, tmpl(use))
	live := sa(teapot, glass, 0x1000)
	wide := between("fd00::/64", "fd00::/64")
	tests := []struct {
		name string
		db   Database
		dir  Direction
		want string
	}{
		{"an SA carries it", Database{Policies: []Policy{pol(Out, pair, 10, withESP)}, SAs: []SA{live}}, Out,
			"protect: esp SA spi 0x00001000, by dir out src fd00::2/128 dst fd00::1/128 priority 10\n" +
				"wins by alone: the only main policy that matches; would protect it with SA spi 0x00001000"},
		{"it must come under an SA", Database{Policies: []Policy{pol(In, pair, 10, withESP)}, SAs: []SA{live}}, In,
			"protect: esp SA spi 0x00001000, by dir in src fd00::2/128 dst fd00::1/128 priority 10; in the clear it is dropped\n" +
				"wins by alone: the only main policy that matches; would want it under SA spi 0x00001000"},
		{"level use", Database{Policies: []Policy{optional}}, Out,
			"clear: what dir out src fd00::2/128 dst fd00::1/128 priority 10 asks for is optional (level use), and there is no SA\n" +
				"wins by alone: the only main policy that matches; would let it pass: its SA is optional"},
		{"sub blocks", Database{Policies: []Policy{pol(Out, pair, 10, withESP), pol(Out, pair, 50, block, sub)}}, Out,
			"dies: blocked by dir out src fd00::2/128 dst fd00::1/128 action block priority 50 ptype sub\n" +
				"wins by alone: the only sub policy that matches; would block\n" +
				"not asked by type: main policies are not asked: a sub policy blocks; would drop it: " + noSA},
		{"sub lets pass, main decides", Database{Policies: []Policy{pol(Out, pair, 10, withESP), pol(Out, pair, 1, sub)}}, Out,
			dies(10) + "wins by alone: the only sub policy that matches; would let it pass in the clear\n" + onlyMain +
				"\nso: the sub policy lets it pass, and main policies still apply"},
		{"forwarded: after sub, main is asked as in", Database{Policies: []Policy{pol(In, pair, 10, block), pol(Fwd, pair, 1, sub), pol(Fwd, pair, 1)}}, Fwd,
			"dies: blocked by dir in src fd00::2/128 dst fd00::1/128 action block priority 10\n" +
				"wins by alone: the only sub policy that matches; would let it pass in the clear\n" +
				"wins by alone: the only main policy that matches; would block\n" +
				"so: the sub policy lets it pass, and main policies still apply"},
		{"a tie of two wide ones", Database{Policies: []Policy{pol(Out, wide, 10, block), pol(Out, between("::/0", "::/0"), 10)}}, Out,
			"dies: blocked by dir out src fd00::/64 dst fd00::/64 action block priority 10\n" +
				"wins by age: older than another of the same priority 10; would block\n" +
				"loses by age: younger than the winner of the same priority 10; would let it pass in the clear\n" +
				"depends: " + fmt.Sprintf(bothDo, 10) + "The older wins, unless one was replaced (ip xfrm policy update): it may have kept its place, and no dump tells. Give the one that is to win a smaller number"},
		{"a tie without a difference", Database{Policies: []Policy{pol(Out, pair, 10, block), pol(Out, wide, 10, block)}}, Out,
			"dies: blocked by dir out src fd00::2/128 dst fd00::1/128 action block priority 10\n" +
				"wins by age: older than another of the same priority 10; would block\n" +
				"loses by age: younger than the winner of the same priority 10; would block"},
		{"a tie with the third, not the second", Database{Policies: []Policy{pol(Out, pair, 10, block), pol(Out, wide, 10, block), pol(Out, between("::/0", "::/0"), 10)}}, Out,
			"dies: blocked by dir out src fd00::2/128 dst fd00::1/128 action block priority 10\n" +
				"wins by age: older than another of the same priority 10; would block\n" +
				"loses by age: younger than the winner of the same priority 10; would block\n" +
				"loses by age: younger than the winner of the same priority 10; would let it pass in the clear\n" +
				"depends: " + fmt.Sprintf(bothDo, 10) + otherTies},
	}
	for _, tt := range tests {
		e := tt.db.Explain(tt.dir, answer)
		if got := told(e); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
		for i := range e.Weighed {
			if w := &e.Weighed[i]; w.Depends != (w.By == ByAge && !sameEffect(w.Policy, w.Other)) {
				t.Errorf("%s: weighed %d depends: %t", tt.name, i, w.Depends)
			}
		}
		if e.Verdict.Tied != nil != (e.Depends() != "") {
			t.Errorf("%s: tied with %v, depends on %q", tt.name, e.Verdict.Tied, e.Depends())
		}
	}
	unknown := tests[0].db.Explain(Out, ICMPv6Flow(glass, teapot, 136))
	if unknown.SADUnknown = true; unknown.Unsure() {
		t.Errorf("%s is unsure", unknown.Line())
	}
	without := (&Database{Policies: tests[0].db.Policies}).Explain(Out, answer)
	without.SADUnknown = true
	want := "protect: dir out src fd00::2/128 dst fd00::1/128 priority 10 wants esp transport reqid 7; whether there is such an SA is not known\n" +
		"wins by alone: the only main policy that matches; would protect it: esp transport reqid 7"
	if got := told(without); got != want || !without.Unsure() {
		t.Errorf("without an SAD: unsure %t, got\n%s", without.Unsure(), got)
	}
	exempt := Database{Policies: []Policy{pol(In, pair, 1, withESP)}, Devices: []Device{{Index: 2, NoPolicy6: true, Addrs: []netip.Addr{glass}}}}
	if got := told(exempt.Explain(In, answer)); got != "clear: disable_policy of the device exempts it" {
		t.Error(got)
	}
}

func TestAnOffloadedPolicyIsTheDevicesAffair(t *testing.T) {
	for flags, want := range map[uint8]bool{0: false, 1: false, 4: true, 5: true} {
		db := Database{Policies: []Policy{pol(Out, between("::/0", "::/0"), 1, func(p *Policy) { p.Offload = &Offload{IfIndex: 3, Flags: flags} })}}
		e := db.Explain(Out, answer)
		if got := strings.HasPrefix(e.Depends(), "the policy is handed to the device #3 whole"); got != want {
			t.Errorf("flags %d: depends on %q", flags, e.Depends())
		}
	}
}

func TestPoliciesOfSocketsAreTold(t *testing.T) {
	pair := between("fd00::2/128", "fd00::1/128")
	db := Database{Policies: []Policy{pol(Out, pair, 0, socket), pol(In, pair, 0, socket), pol(Out, pair, 10, withESP), pol(Out, icmp6(pair, 135, -1), 0, socket)}}
	e := db.Explain(Out, answer)
	if len(e.Sockets) != 1 || e.Sockets[0] != &db.Policies[0] || len(e.Weighed) != 1 || len(e.Near) != 0 {
		t.Errorf("sockets %v, weighed %v, near %v", e.Sockets, e.Weighed, e.Near)
	}
}

// TestWhatWasNotMeantForThePacketIsNoNearMiss holds the bounds.
func TestWhatWasNotMeantForThePacketIsNoNearMiss(t *testing.T) {
	pair := between("fd00::2/128", "fd00::1/128")
	tcp := between("::/0", "fe80::/10")
	tcp.Proto = ProtoTCP
	db := Database{Policies: []Policy{
		pol(Out, pair, 10, withESP),
		pol(Out, between("fd00::2/128", "fd00::9/128"), 1), // another host's
		pol(Out, between("0.0.0.0/0", "0.0.0.0/0"), 1),     // another family's
		pol(In, tcp, 1), // three differences
		pol(Out, icmp6(pair, 135, -1), 1, withESP),                                    // no bypass
		pol(Out, icmp6(pair, 135, -1), 1, block),                                      // nor this
		pol(In, icmp6(between("fd00::2/128", "fd00::1/128"), 135, -1), 1),             // two
		pol(Out, icmp6(pair, 135, -1), 1, func(p *Policy) { p.Selector.DstPort = 1 }), // one
	}}
	e := db.Explain(Out, answer)
	if len(e.Near) != 2 || e.Near[0].Policy != &db.Policies[7] || e.Near[1].Policy != &db.Policies[6] || len(e.Near[1].Differs) != 2 {
		t.Errorf("%+v", e.Near)
	}
	back := Database{Policies: []Policy{db.Policies[0], pol(Fwd, between("fd00::1/128", "fd00::2/128"), 1)}}
	if e := back.Explain(Out, answer); len(e.Near) != 0 {
		t.Errorf("a policy for what is forwarded the other way is near: %+v", e.Near)
	}
	for i := range 20 {
		db.Policies = append(db.Policies, pol(Out, icmp6(pair, i, -1), 1))
	}
	if e := db.Explain(Out, answer); len(e.Near) != maxNear {
		t.Errorf("%d near misses", len(e.Near))
	}
	if e := db.Explain(In, answer); e.Verdict.Decision != Clear || len(e.Near) != 0 {
		t.Errorf("near misses of a packet that passes: %v", e.Near)
	}
}

func TestWhichCounterRises(t *testing.T) {
	pair := between("fd00::2/128", "fd00::1/128")
	for _, dir := range []Direction{In, Out, Fwd} {
		live := Database{Policies: []Policy{pol(dir, pair, 1, withESP)}, SAs: []SA{sa(teapot, glass, 1)}}
		none := Database{Policies: live.Policies}
		blocked := Database{Policies: []Policy{pol(dir, pair, 1, block)}}
		def := Database{Defaults: Defaults{In: Block, Out: Block, Fwd: Block}}
		want := [4]string{"XfrmInTmplMismatch", "XfrmInTmplMismatch", "XfrmInPolBlock", "XfrmInNoPols"}
		if dir == Out {
			want = [4]string{"", "XfrmOutNoStates", "XfrmOutPolBlock", ""}
		}
		for i, db := range []Database{live, none, blocked, def} {
			if v := db.Lookup(dir, answer); v.Counter(dir) != want[i] {
				t.Errorf("%s, case %d: %q, want %q", dir, i, v.Counter(dir), want[i])
			}
		}
	}
	if v := (&Database{}).Lookup(Out, answer); v.Counter(Out) != "" {
		t.Error("a packet that passes counts")
	}
}
