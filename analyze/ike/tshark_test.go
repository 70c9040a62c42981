package ike

import (
	"bytes"
	"encoding/hex"
	"encoding/xml"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// captures are others' files, beside the repository and not part of it.
const captures = "../../../shared/captures"

// malformedNames mark the files that are damaged on purpose.
var malformedNames = []string{"oobr", "segfault", "loop", "no-none-np", "truncated", "short"}

// pdmlField is a field or protocol of tshark's PDML.
type pdmlField struct {
	Name   string      `xml:"name,attr"`
	Show   string      `xml:"show,attr"`
	Value  string      `xml:"value,attr"`
	Size   int         `xml:"size,attr"`
	Fields []pdmlField `xml:"field"`
}

type pdmlPacket struct {
	Protos []pdmlField `xml:"proto"`
}

func (p pdmlPacket) proto(name string) *pdmlField {
	for i := range p.Protos {
		if p.Protos[i].Name == name {
			return &p.Protos[i]
		}
	}
	return nil
}

func (f *pdmlField) field(name string) *pdmlField {
	for i := range f.Fields {
		if f.Fields[i].Name == name {
			return &f.Fields[i]
		}
	}
	return nil
}

// number gives a field's value, which tshark shows in decimal or with 0x.
func (f *pdmlField) number(name string) uint64 {
	if c := f.field(name); c != nil {
		v, _ := strconv.ParseUint(c.Show, 0, 64)
		return v
	}
	return 0
}

func (f *pdmlField) hex(name string) string {
	if c := f.field(name); c != nil {
		return c.Value
	}
	return ""
}

// tsharkPackets lists a capture's UDP packets as tshark reassembles and
// dissects them.
func tsharkPackets(t *testing.T, file string) []pdmlPacket {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
	out, err := exec.Command("tshark", "-r", file, "-T", "pdml", "-Y", "udp && !icmp").Output()
	if err != nil && len(out) == 0 {
		t.Skipf("tshark cannot read %s: %v", file, err)
	}
	var doc struct {
		Packets []pdmlPacket `xml:"packet"`
	}
	if err := xml.NewDecoder(bytes.NewReader(out)).Decode(&doc); err != nil {
		t.Fatalf("read PDML: %v", err)
	}
	return doc.Packets
}

func captureFiles(t *testing.T) []string {
	t.Helper()
	files, _ := filepath.Glob(captures + "/tcpdump/*.pcap*")
	if len(files) == 0 {
		t.Skipf("no captures in %s", captures)
	}
	return files
}

func isMalformed(file string) bool {
	return slices.ContainsFunc(malformedNames, func(s string) bool { return strings.Contains(filepath.Base(file), s) })
}

// datagram is one UDP payload, and what our decoder makes of it.
type datagram struct {
	kind UDPKind
	msg  *Message
	err  error
}

func decode(t *testing.T, udp *pdmlField) (d datagram, ok bool) {
	t.Helper()
	payload, err := hex.DecodeString(udp.hex("udp.payload"))
	if err != nil || len(payload) == 0 {
		return d, false
	}
	var rest []byte
	d.kind, rest = Demux(uint16(udp.number("udp.srcport")), uint16(udp.number("udp.dstport")), payload)
	if d.kind == UDPIKE {
		d.msg, d.err = Parse(rest)
	}
	return d, true
}

// TestAgainstTshark compares every IKE message of the well-formed captures,
// field by field, with what tshark says of it.
func TestAgainstTshark(t *testing.T) {
	const known = 48 // messages in them
	if n := compareFiles(t, captureFiles(t)); n < known && !t.Failed() {
		t.Errorf("compared %d messages, not %d", n, known)
	}
}

// TestRecordingsAgainstTshark does the same with the project's own recordings
// of real daemons.
func TestRecordingsAgainstTshark(t *testing.T) {
	files, _ := filepath.Glob("../../fixtures/*/*.tcpdump.pcap")
	if len(files) == 0 {
		t.Skip("no recordings in ../../fixtures")
	}
	compareFiles(t, files)
}

func compareFiles(t *testing.T, files []string) (messages int) {
	t.Helper()
	var total atomic.Int64
	t.Run("files", func(t *testing.T) {
		for _, file := range files {
			if isMalformed(file) {
				continue
			}
			t.Run(filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				for n, p := range tsharkPackets(t, file) {
					total.Add(int64(comparePacket(t, n+1, p)))
				}
			})
		}
	})
	t.Logf("%d messages compared", total.Load())
	return int(total.Load())
}

func comparePacket(t *testing.T, n int, p pdmlPacket) (compared int) {
	t.Helper()
	udp, theirs := p.proto("udp"), p.proto("isakmp")
	if udp == nil {
		return 0
	}
	d, ok := decode(t, udp)
	if !ok {
		return 0
	}
	esp := p.proto("esp") != nil
	if esp != (d.kind == UDPESP) {
		t.Errorf("UDP packet %d: tshark sees ESP %v, we say %v", n, esp, d.kind)
	}
	if theirs == nil {
		return 0
	}
	if d.msg == nil {
		t.Errorf("UDP packet %d: tshark sees IKE, we say %v (%v)", n, d.kind, d.err)
		return 0
	}
	if d.err != nil && !strings.Contains(t.Name(), "ikev2-id-normal") { // its address has one byte, tshark reads on
		t.Errorf("UDP packet %d is well-formed: %v", n, d.err)
	}
	got, want := ourLines(d.msg), tsharkLines(theirs)
	// tshark takes payloads 15 of the NAT traversal drafts 04 to 08 for
	// GDOI's SAK and gives up there; up to that point we must agree.
	if p.proto("_ws.malformed") != nil {
		got, want = got[:min(len(got), len(want))], want[:min(len(got), len(want))]
	}
	if !slices.Equal(got, want) {
		t.Errorf("UDP packet %d:\n got %s\nwant %s", n, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	t.Logf("%3d %s", n, d.msg.Summary())
	return 1
}

// TestMalformedCaptures: files that are damaged on purpose give an error or
// part of a message, and never a panic.
func TestMalformedCaptures(t *testing.T) {
	for _, file := range captureFiles(t) {
		if !isMalformed(file) {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			for n, p := range tsharkPackets(t, file) {
				udp := p.proto("udp")
				if udp == nil {
					continue
				}
				if d, ok := decode(t, udp); ok && d.msg != nil {
					t.Logf("packet %d: %s (%v)", n+1, d.msg.Summary(), d.err)
				}
			}
		})
	}
}

// TestCheckNATOnCapture: NAT detection that others' daemons computed.
func TestCheckNATOnCapture(t *testing.T) {
	plain := NATCheck{Present: true, Source: true, Destination: true}
	tests := map[string][]NATCheck{
		// IKEv1 with draft 07, no NAT.
		"ISAKMP_sa_setup.pcap": {plain, plain},
		// IKEv1 with RFC 3947; the initiator is behind a NAT.
		"isakmp4500.pcap": {{Present: true, Destination: true}, plain},
		// IKEv2; recorded between ports of one machine and rewritten later,
		// so that only the addresses below fit.
		"ikev2four.pcap": {plain, plain, plain},
	}
	for _, file := range captureFiles(t) {
		want, ok := tests[filepath.Base(file)]
		if !ok {
			continue
		}
		var got []NATCheck
		for _, p := range tsharkPackets(t, file) {
			src, dst := endpoint(p, "src"), endpoint(p, "dst")
			if filepath.Base(file) == "ikev2four.pcap" {
				src, dst = loopbackPort(src), loopbackPort(dst)
			}
			d, ok := decode(t, p.proto("udp"))
			if !ok || d.msg == nil {
				continue
			}
			if c := d.msg.CheckNAT(src, dst); c.Present {
				got = append(got, c)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %+v", file, got)
		}
	}
}

func endpoint(p pdmlPacket, side string) netip.AddrPort {
	addr := netip.MustParseAddr(p.proto("ip").field("ip." + side).Show)
	return netip.AddrPortFrom(addr, uint16(p.proto("udp").number("udp."+side+"port")))
}

func loopbackPort(ap netip.AddrPort) netip.AddrPort {
	port := uint16(1500)
	if ap.Addr() == netip.MustParseAddr("192.168.1.2") {
		port = 1501
	}
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
}
