package rules

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
)

// scriptA and scriptB are the two hosts of scripts.
var scriptA, scriptB = netip.MustParseAddr("fd00::a"), netip.MustParseAddr("fd00::b")

// line is one IKE message of a script: when it is sent, by whom ("a" or "b"), under
// which SPI of the initiator. Without inner it is in the clear, with body as its one
// payload of type first; else encrypted, with room for so many bytes of payloads.
type line struct {
	at       time.Duration
	from     string
	spi      uint64
	began    string // who began the IKE SA; a where left out
	exchange ike.ExchangeType
	id       uint32
	answer   bool
	first    ike.PayloadType
	body     []byte
	inner    ike.PayloadType
	room     int
}

// The overhead of what scripts choose: AES-CBC with HMAC-SHA-256 (IV, checksum, Pad
// Length).
const scriptOverhead = 16 + 16 + 1

// chosenSA is an SA payload's content: aes128-sha256-modp2048.
var chosenSA = []byte{
	0, 0, 0, 44, 1, 1, 0, 4, // proposal 1, IKE, no SPI, four transforms
	3, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 0, 128,
	3, 0, 0, 8, 3, 0, 0, 12,
	3, 0, 0, 8, 2, 0, 0, 5,
	0, 0, 0, 8, 4, 0, 0, 14,
}

func (l line) frame() []byte {
	began := l.began
	if began == "" {
		began = "a"
	}
	m := binary.BigEndian.AppendUint64(nil, l.spi)
	m = binary.BigEndian.AppendUint64(m, 0xb0b)
	if l.exchange == ike.ExchangeIKESAInit && !l.answer {
		clear(m[8:])
	}
	flags, first := byte(0), l.first
	if l.from == began {
		flags |= ike.FlagInitiator
	}
	if l.answer {
		flags |= ike.FlagResponse
	}
	content := l.body
	if len(l.body) == 0 {
		first = ike.PayloadEncrypted
		content = make([]byte, l.room+scriptOverhead)
	}
	m = append(m, byte(first), 0x20, byte(l.exchange), flags)
	m = binary.BigEndian.AppendUint32(m, l.id)
	m = binary.BigEndian.AppendUint32(m, uint32(ike.HeaderLen+4+len(content)))
	m = append(m, byte(l.inner), 0)
	m = binary.BigEndian.AppendUint16(m, uint16(4+len(content)))
	return packet(l.from, append(m, content...))
}

// packet puts a message into UDP and IPv6.
func packet(from string, m []byte) []byte {
	src, dst := scriptA.As16(), scriptB.As16()
	if from == "b" {
		src, dst = dst, src
	}
	p := []byte{0x60, 0, 0, 0}
	p = binary.BigEndian.AppendUint16(p, uint16(8+len(m)))
	p = append(p, 17, 64)
	p = append(append(p, src[:]...), dst[:]...)
	for _, v := range []uint16{500, 500, uint16(8 + len(m)), 0} {
		p = binary.BigEndian.AppendUint16(p, v)
	}
	return append(p, m...)
}

// played plays a script to a rule, with a tick at every second, until so long after
// its last line, and returns what stands at the end.
func played(t *testing.T, r *Rule, after time.Duration, lines []line) []Finding {
	t.Helper()
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(x, y line) int { return int(x.at - y.at) })
	e := NewEngine(analyze.NewState(analyze.Limits{}), []*Rule{r})
	start, seq := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), uint64(0)
	head := func(at time.Duration) analyze.Header {
		seq++
		return analyze.Header{Time: start.Add(at), Mono: at, Seq: seq, Number: seq, Origin: analyze.Origin{Host: "script", Interface: "eth0"}}
	}
	second := time.Duration(0)
	tick := func(until time.Duration) {
		for ; second <= until; second += time.Second {
			e.Apply(&analyze.Tick{Header: head(second)})
		}
	}
	for _, l := range lines {
		tick(l.at)
		data := l.frame()
		e.Apply(&analyze.Frame{Header: head(l.at), Link: analyze.LinkRaw, OrigLen: len(data), Data: data})
	}
	tick(second + after)
	return e.Findings()
}

// initiate is IKE_SA_INIT, agreed upon.
func initiate(at time.Duration, began string, spi uint64) []line {
	return []line{
		{at: at, from: began, spi: spi, began: began, exchange: ike.ExchangeIKESAInit, first: ike.PayloadSA, body: chosenSA},
		{at: at + 50*time.Millisecond, from: otherEnd(began), spi: spi, began: began, exchange: ike.ExchangeIKESAInit, answer: true,
			first: ike.PayloadSA, body: chosenSA},
	}
}

func otherEnd(from string) string {
	if from == "a" {
		return "b"
	}
	return "a"
}

// Rooms of payloads in IKE_AUTH: what asks for a CHILD SA and what grants it, as
// strongSwan sends them.
const (
	roomAsks   = 239
	roomGrants = 223
)

// authenticate is IKE_SA_INIT and IKE_AUTH, answered with that.
func authenticate(at time.Duration, began string, spi uint64, inner ike.PayloadType, room int) []line {
	return append(initiate(at, began, spi),
		line{at: at + 100*time.Millisecond, from: began, spi: spi, began: began, exchange: ike.ExchangeIKEAuth, id: 1, inner: ike.PayloadIDi, room: roomAsks},
		line{at: at + 200*time.Millisecond, from: otherEnd(began), spi: spi, began: began, exchange: ike.ExchangeIKEAuth, id: 1, answer: true, inner: inner, room: room})
}

// comeUp is an IKE SA with its CHILD SA.
func comeUp(at time.Duration, began string, spi uint64) []line {
	return authenticate(at, began, spi, ike.PayloadIDr, roomGrants)
}

// deletion of an IKE SA that a began.
func deletion(at time.Duration, by string, spi uint64) []line {
	id := uint32(0)
	if by == "a" {
		id = 2
	}
	return exchangeOf(at, by, spi, ike.ExchangeInformational, id, ike.PayloadDelete, 15, ike.PayloadNone, 15)
}

// exchangeOf is an encrypted request and its answer under an IKE SA that a began.
func exchangeOf(at time.Duration, by string, spi uint64, x ike.ExchangeType, id uint32, asks ike.PayloadType, askRoom int, says ike.PayloadType, sayRoom int) []line {
	return []line{
		{at: at, from: by, spi: spi, exchange: x, id: id, inner: asks, room: askRoom},
		{at: at + 50*time.Millisecond, from: otherEnd(by), spi: spi, exchange: x, id: id, answer: true, inner: says, room: sayRoom},
	}
}
