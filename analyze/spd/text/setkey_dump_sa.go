package text

import (
	"strings"

	"ipsecdiag/analyze/spd"
)

// dumpedSA is an SA of setkey -D while it is read. Keys are printed in groups
// of four bytes, eight groups a line (ipsec_hexdump).
type dumpedSA struct {
	spd.SA
	at           Pos
	srcPort      uint16
	dstPort      uint16
	encKey       string
	authKey      string
	longer       *string // the key that the next line may continue
	hasEnc, auth bool
	seen, bad    bool
}

func newDumpedSA(at Pos, src, dst rangeSpec) *dumpedSA {
	e := &dumpedSA{at: at, srcPort: src.port, dstPort: dst.port}
	e.Src, e.Dst = src.prefix.Addr(), dst.prefix.Addr()
	e.Family = familyOf(e.Src)
	return e
}

// keys returns the keys and sets their lengths.
func (e *dumpedSA) keys() (k Keys) {
	if e.hasEnc && e.encKey != "" {
		k.Enc, _ = hexKey(e.encKey)
		e.Enc.KeyBits = k.Enc.Len()
	}
	if e.auth && e.authKey != "" {
		k.Auth, _ = hexKey(e.authKey)
		e.Auth.KeyBits = k.Auth.Len()
	}
	return k
}

// saLine reads a line below the header of an SA.
func (p *dumpParser) saLine(w *words) (known bool) {
	e := p.sa
	longer := e.longer
	e.longer = nil
	switch first := w.peek(); {
	case len(w.w) > 1 && strings.HasPrefix(w.w[1], "mode="):
		e.id(w)
	case first == "E:":
		w.next()
		e.Enc, e.hasEnc = dumpedAlgorithm(w, forEnc), true
		e.key(w, &e.encKey)
	case first == "A:":
		w.next()
		e.Auth, e.auth = dumpedAlgorithm(w, forAuth), true
		e.key(w, &e.authKey)
	case first == "C:": // no line end follows
		w.next()
		e.Comp = dumpedAlgorithm(w, forComp)
		if strings.HasPrefix(w.peek(), "seq=") {
			e.flags(w)
		}
	case strings.HasPrefix(first, "seq="):
		e.flags(w)
	case first == "created:":
		p.created(w)
	case first == "diff:":
		w.next()
		w.next()
		e.Limits.HardAdd, e.Limits.SoftAdd = hardSoft(w)
	case first == "last:":
		w.next()
		e.Used.UseTime = p.clock(w)
		e.Limits.HardUse, e.Limits.SoftUse = hardSoft(w)
	case first == "current:":
		w.next()
		e.Used.Bytes = w.uint("current", 64)
		e.Limits.HardBytes, e.Limits.SoftBytes = hardSoft(w)
	case first == "allocated:":
		w.next()
		e.Used.Packets = w.uint("allocated", 64)
		e.Limits.HardPackets, e.Limits.SoftPackets = hardSoft(w)
	case first == "NAT" || first == "security" || strings.HasPrefix(first, "sadb_seq="):
		w.w = nil
	case longer != nil && isHexDump(w):
		e.key(w, longer)
	default:
		return false
	}
	return true
}

// id reads "esp mode=transport spi=N(0xN) reqid=N(0xN)".
func (e *dumpedSA) id(w *words) {
	e.seen = true
	name, nat := strings.CutPrefix(w.next(), "natt+")
	if name == "esp-udp" {
		name, nat = "esp", true
	}
	proto, ok := ipsecProtocols[name]
	if !ok {
		w.fail("the protocol is not esp, ah, ipcomp or esp-udp")
	}
	e.Proto = proto
	if nat {
		e.Encap = &spd.Encap{Type: 2, SrcPort: e.srcPort, DstPort: e.dstPort}
	}
	switch w.next() {
	case "mode=transport", "mode=any":
	case "mode=tunnel":
		e.Mode = spd.Tunnel
	default:
		w.fail("mode: not transport or tunnel")
	}
	e.SPI = valueOf(w, "spi=")
	e.ReqID = valueOf(w, "reqid=")
}

// valueOf reads "name=N" or "name=N(0xN)".
func valueOf(w *words, name string) uint32 {
	s, ok := strings.CutPrefix(w.next(), name)
	v, isNumber := printedNumber(s, 32)
	if !ok || !isNumber {
		w.fail(strings.TrimSuffix(name, "=") + ": not a number")
	}
	return uint32(v)
}

func dumpedAlgorithm(w *words, u use) *spd.Algorithm {
	a := bySetkey(u, w.next())
	if a == nil {
		w.fail("not a known algorithm of setkey")
		return new(spd.Algorithm)
	}
	return a.spd(0)
}

func isHexDump(w *words) bool {
	for _, s := range w.w {
		if _, ok := hexKey(s); !ok || len(s)%2 != 0 || len(s) > 8 {
			return false
		}
	}
	return true
}

// key takes the rest of the line for bytes of a key.
func (e *dumpedSA) key(w *words, key *string) {
	if !isHexDump(w) {
		w.fail("the key is not a hexadecimal dump")
		return
	}
	*key += strings.Join(w.w, "")
	w.w, e.longer = nil, key
}

// flags reads "seq=0xN replay=N flags=0xN state=mature". The sequence is not
// filled in by Linux.
func (e *dumpedSA) flags(w *words) {
	const noPMTUDisc, decapDSCP, noECN = 0x20000000, 0x40000000, 0x80000000 // SADB_SAFLAGS_*
	valueOf(w, "seq=")
	e.Replay.Window = valueOf(w, "replay=")
	flags := valueOf(w, "flags=")
	for bit, name := range map[uint32]string{noPMTUDisc: "nopmtudisc", decapDSCP: "decap-dscp", noECN: "noecn"} {
		if flags&bit != 0 {
			e.Flags |= ipStateFlags[name]
		}
	}
	switch w.next() {
	case "state=larval", "state=mature", "state=dying", "state=dead":
	default:
		w.fail("state: not a known state")
	}
}

// created reads "created: TIME current: TIME".
func (p *dumpParser) created(w *words) {
	w.next()
	p.sa.Used.AddTime = p.clock(w)
	w.expect("current:")
	p.clock(w)
}

// hardSoft reads "hard: N soft: N".
func hardSoft(w *words) (hard, soft uint64) {
	w.expect("hard:")
	hard = w.uint("hard", 64)
	w.expect("soft:")
	return hard, w.uint("soft", 64)
}
