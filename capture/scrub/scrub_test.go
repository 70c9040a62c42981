package scrub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/fixtures/bounds"
)

// TestEveryTextOfEventsIsTreated fills every field of every event and holds
// that what comes out holds none of it, but for what the table keeps.
func TestEveryTextOfEventsIsTreated(t *testing.T) {
	s := New(testSecret())
	for _, e := range []analyze.Event{
		&analyze.Flow{}, &analyze.Snapshot{}, &analyze.Acquire{}, &analyze.Expire{}, &analyze.PolicyChange{},
		&analyze.SAChange{}, &analyze.NeighborChange{}, &analyze.Counters{}, &analyze.Daemon{}, &analyze.Lost{}, &analyze.Tick{},
	} {
		fill(reflect.ValueOf(e).Elem(), 0)
		before, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		to := s.Event(e)
		after, err := json.Marshal(to)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(after), "198.51.100.") {
			t.Errorf("%T keeps an address: %s", e, after)
		}
		if again, _ := json.Marshal(e); !bytes.Equal(before, again) {
			t.Errorf("%T was changed itself", e)
		}
		if o := to.Head().Origin; o.Host == "private" || o.Netns == "private" || o.Interface == "private" {
			t.Errorf("%T keeps its origin %s", e, o)
		}
	}
}

// fill gives every address, prefix and text of a value something private.
func fill(v reflect.Value, depth int) {
	switch v.Type() {
	case addrType:
		v.Set(reflect.ValueOf(netip.MustParseAddr("198.51.100.7")))
		return
	case addrPortType:
		v.Set(reflect.ValueOf(netip.MustParseAddrPort("198.51.100.9:500")))
		return
	case prefixType:
		v.Set(reflect.ValueOf(netip.MustParsePrefix("198.51.100.8/30")))
		return
	case timeType:
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("private")
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		if depth < 6 {
			fill(v.Elem(), depth+1)
		}
	}
}

// TestUnknownTextIsRemoved holds that only fields that the table names keep
// their text, and that the table names only fields that there are.
func TestUnknownTextIsRemoved(t *testing.T) {
	s := New(testSecret())
	kept := map[string]bool{}
	to := s.Event(filled(&analyze.Snapshot{})).(*analyze.Snapshot)
	for _, text := range []string{to.Links[0].Name, to.Links[0].LinkAddr, to.Listeners[0].Name, to.Neighbors[0].LinkAddr,
		to.Notes[0].Text, to.Notes[0].At, to.Notes[0].Files[0], to.Missing[0]} {
		kept[text] = true
	}
	if kept["private"] {
		t.Errorf("a private text was kept: %v", kept)
	}
	if to.Notes[0].Text != removed {
		t.Errorf("unknown text became %q", to.Notes[0].Text)
	}
	if got := to.Links[0].Name; !strings.HasPrefix(got, "if-") {
		t.Errorf("an interface became %q", got)
	}
}

func filled(e *analyze.Snapshot) *analyze.Snapshot {
	fill(reflect.ValueOf(e).Elem(), 0)
	return e
}

func TestNamesOfInterfaces(t *testing.T) {
	s := New(testSecret())
	for _, plain := range []string{"eth0", "lo", "enp3s0f1", "eno1", "ens18", "bond0", "xfrm7", "any", "eth0.12"} {
		if got := s.interfaceName(plain); got != plain {
			t.Errorf("%s became %s", plain, got)
		}
	}
	for _, telling := range []string{"enx0242ac110002", "to-acme", "br-acme", "eth0:acme"} {
		if got := s.interfaceName(telling); strings.Contains(got, telling) || got == s.interfaceName("eth9x") {
			t.Errorf("%s became %s", telling, got)
		}
	}
	if got := s.setting("net.ipv6.conf.to-acme.1.disable_policy"); !strings.HasPrefix(got, "net.ipv6.conf.if-") || !strings.HasSuffix(got, ".disable_policy") {
		t.Errorf("a setting became %s", got)
	}
}

func TestTextOfTheProgramLosesAddresses(t *testing.T) {
	s := New(testSecret())
	got := s.text("lost 3 frames from 198.51.100.7, [2001:db8::1]:500 and 2001:db8::/32 on 02:42:ac:11:00:02.")
	for _, private := range []string{"198.51.100.7", "2001:db8", "02:42:ac"} {
		if strings.Contains(got, private) {
			t.Errorf("%q holds %s", got, private)
		}
	}
	if !strings.HasPrefix(got, "lost 3 frames from ") || !strings.HasSuffix(got, ".") {
		t.Errorf("words are gone: %q", got)
	}
}

func TestTheSecretIsNotPrinted(t *testing.T) {
	s := testSecret()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		for _, text := range []string{fmt.Sprintf(verb, s), fmt.Sprintf(verb, *s)} {
			if text != "secret" {
				t.Errorf("%s prints %q", verb, text)
			}
		}
	}
	back, err := ParseSecret(s.Reveal())
	if err != nil || *back != *s {
		t.Errorf("a secret is not read as it was written: %v", err)
	}
	if _, err := ParseSecret("0123"); err == nil {
		t.Error("a short secret is accepted")
	}
}

// FuzzFrame holds that no frame makes the scrubber fail, and that what it lets
// through is decoded as before.
func FuzzFrame(f *testing.F) {
	for _, frame := range bounds.Frames(f, "../../fixtures") {
		f.Add(uint16(analyze.LinkEthernet), frame)
	}
	f.Fuzz(bounds.EachOf(func(t *testing.T, link uint16, data []byte) {
		defer bounds.Hold(t, len(data), bounds.Memory{Fixed: 4 << 20, PerByte: 4 << 10})()
		from := &analyze.Frame{Link: analyze.LinkType(link), OrigLen: len(data), Data: bytes.Clone(data)}
		e := New(testSecret()).Event(from)
		if !bytes.Equal(from.Data, data) {
			t.Fatal("the frame itself was changed")
		}
		if e == nil {
			return
		}
		to := e.(*analyze.Frame)
		var p, q analyze.Packet
		before, after := p.Decode(from.Link, from.Data), q.Decode(to.Link, to.Data)
		if before != after || p.Proto != q.Proto || p.SrcPort != q.SrcPort || p.FragOffset != q.FragOffset {
			t.Fatalf("%v became %v: %+v, %+v", before, after, p, q)
		}
	}))
}
