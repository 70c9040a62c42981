//go:build linux

package kernel

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/fixtures/bounds"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "write testdata/*.want anew from what the decoders say")

// decodeAny applies to a message the decoder that snapshots or watches would use.
func decodeAny(m message) (any, error) {
	switch m.kind {
	case nl.XFRM_MSG_NEWSADINFO:
		return decodeSADCount(m.data)
	case nl.XFRM_MSG_NEWSPDINFO:
		return decodeSocketPolicies(m.data)
	}
	return decodeXFRM(m.kind, m.data)
}

// decodeAnyRoute is decodeAny for NETLINK_ROUTE, whose message types overlap
// with those of NETLINK_XFRM.
func decodeAnyRoute(m message) (any, error) {
	switch m.kind {
	case unix.RTM_NEWNEIGH:
		n, ok, err := decodeUnicastNeighbor(m.data)
		return optional(n, ok), err
	case unix.RTM_NEWADDR:
		a, ok, err := decodeAddress(m.data)
		return optional(a, ok), err
	case unix.RTM_NEWROUTE:
		return decodeRoutes(m.data)
	case unix.RTM_NEWLINK:
		return decodeLink(m.data)
	}
	return nil, fmt.Errorf("unexpected message %#x", m.kind)
}

func optional[T any](v T, ok bool) any {
	if !ok {
		return nil
	}
	return v
}

func decoderOf(r recording) func(message) (any, error) {
	if max(r.protocol, r.dump.protocol) == unix.NETLINK_XFRM {
		return decodeAny
	}
	return decodeAnyRoute
}

// TestRecordings compares what the decoders make of messages that kernels sent
// with testdata/*.want, which were checked by eye against the commands in
// recordings.
func TestRecordings(t *testing.T) {
	for _, r := range recordings {
		t.Run(r.name, func(t *testing.T) {
			var got bytes.Buffer
			for _, m := range readRecording(t, r.name) {
				v, err := decoderOf(r)(m)
				if err != nil {
					t.Errorf("message %#x: %v", m.kind, err)
				}
				line, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&got, "%#x %s\n", m.kind, line)
			}
			file := filepath.Join("testdata", r.name+".want")
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", &got, want)
			}
		})
	}
}

// TestNoKeySurvives looks for the key in the result and in what is left of the
// message.
func TestNoKeySurvives(t *testing.T) {
	key, _ := hex.DecodeString(testKey)
	found := 0
	for _, name := range []string{"keyed-sas", "sa-changes"} {
		for _, m := range readRecording(t, name) {
			if !bytes.Contains(m.data, key) {
				continue
			}
			found++
			e, err := decodeXFRM(m.kind, m.data)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(m.data, key) {
				t.Errorf("message %#x still holds the key", m.kind)
			}
			if line, _ := analyze.EncodeEvent(e); strings.Contains(string(line), testKey) || bytes.Contains(line, key) {
				t.Errorf("event holds the key: %s", line)
			}
		}
	}
	if found < 6 {
		t.Errorf("only %d messages with a key: the test shows nothing", found)
	}
}

// TestShortMessages cuts every recorded message at every length: an error or a
// smaller result, never a panic.
func TestShortMessages(t *testing.T) {
	for _, r := range recordings {
		for _, m := range readRecording(t, r.name) {
			for n := range m.data {
				cut := message{kind: m.kind, data: bytes.Clone(m.data[:n])[:n:n]}
				_, err := decoderOf(r)(cut)
				// Only a flush of the main policies has no body.
				if n == 0 && err == nil && m.kind != nl.XFRM_MSG_FLUSHPOLICY {
					t.Errorf("%s: an empty message %#x was accepted", r.name, m.kind)
				}
			}
		}
	}
}

func TestMalformedMessages(t *testing.T) {
	selector := make([]byte, nl.SizeofXfrmUserpolicyInfo)
	selector[40], selector[42] = unix.AF_INET, 33
	for _, c := range []struct {
		name string
		kind uint16
		data []byte
		want string
	}{
		{"empty policy", nl.XFRM_MSG_NEWPOLICY, nil, "policy: xfrm_userpolicy_info: 0 bytes, need 168"},
		{"prefix length", nl.XFRM_MSG_NEWPOLICY, selector, "policy: selector destination: prefix length 33 of 0.0.0.0"},
		{"attribute too long", nl.XFRM_MSG_FLUSHPOLICY, []byte{9, 0, 16, 0, 1, 2, 3, 4}, "attribute 16: length 9, 8 bytes left"},
		{"attribute too short", nl.XFRM_MSG_FLUSHPOLICY, []byte{3, 0, 16, 0}, "attribute 16: length 3, 4 bytes left"},
		{"empty policy type", nl.XFRM_MSG_FLUSHPOLICY, []byte{4, 0, 16, 0}, "attribute 16: u8: 0 bytes, need 1"},
		{"half a template", nl.XFRM_MSG_FLUSHPOLICY, []byte{8, 0, 5, 0, 1, 2, 3, 4}, "attribute 5: xfrm_user_tmpl: 4 bytes, need 64"},
		{"empty SA", nl.XFRM_MSG_NEWSA, make([]byte, 223), "sa: xfrm_usersa_info: 223 bytes, need 224"},
		{"empty ACQUIRE", nl.XFRM_MSG_ACQUIRE, make([]byte, 279), "xfrm_user_acquire: 279 bytes, need 280"},
		{"empty EXPIRE", nl.XFRM_MSG_EXPIRE, nil, "xfrm_user_expire: 0 bytes, need 232"},
		{"empty POLEXPIRE", nl.XFRM_MSG_POLEXPIRE, nil, "xfrm_user_polexpire: 0 bytes, need 176"},
	} {
		e, err := decodeXFRM(c.kind, c.data)
		if e != nil || err == nil || err.Error() != c.want {
			t.Errorf("%s: event %v, error %v; want error %s", c.name, e, err, c.want)
		}
	}
}

// TestShortAlgorithmLeavesNoKey: an algorithm that ends within its fixed part is
// refused, and what there was of it is zeroed.
func TestShortAlgorithmLeavesNoKey(t *testing.T) {
	b := bytes.Repeat([]byte{7}, algSize-1)
	if alg, err := decodeAlgorithm(b, false); err == nil || alg != nil {
		t.Errorf("algorithm %+v, error %v", alg, err)
	}
	if !bytes.Equal(b, make([]byte, len(b))) {
		t.Errorf("left over: %x", b)
	}
}

func TestMessages(t *testing.T) {
	header := func(length byte) []byte { return []byte{length, 0, 0, 0, 0x13, 0, 2, 0, 5, 0, 0, 0, 0, 0, 0, 0} }
	for _, c := range []struct {
		name string
		b    []byte
		n    int
		err  string
	}{
		{"nothing", nil, 0, ""},
		{"one without body", header(16), 1, ""},
		{"unaligned end", append(header(17), 1), 1, ""},
		{"two", append(append(header(18), 1, 2, 0, 0), header(16)...), 2, ""},
		{"too short for a header", []byte{1, 2}, 0, "netlink header: 2 bytes left, need 16"},
		{"length below the header", header(15), 0, "netlink message: length 15, 16 bytes left"},
		{"length beyond the end", header(17), 0, "netlink message: length 17, 16 bytes left"},
		{"good, then bad", append(header(16), 9), 1, "netlink header: 1 bytes left, need 16"},
	} {
		got, err := messages(c.b)
		if len(got) != c.n || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%s: %d messages, error %v", c.name, len(got), err)
		}
		for _, m := range got {
			if m.kind != 0x13 || m.flags != 2 || m.seq != 5 {
				t.Errorf("%s: %+v", c.name, m)
			}
		}
	}
}

// FuzzMessage feeds hostile bytes to every decoder: none may panic, and what is
// decoded must have a JSON form.
func FuzzMessage(f *testing.F) {
	for _, r := range recordings {
		for _, m := range readRecording(f, r.name) {
			f.Add(m.kind, m.data)
		}
	}
	f.Fuzz(bounds.EachOf(func(t *testing.T, kind uint16, data []byte) {
		defer bounds.Hold(t, len(data), bounds.Memory{Fixed: 4 << 20, PerByte: 4 << 10})()
		for _, decode := range []func(message) (any, error){decodeAny, decodeAnyRoute} {
			v, err := decode(message{kind: kind, data: bytes.Clone(data)})
			if err != nil {
				continue
			}
			if _, err := json.Marshal(v); err != nil {
				t.Errorf("message %#x: %v", kind, err)
			}
		}
		_, _ = messages(data)
	}))
}
