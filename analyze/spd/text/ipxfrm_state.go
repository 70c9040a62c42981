package text

import (
	"strconv"
	"strings"

	"ipsecdiag/analyze/spd"
)

// ipState is an SA of `ip xfrm state` while it is read.
type ipState struct {
	entry
	spd.SA
	keys   Keys
	bitmap int // words of the replay bitmap that are still to come
}

// ipStateLines are the lines of an SA by their first word
// (xfrm_state_info_print, xfrm_xfrma_print). What a later iproute2 adds is
// harmless only if it is listed here.
var ipStateLines = map[string]func(*ipState, *words){
	"proto":         (*ipState).id,
	"replay-window": (*ipState).window,
	"mark":          func(e *ipState, w *words) { e.Mark = ipMark(w) },
	"if_id":         func(e *ipState, w *words) { e.IfID = ipIfID(w) },
	"auth":          func(e *ipState, w *words) { e.Auth, e.keys.Auth = ipAlgorithm(w, forAuth, false) },
	"auth-trunc":    func(e *ipState, w *words) { e.Auth, e.keys.Auth = ipAlgorithm(w, forAuth, true) },
	"aead":          func(e *ipState, w *words) { e.AEAD, e.keys.AEAD = ipAlgorithm(w, forAEAD, true) },
	"enc":           func(e *ipState, w *words) { e.Enc, e.keys.Enc = ipAlgorithm(w, forEnc, false) },
	"comp":          func(e *ipState, w *words) { e.Comp, _ = ipAlgorithm(w, forComp, false) },
	"encap":         (*ipState).encap,
	"anti-replay":   (*ipState).replay,
	"seq-hi":        (*ipState).replayESN,
	"replay_window": (*ipState).replayWindow,
	"crypto":        func(e *ipState, w *words) { e.Offload = ipOffload(e.p.r, w) },
	"packet":        func(e *ipState, w *words) { e.Offload = ipOffload(e.p.r, w) },
	"dir":           (*ipState).dir,
	"sel":           func(e *ipState, w *words) { w.next(); e.Selector = ipSelector(e.p.r, w) },
	"limit:":        (*ipState).limit,
	"expire":        (*ipState).expire,
	"add":           func(e *ipState, w *words) { e.Used.AddTime, e.Used.UseTime = e.ipUsage(w) },

	// Not kept: headings, and what bears on no diagnosis.
	"lifetime": nil, "stats:": nil, "security": nil, "lastused": nil, "coa": nil, "output-mark": nil,
	"tfcpad": nil, "pcpu-num": nil,
}

// ipStateLine returns the handler of a line, nil where the line is not known.
func ipStateLine(w *words, e *ipState) func(any, *words) {
	if strings.HasSuffix(w.peek(), "(bytes),") {
		return func(e any, w *words) { e.(*ipState).used(w) }
	}
	if e.bitmap > 0 && bitmapWords(w) {
		e.bitmap -= len(w.w)
		return skipLine
	}
	f, ok := ipStateLines[w.peek()]
	switch {
	case !ok:
		return nil
	case f == nil:
		return skipLine
	}
	return func(e any, w *words) { f(e.(*ipState), w) }
}

func bitmapWords(w *words) bool {
	for _, s := range w.w {
		if _, err := strconv.ParseUint(s, 16, 32); err != nil || len(s) != 8 {
			return false
		}
	}
	return true
}

func (e *ipState) id(w *words) {
	e.seen = true
	e.Proto, e.SPI, e.ReqID, e.Mode = ipID(w)
}

var ipStateFlags = map[string]uint8{
	"noecn": 1, "decap-dscp": 2, "nopmtudisc": 4, "wildrecv": spd.StateWildRecv,
	"icmp": 16, "af-unspec": 32, "align4": 64, "esn": 128,
}

// window reads "replay-window N [seq 0xN] [flag …] [extra_flag …]" and, under
// "stats:", "replay-window N replay N failed N".
func (e *ipState) window(w *words) {
	w.expect("replay-window")
	n := w.u32("replay-window")
	if w.accept("replay") {
		e.Stats = spd.SAStats{ReplayWindow: n, Replay: w.u32("replay")}
		w.expect("failed")
		e.Stats.IntegrityFailed = w.u32("failed")
		return
	}
	e.Replay.Window = n
	if w.accept("seq") { // printed with 0x and yet in decimal: "seq 0x%08u"
		seq, ok := number(strings.TrimPrefix(w.next(), "0x"), 32)
		if !ok {
			w.fail("seq: not a number")
		}
		e.Seq = uint32(seq)
	}
	if w.accept("flag") {
		e.flags(w)
	}
	w.accept("extra_flag")
	w.w = nil // the extra flags: not kept
}

// flags reads the flags. With -s iproute2 forgets the blank between the last
// flag and "extra_flag".
func (e *ipState) flags(w *words) {
	for i, s := range w.w {
		if flag, ok := strings.CutSuffix(s, "extra_flag"); ok && flag != "" {
			w.w = append(append(append([]string(nil), w.w[:i]...), flag, "extra_flag"), w.w[i+1:]...)
			break
		}
	}
	e.Flags = ipFlags(w, ipStateFlags)
	e.Replay.ESN = e.Flags&ipStateFlags["esn"] != 0
}

// encap reads "encap type espinudp sport N dport N addr A".
func (e *ipState) encap(w *words) {
	types := map[string]uint16{"espinudp-nonike": 1, "espinudp": 2, "espintcp": 7}
	w.expect("encap", "type")
	name := w.next()
	t, ok := types[name]
	if !ok {
		v, isNumber := number(name, 16)
		if !isNumber {
			w.fail("encap: not a known type")
		}
		t = uint16(v)
	}
	e.Encap = &spd.Encap{Type: t}
	w.expect("sport")
	e.Encap.SrcPort = uint16(w.uint("sport", 16))
	w.expect("dport")
	e.Encap.DstPort = uint16(w.uint("dport", 16))
	w.expect("addr")
	w.addr("addr")
}

// replay reads "anti-replay context: seq 0xN, oseq 0xN, bitmap 0xN". The lines
// of an "anti-replay esn context:" follow it.
func (e *ipState) replay(w *words) {
	w.expect("anti-replay")
	if w.accept("esn") {
		w.expect("context:")
		return
	}
	w.expect("context:", "seq")
	e.Replay.InSeq = w.uint("seq", 32)
	w.expect("oseq")
	e.Replay.OutSeq = w.uint("oseq", 32)
	w.expect("bitmap")
	w.uint("bitmap", 32)
}

func (e *ipState) replayESN(w *words) {
	var v [4]uint64
	for i, word := range []string{"seq-hi", "seq", "oseq-hi", "oseq"} {
		w.expect(word)
		v[i] = w.uint(word, 32)
	}
	e.Replay.InSeq, e.Replay.OutSeq = v[0]<<32|v[1], v[2]<<32|v[3]
}

func (e *ipState) replayWindow(w *words) {
	w.expect("replay_window")
	e.Replay.Window = w.u32("replay_window")
	w.expect("bitmap-length")
	e.bitmap = int(w.uint("bitmap-length", 16))
}

func (e *ipState) dir(w *words) {
	w.expect("dir")
	switch w.next() {
	case "in":
		e.Dir = spd.DirIn
	case "out":
		e.Dir = spd.DirOut
	default:
		w.fail("dir: not in or out")
	}
}

// limit reads "limit: soft N(bytes), hard N(bytes)", and the same of packets.
func (e *ipState) limit(w *words) {
	w.expect("limit:", "soft")
	packets := strings.Contains(w.peek(), "(packets)")
	soft := w.uint("soft", 64)
	w.expect("hard")
	hard := w.uint("hard", 64)
	if packets {
		e.Limits.SoftPackets, e.Limits.HardPackets = soft, hard
	} else {
		e.Limits.SoftBytes, e.Limits.HardBytes = soft, hard
	}
}

// expire reads "expire add: soft N(sec), hard N(sec)", and the same of use.
func (e *ipState) expire(w *words) {
	w.expect("expire")
	what := w.next()
	w.expect("soft")
	soft := w.uint("soft", 64)
	w.expect("hard")
	hard := w.uint("hard", 64)
	switch what {
	case "add:":
		e.Limits.SoftAdd, e.Limits.HardAdd = soft, hard
	case "use:":
		e.Limits.SoftUse, e.Limits.HardUse = soft, hard
	default:
		w.fail("expire: neither add nor use")
	}
}

// used reads "N(bytes), N(packets)".
func (e *ipState) used(w *words) {
	e.Used.Bytes = w.uint("bytes", 64)
	e.Used.Packets = w.uint("packets", 64)
}
