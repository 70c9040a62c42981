package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// wire is a stream of events that observers of one pair see, for rules on ESP.
type wire struct {
	*Engine
	now time.Duration
	seq map[analyze.FlowKey]uint32
}

func newWire(rules ...*Rule) *wire {
	return &wire{Engine: NewEngine(analyze.NewState(analyze.Limits{}), rules), seq: map[analyze.FlowKey]uint32{}}
}

func keyed(src, dst netip.Addr, spi uint32) spd.SA {
	return spd.SA{Src: src, Dst: dst, SPI: spi, Proto: spd.ProtoESP, Mode: spd.Transport,
		Enc: &spd.Algorithm{Name: "cbc(aes)", KeyBits: 128}, Auth: &spd.Algorithm{Name: "hmac(sha256)", KeyBits: 256, ICVBits: 128}}
}

// host makes a host with an address on eth0 and these SAs.
func (w *wire) host(name string, own netip.Addr, sas ...spd.SA) {
	w.Apply(&analyze.Snapshot{Header: at(name, w.now), KernelState: analyze.KernelState{
		Addresses: []analyze.Address{{Prefix: netip.PrefixFrom(own, 64), IfIndex: 2}}, SAs: sas, Counters: map[string]uint64{},
	}})
}

var (
	toTeapot = analyze.FlowKey{Src: glass, Dst: teapot, Proto: spd.ProtoESP, SPI: 0x1001}
	toGlass  = analyze.FlowKey{Src: teapot, Dst: glass, Proto: spd.ProtoESP, SPI: 0x1002}
)

// sees has a host see packets of a flow with the next sequence numbers.
func (w *wire) sees(name string, k analyze.FlowKey, packets uint32) {
	id := k
	first := w.seq[id] + 1
	w.seq[id] += packets
	w.numbers(name, k, first, w.seq[id])
}

func (w *wire) numbers(name string, k analyze.FlowKey, first, last uint32) {
	h := at(name, w.now)
	h.Origin.Interface = "eth0"
	w.Apply(&analyze.Flow{Header: h, Key: k, Packets: uint64(last-first) + 1, FirstSeq: first, LastSeq: last, MinSeq: first, MaxSeq: last})
}

// hears has a host see an IKE message (RFC 7296 section 3.1) from one address to
// another: INFORMATIONAL, with these payloads.
func (w *wire) hears(name string, src, dst netip.Addr, payloads ...byte) {
	first := byte(0)
	if len(payloads) > 0 {
		first = 41 // N
	}
	b := slices.Concat([]byte{1, 0xf4, 1, 0xf4, 0, byte(36 + len(payloads)), 0, 0},
		[]byte{1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, first, 0x20, 37, 8, 0, 0, 0, 1, 0, 0, 0, byte(28 + len(payloads))}, payloads)
	w.packet(name, src, dst, spd.ProtoUDP, b)
}

// packet has a host see an IPv6 packet.
func (w *wire) packet(name string, src, dst netip.Addr, proto uint8, payload []byte) {
	h := at(name, w.now)
	h.Origin.Interface = "eth0"
	b := ipv6(src, dst, proto, payload)
	w.Apply(&analyze.Frame{Header: h, Link: analyze.LinkRaw, OrigLen: len(b), Data: b})
}

func ipv6(src, dst netip.Addr, proto uint8, payload []byte) []byte {
	s, d := src.As16(), dst.As16()
	return slices.Concat([]byte{0x60, 0, 0, 0, 0, byte(len(payload)), proto, 64}, s[:], d[:], payload)
}

func (w *wire) counts(name, counter string, value uint64) {
	w.Apply(&analyze.Counters{Header: at(name, w.now), Values: map[string]uint64{counter: value}})
}

// refuses has an SA of a host tell its error counters and what it has accepted.
func (w *wire) refuses(name string, sa spd.SA, stats spd.SAStats, passed uint64) {
	sa.Stats, sa.Used.Packets = stats, passed
	w.Apply(&analyze.SAChange{Header: at(name, w.now), Change: analyze.Updated, SA: sa})
}

// pass lets seconds go by, each with what happens in it.
func (w *wire) pass(seconds int, each func(second int)) {
	for i := range seconds {
		w.now += time.Second
		if each != nil {
			each(i + 1)
		}
		w.Apply(tick(w.now))
	}
}

// found renders what is found: "error certain open".
func (w *wire) found() string {
	var out []string
	for _, f := range w.Findings() {
		out = append(out, fmt.Sprintf("%s %s %s", f.Severity, f.Confidence, f.State))
	}
	return strings.Join(out, ", ")
}

func (w *wire) want(t *testing.T, want string) {
	t.Helper()
	if got := w.found(); got != want {
		t.Errorf("found %q, want %q: %+v", got, want, w.Findings())
	}
}

// says reports whether the first finding's explanation holds all of these words.
func (w *wire) says(t *testing.T, words ...string) {
	t.Helper()
	f := w.Findings()
	if len(f) == 0 || slices.ContainsFunc(words, func(s string) bool { return !strings.Contains(f[0].Explanation, s) }) {
		t.Errorf("said %+v, want %q in it", f, words)
	}
}

func TestAnUnknownSPIIsOneThatStaysUnknown(t *testing.T) {
	in, out := keyed(glass, teapot, 0x1001), keyed(teapot, glass, 0x1002)
	for name, tt := range map[string]struct {
		lasts   int
		counted bool
		want    string
	}{
		"deleted, and the peer is late": {11, true, ""},
		"deleted, and the peer goes on": {16, true, "error certain open"},
		"taken by somebody else":        {30, false, ""}, // a program's own IPsec
	} {
		w := newWire(ESPUnknownSPI)
		w.host("teapot", teapot, in, out)
		w.pass(3, func(int) { w.sees("teapot", toTeapot, 1) })
		w.Apply(&analyze.SAChange{Header: at("teapot", w.now), Change: analyze.Deleted, SA: in})
		w.pass(tt.lasts, func(i int) {
			w.sees("teapot", toTeapot, 1)
			if tt.counted {
				w.counts("teapot", analyze.XfrmInNoStates, uint64(i))
			}
		})
		t.Run(name, func(t *testing.T) { w.want(t, tt.want) })
		if tt.want != "" {
			w.says(t, "it was deleted", "0x1001")
			again := keyed(glass, teapot, 0x1003)
			w.Apply(&analyze.SAChange{Header: at("teapot", w.now), Change: analyze.Added, SA: again})
			known := toTeapot
			known.SPI = 0x1003
			w.pass(2, func(int) { w.sees("teapot", known, 1) })
			w.pass(12, func(int) { w.sees("teapot", known, 1) })
			w.want(t, "error certain resolved")
		}
	}
}

func TestNothingIsUnknownThatIsNotForThisHost(t *testing.T) {
	w := newWire(ESPUnknownSPI)
	w.host("router", netip.MustParseAddr("fd00::fe"))
	w.pass(30, func(i int) {
		w.sees("router", toTeapot, 1)
		w.counts("router", analyze.XfrmInNoStates, uint64(i))
	})
	w.want(t, "")
}

func TestABadKeyLetsNothingPass(t *testing.T) {
	in := keyed(glass, teapot, 0x1001)
	w := newWire(ESPBadKey)
	w.host("teapot", teapot, in)
	w.pass(6, func(i int) {
		w.sees("teapot", toTeapot, 1)
		w.counts("teapot", analyze.XfrmInStateProtoError, uint64(i))
		w.refuses("teapot", in, spd.SAStats{IntegrityFailed: uint32(i)}, 0)
	})
	w.want(t, "error certain open") // nobody speaks IKE
	w.says(t, "6 packets", "different keys, or different algorithms")
	w.pass(1, func(int) {
		w.sees("teapot", toTeapot, 5)
		w.refuses("teapot", in, spd.SAStats{IntegrityFailed: 6}, 5)
	})
	w.want(t, "error certain resolved")

	w = newWire(ESPBadKey) // somebody forges packets beside good ones
	w.host("teapot", teapot, in)
	w.pass(6, func(i int) {
		w.sees("teapot", toTeapot, 10)
		w.counts("teapot", analyze.XfrmInStateProtoError, uint64(i))
		w.refuses("teapot", in, spd.SAStats{IntegrityFailed: uint32(i)}, uint64(9*i))
	})
	if w.found() != "" && !strings.HasSuffix(w.found(), "resolved") {
		w.want(t, "")
	}
}

func TestTheTwoEndsTellKeyFromAlgorithm(t *testing.T) {
	in, short := keyed(glass, teapot, 0x1001), keyed(glass, teapot, 0x1001)
	short.Auth = &spd.Algorithm{Name: "hmac(sha256)", KeyBits: 256, ICVBits: 96}
	for words, sent := range map[string]spd.SA{"the keys differ": in, "cut to 96 bits": short} {
		w := newWire(ESPBadKey)
		w.host("teapot", teapot, in)
		w.host("glass", glass, sent)
		w.pass(6, func(i int) {
			w.sees("glass", toTeapot, 1)
			w.seq[toTeapot]--
			w.sees("teapot", toTeapot, 1)
			w.counts("teapot", analyze.XfrmInStateProtoError, uint64(i))
			w.refuses("teapot", in, spd.SAStats{IntegrityFailed: uint32(i)}, 0)
		})
		w.says(t, words)
	}
}

func TestLengthsTellTheIntegrityValue(t *testing.T) {
	for _, tt := range []struct {
		length, expects int
		want            int
	}{
		{8 + 16 + 64 + 12, 128, 96},
		{8 + 16 + 64 + 16, 128, 0},
		{8 + 16 + 64 + 16, 96, 128},
		{8 + 16 + 64 + 12, 96, 0},
		{8 + 16 + 64 + 24, 128, 192},
	} {
		sa := keyed(glass, teapot, 1)
		sa.Auth.ICVBits = tt.expects
		got, ok := lengthsFit(inboundFlow{&analyze.FlowTotal{Lengths: 1 << (tt.length % 16)}, &sa})
		if got != tt.want || ok != (tt.want != 0) {
			t.Errorf("%d octets for %d bits: %d, %t; want %d", tt.length, tt.expects, got, ok, tt.want)
		}
	}
	gcm := keyed(glass, teapot, 1)
	gcm.Enc, gcm.Auth, gcm.AEAD = nil, nil, &spd.Algorithm{Name: "rfc4106(gcm(aes))", ICVBits: 128}
	if _, ok := lengthsFit(inboundFlow{&analyze.FlowTotal{Lengths: 1}, &gcm}); ok {
		t.Error("a counter mode has no blocks of 16")
	}
}

func TestLatePacketsAreNoReplays(t *testing.T) {
	in := keyed(glass, teapot, 0x1001)
	in.Replay.Window = 32
	for name, tt := range map[string]struct {
		late, twice uint32
		passed      uint64
		want        string
	}{
		"a tenth is late":     {5, 0, 45, "error certain open"},
		"one in 500 is late":  {1, 0, 499, "info certain open"},
		"some come twice":     {0, 5, 45, ""},
		"old ones come twice": {5, 0, 50, ""}, // a replay, or a network that doubles
	} {
		w := newWire(ESPReplay)
		w.host("teapot", teapot, in)
		w.pass(20, func(i int) {
			w.sees("teapot", toTeapot, uint32(tt.passed)+tt.late)
			if name == "old ones come twice" && i > 2 {
				w.numbers("teapot", toTeapot, w.seq[toTeapot]-60, w.seq[toTeapot])
			}
			n := uint32(max(i-2, 0))
			w.counts("teapot", analyze.XfrmInStateSeqError, uint64(n*(tt.late+tt.twice)))
			w.refuses("teapot", in, spd.SAStats{ReplayWindow: n * tt.late, Replay: n * tt.twice}, uint64(i)*tt.passed)
		})
		t.Run(name, func(t *testing.T) { w.want(t, tt.want) })
	}
}

func TestNumbersThatBeginAgainOnTheWireAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		before, since bool
		want          string
	}{
		"answers end with it": {true, false, "error likely open"},
		"answers go on":       {true, true, "info likely open"},
		"never any answers":   {false, false, "info likely open"},
	} {
		w := newWire(ESPReplay)
		w.pass(5, func(int) {
			w.sees("file", toTeapot, 100)
			if tt.before {
				w.sees("file", toGlass, 100)
			}
		})
		w.seq[toTeapot] = 0
		w.pass(20, func(int) {
			w.sees("file", toTeapot, 5)
			if tt.since {
				w.sees("file", toGlass, 5)
			}
		})
		t.Run(name, func(t *testing.T) { w.want(t, tt.want) })
	}
}

func TestAnEncapsulationThatDiffersIsJudgedByWireAndSA(t *testing.T) {
	plain, inUDP := keyed(glass, teapot, 0x1001), keyed(glass, teapot, 0x1001)
	inUDP.Encap = &spd.Encap{Type: 2, SrcPort: 4500, DstPort: 4500}
	udp := toTeapot
	udp.SrcPort, udp.DstPort = 4500, 4500
	for name, tt := range map[string]struct {
		sa   spd.SA
		key  analyze.FlowKey
		want string
	}{
		"plain for UDP":   {inUDP, toTeapot, "error certain open"},
		"UDP for plain":   {plain, udp, "error certain open"},
		"plain for plain": {plain, toTeapot, ""}, // the counter rises for another reason
		"UDP for UDP":     {inUDP, udp, ""},
	} {
		w := newWire(ESPEncapMismatch)
		w.host("teapot", teapot, tt.sa)
		w.pass(10, func(i int) {
			w.sees("teapot", tt.key, 1)
			w.counts("teapot", analyze.XfrmInStateMismatch, uint64(i))
		})
		t.Run(name, func(t *testing.T) { w.want(t, tt.want) })
	}
}

// asked has glass's kernel ask for the SA with a packet, and get it.
func (w *wire) asked(proto uint8, port uint16) {
	sel := spd.Selector{Family: spd.IPv6, Src: netip.PrefixFrom(glass, 128), Dst: netip.PrefixFrom(teapot, 128), Proto: proto,
		SrcPort: port, DstPort: port, SrcPortMask: 0xffff, DstPortMask: 0xffff}
	p := spd.Policy{Direction: spd.Out, Selector: spd.Selector{Family: spd.IPv6, Src: sel.Src, Dst: sel.Dst}, Priority: 1,
		Templates: []spd.Template{{Proto: spd.ProtoESP, Mode: spd.Transport, Src: glass, Dst: teapot}}}
	w.Apply(&analyze.Snapshot{Header: at("glass", w.now), KernelState: analyze.KernelState{Policies: []spd.Policy{p},
		Addresses: []analyze.Address{{Prefix: netip.PrefixFrom(glass, 64), IfIndex: 2}}}})
	w.Apply(&analyze.Acquire{Header: at("glass", w.now), Src: glass, Dst: teapot, Proto: spd.ProtoESP, Selector: sel, Policy: p})
	for _, sa := range []spd.SA{keyed(glass, teapot, 0x1001), keyed(teapot, glass, 0x1002)} {
		w.Apply(&analyze.SAChange{Header: at("glass", w.now), Change: analyze.Added, SA: sa})
	}
}

func TestOneWayIsAnErrorWhereAnAnswerIsDue(t *testing.T) {
	for name, tt := range map[string]struct {
		proto uint8
		port  uint16
		back  int // the second in which something comes back
		lasts int
		want  string
	}{
		"a connect":              {spd.ProtoTCP, 443, 0, 15, "error likely open"},
		"a connect, at first":    {spd.ProtoTCP, 443, 0, 9, ""},
		"an echo request":        {spd.ProtoICMPv6, 128, 0, 15, "error likely open"},
		"a DNS query":            {spd.ProtoUDP, 53, 0, 15, "error likely open"},
		"a log":                  {spd.ProtoUDP, 514, 0, 60, "info likely open"},
		"a connect, then a log":  {spd.ProtoTCP, 443, 3, 60, "info likely open"},
		"a connect that goes on": {spd.ProtoTCP, 443, 12, 20, "error likely resolved"},
	} {
		w := newWire(ESPOneWay)
		w.asked(tt.proto, tt.port)
		w.hears("glass", teapot, glass)
		w.pass(tt.lasts, func(i int) {
			w.sees("glass", toTeapot, 1)
			if i == tt.back {
				w.sees("glass", toGlass, 1)
			}
		})
		t.Run(name, func(t *testing.T) { w.want(t, tt.want) })
	}
}

func TestBothEndsNameTheDirectionThatIsLost(t *testing.T) {
	w := newWire(ESPOneWay)
	w.host("glass", glass, keyed(glass, teapot, 0x1001), keyed(teapot, glass, 0x1002))
	w.host("teapot", teapot, keyed(glass, teapot, 0x1001), keyed(teapot, glass, 0x1002))
	w.pass(25, func(int) { // teapot gets all, and answers in vain
		w.sees("glass", toTeapot, 1)
		w.seq[toTeapot]--
		w.sees("teapot", toTeapot, 1)
		w.sees("teapot", toGlass, 1)
	})
	w.want(t, "") // nothing of teapot's ever came to glass: was it watched?
	w.hears("glass", teapot, glass)
	w.pass(5, func(int) { w.sees("glass", toTeapot, 1); w.sees("teapot", toGlass, 1) })
	w.want(t, "error certain open")
	w.says(t, "from fd00::2 to fd00::1", "not one has arrived")
}

// TestRecordingsOfTwoLinksAreNotHeldAgainstEachOther: the same addresses are in use in
// many places, and files that are read together may be from two of them. A packet
// that both saw shows that they are not, or an SPI that IKE chose.
func TestRecordingsOfTwoLinksAreNotHeldAgainstEachOther(t *testing.T) {
	for name, tt := range map[string]struct {
		matched    int
		negotiated bool
		want       string
	}{
		"nothing in common":         {0, false, ""},
		"packets in common":         {9, false, "error certain open"},
		"an SPI of IKE's in common": {0, true, "error certain open"},
	} {
		there, back := keyed(glass, teapot, 0x1001), keyed(teapot, glass, 0x1002)
		if tt.negotiated {
			there.Limits.HardAdd, back.Limits.HardAdd = 3600, 3600
		}
		w := newWire(ESPOneWay)
		w.Apply(twoFiles(tt.matched))
		w.host("glass", glass, there, back)
		w.host("teapot", teapot, there, back)
		w.hears("teapot", glass, teapot)
		w.pass(25, func(int) {
			w.sees("glass", toTeapot, 1)
			w.counts("teapot", analyze.XfrmInNoStates, 0)
		})
		t.Run(name, func(t *testing.T) { w.want(t, tt.want) })
	}
}

// TestACaptureWithoutESPShowsNoLossOfIt: many capture IKE alone ("udp port 500"), and
// that no ESP is in the file then says nothing of the way.
func TestACaptureWithoutESPShowsNoLossOfIt(t *testing.T) {
	for name, tt := range map[string]struct {
		answers bool // the captured end's own ESP is in its file
		want    string
	}{
		"IKE alone":            {false, ""},
		"ESP of the other way": {true, "error likely open"},
	} {
		w := newWire(ESPOneWay)
		w.Apply(twoFiles(9))
		w.host("glass", glass, keyed(glass, teapot, 0x1001), keyed(teapot, glass, 0x1002))
		w.hears("teapot", glass, teapot)
		w.pass(25, func(int) {
			w.sees("glass", toTeapot, 1)
			if tt.answers {
				w.sees("teapot", toGlass, 1)
				w.seq[toGlass]--
			}
			w.sees("glass", toGlass, 1)
		})
		t.Run(name, func(t *testing.T) { w.want(t, tt.want) })
	}
}

// twoFiles are the files of glass and teapot, with so many packets in common.
func twoFiles(matched int) *analyze.Alignment {
	a := &analyze.Alignment{Observers: []analyze.Observer{
		{Name: "glass.pcapng", Origin: analyze.Origin{Host: "glass"}, To: time.Unix(1<<32, 0)},
		{Name: "teapot.pcapng", Origin: analyze.Origin{Host: "teapot"}, To: time.Unix(1<<32, 0)},
	}}
	if matched > 0 {
		a.Observers[1].Reference, a.Observers[1].Matched = "glass.pcapng", matched
	}
	return a
}

func TestLossIsNotToldOfARecordingThatHasLost(t *testing.T) {
	for _, lost := range []bool{false, true} {
		w := newWire(ESPLoss)
		if lost {
			w.Apply(&analyze.Lost{Header: at("file", 0), What: "frames dropped by the kernel on eth0", Count: 9})
		}
		w.pass(6, func(i int) {
			w.sees("file", toTeapot, 9)
			if i == 3 {
				w.seq[toTeapot] += 4
			}
		})
		want := "info certain open"
		if lost {
			want = ""
		}
		w.want(t, want)
	}
}

func TestInvalidSPIInTheClearIsLikely(t *testing.T) {
	notify := func(spi byte) []byte { return []byte{0, 0, 0, 12, 3, 0, 0, 11, 0, 0, 0x10, spi} }
	for name, tt := range map[string]struct {
		spi  byte
		from netip.Addr
		want string
	}{
		"the one that comes":  {0x01, teapot, "error likely open"},
		"another":             {0x77, teapot, ""},
		"its own, not theirs": {0x01, glass, ""},
	} {
		w := newWire(ESPUnknownSPI)
		to := glass
		if tt.from == glass {
			to = teapot
		}
		w.pass(5, func(int) {
			w.sees("file", toTeapot, 2)
			w.hears("file", tt.from, to, notify(tt.spi)...)
		})
		t.Run(name, func(t *testing.T) { w.want(t, tt.want) })
	}
}

// TestAnErrorMessageOnESPTellsThatItIsRefused: without it the same is information.
func TestAnErrorMessageOnESPTellsThatItIsRefused(t *testing.T) {
	w := newWire(ESPOneWay)
	w.hears("file", teapot, glass)
	quoted := ipv6(glass, teapot, spd.ProtoESP, []byte{0, 0, 0x10, 1, 0, 0, 0, 9})
	router := netip.MustParseAddr("fd00::fe")
	w.pass(15, func(i int) {
		w.sees("file", toTeapot, 1)
		if i == 12 {
			w.want(t, "info likely open")
		}
		if i > 12 { // destination unreachable, administratively prohibited (RFC 4443 section 3.1)
			w.packet("file", router, glass, spd.ProtoICMPv6, slices.Concat([]byte{1, 1, 0, 0, 0, 0, 0, 0}, quoted))
		}
	})
	w.want(t, "error likely open")
	w.says(t, "fd00::fe answers it with")
}

// TestARestartedSenderIsToldUntilItCatchesUp: also where the recording began after
// the restart.
func TestARestartedSenderIsToldUntilItCatchesUp(t *testing.T) {
	for words, before := range map[string]int{"began again, at 1 after 100": 5, "has seen 100": 0} {
		in := keyed(glass, teapot, 0x1001)
		in.Replay.Window, in.Replay.InSeq, in.Used.Packets = 32, 100, 100
		w := newWire(ESPReplay)
		w.host("teapot", teapot, in)
		w.pass(before, func(int) { w.sees("teapot", toTeapot, 20) })
		w.seq[toTeapot] = 0
		w.pass(6, func(i int) {
			w.sees("teapot", toTeapot, 2)
			w.counts("teapot", analyze.XfrmInStateSeqError, uint64(2*i))
			w.refuses("teapot", in, spd.SAStats{ReplayWindow: uint32(2 * i)}, 100)
		})
		w.want(t, "error certain open")
		w.says(t, words, "dropped 12 packets")
		w.pass(3, func(i int) {
			w.sees("teapot", toTeapot, 50)
			in.Replay.InSeq = 100 + uint64(50*i)
			w.refuses("teapot", in, spd.SAStats{ReplayWindow: 12}, uint64(100+50*i))
		})
		w.pass(9, func(int) { w.sees("teapot", toTeapot, 1) })
		w.want(t, "error certain resolved")
	}
}
