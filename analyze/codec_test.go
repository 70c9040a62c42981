package analyze

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"ipsecdiag/fixtures/bounds"
)

var kinds = []Kind{
	KindFrame, KindFlow, KindSnapshot, KindAcquire, KindExpire, KindPolicy,
	KindSA, KindNeighbor, KindCounters, KindDaemon, KindLost, KindTick, KindClear, KindAligned,
}

// fill gives every exported field of v, however deep, a value that is not its
// zero value.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(epoch.Add(time.Duration(r.Int64N(1e15)))))
		return
	case netip.Addr:
		v.Set(reflect.ValueOf(randomAddr(r)))
		return
	case netip.AddrPort:
		v.Set(reflect.ValueOf(netip.AddrPortFrom(randomAddr(r), 500)))
		return
	case netip.Prefix:
		v.Set(reflect.ValueOf(netip.PrefixFrom(randomAddr(r).WithZone(""), 1+r.IntN(32))))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(r, v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(r, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(r, v.Index(0))
		fill(r, v.Index(1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(r, key)
		fill(r, value)
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d äß", r.Uint32()))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1 + r.Int64N(1<<52))
	case reflect.Float64:
		v.SetFloat(r.Float64())
	case reflect.Uint8:
		v.SetUint(1 + r.Uint64N(255))
	case reflect.Uint16:
		v.SetUint(1 + r.Uint64N(1<<16-1))
	case reflect.Uint32:
		v.SetUint(1 + r.Uint64N(1<<32-1))
	case reflect.Uint64:
		v.SetUint(1<<63 + r.Uint64N(1<<63)) // beyond what a float holds
	default:
		panic("no value for a field of type " + v.Type().String())
	}
}

func randomAddr(r *rand.Rand) netip.Addr {
	if r.IntN(2) == 0 {
		return netip.AddrFrom4([4]byte{10, byte(r.Uint32()), byte(r.Uint32()), 1})
	}
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 15: byte(r.Uint32())}).WithZone("eth0")
}

func TestEveryEventSurvivesItsJSONForm(t *testing.T) {
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for range 20 {
				e := newEvent(k)
				fill(r, reflect.ValueOf(e).Elem())
				b, err := EncodeEvent(e)
				if err != nil {
					t.Fatal(err)
				}
				if strings.ContainsAny(string(b), "\n\r") {
					t.Errorf("more than one line: %q", b)
				}
				got, err := DecodeEvent(b)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, e) {
					t.Fatalf("got  %+v\nwant %+v\nfrom %s", got, e, b)
				}
			}
		})
	}
}

func TestEmptyEventsSurviveToo(t *testing.T) {
	for _, k := range kinds {
		e := newEvent(k)
		b, err := EncodeEvent(e)
		if err != nil {
			t.Fatalf("%s: %v", k, err)
		}
		got, err := DecodeEvent(b)
		if err != nil {
			t.Fatalf("%s: %v", k, err)
		}
		if again, err := EncodeEvent(got); err != nil || string(again) != string(b) {
			t.Errorf("%s: %s became %s (%v)", k, b, again, err)
		}
	}
}

func TestEveryKindHasItsEvent(t *testing.T) {
	for _, k := range kinds {
		if got := KindOf(newEvent(k)); got != k {
			t.Errorf("KindOf(newEvent(%q)) = %q", k, got)
		}
	}
	if newEvent("no such kind") != nil || KindOf(nil) != "" {
		t.Error("an unknown kind has an event")
	}
}

func TestEventsAreWrittenInUTC(t *testing.T) {
	e := &Lost{Header: Header{Time: epoch.In(time.FixedZone("", 3600))}, What: "frames"}
	b, err := EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"time":"2026-01-02T03:04:05Z"`) {
		t.Errorf("no UTC time in %s", b)
	}
}

func TestDecodeEventSkipsWhatIsNewer(t *testing.T) {
	tests := []struct {
		name, text string
		unknown    bool
	}{
		{"a newer version", `{"v":2,"kind":"lost","data":{"what":"x"}}`, true},
		{"a newer version whose fields have other types", `{"v":2,"kind":"lost","data":{"what":7}}`, true},
		{"an unknown kind", `{"v":1,"kind":"weather","data":{}}`, true},
		{"no JSON", `lost`, false},
		{"a field of another type", `{"v":1,"kind":"lost","data":{"what":7}}`, false},
		{"no data", `{"v":1,"kind":"lost"}`, false},
		{"an unknown direction", `{"v":1,"kind":"policy","data":{"policy":{"dir":"sideways"}}}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := DecodeEvent([]byte(tt.text))
			if err == nil || e != nil {
				t.Fatalf("decoded to %+v", e)
			}
			if errors.Is(err, ErrUnknownEvent) != tt.unknown {
				t.Errorf("err = %v, ErrUnknownEvent wanted: %t", err, tt.unknown)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
}

func TestDecodeEventIgnoresFieldsOfALaterDay(t *testing.T) {
	e, err := DecodeEvent([]byte(`{"v":1,"kind":"lost","colour":"red","data":{"what":"frames","mood":"sad"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if l, ok := e.(*Lost); !ok || l.What != "frames" {
		t.Errorf("decoded to %+v", e)
	}
}

// TestNoEventCanHoldKeyBytes walks every type that is reachable from an event.
// Keys are bytes, so no field may be bytes but a frame's own, and what was parsed of
// them: what is on the wire in the clear is no secret. Nor may a field be of a kind that could hold
// anything at all. Text and numbers are held by their names: none may be
// called a key, but for the count of its bits and a flow's key.
func TestNoEventCanHoldKeyBytes(t *testing.T) {
	seen := map[reflect.Type]bool{}
	for _, k := range kinds {
		walkTypes(t, string(k), reflect.TypeOf(newEvent(k)), seen)
	}
	if len(seen) < 20 {
		t.Errorf("only %d types were reached: the walk is broken", len(seen))
	}
}

func walkTypes(t *testing.T, path string, typ reflect.Type, seen map[reflect.Type]bool) {
	switch typ.Kind() {
	case reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
		t.Errorf("%s: a %s can hold anything", path, typ.Kind())
	case reflect.Pointer:
		walkTypes(t, path, typ.Elem(), seen)
	case reflect.Map:
		walkTypes(t, path+"[key]", typ.Key(), seen)
		walkTypes(t, path+"[]", typ.Elem(), seen)
	case reflect.Slice, reflect.Array:
		if typ.Elem().Kind() == reflect.Uint8 && path != "frame.Data" {
			t.Errorf("%s holds bytes", path)
		}
		walkTypes(t, path+"[]", typ.Elem(), seen)
	case reflect.Struct:
		walkFields(t, path, typ, seen)
	}
}

func walkFields(t *testing.T, path string, typ reflect.Type, seen map[reflect.Type]bool) {
	if seen[typ] {
		return
	}
	seen[typ] = true
	switch typ {
	case reflect.TypeFor[time.Time](), reflect.TypeFor[netip.Addr](), reflect.TypeFor[netip.Prefix]():
		return // opaque, and no more than a time or an address
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		p := path + "." + f.Name
		if p == "frame.ahead" {
			continue
		}
		if strings.Contains(strings.ToLower(f.Name), "key") && f.Name != "KeyBits" && p != "flow.Key" && p != "clear.Key" {
			t.Errorf("%s is called a key", p)
		}
		walkTypes(t, p, f.Type, seen)
	}
}

func FuzzDecodeEvent(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range kinds {
		e := newEvent(k)
		fill(r, reflect.ValueOf(e).Elem())
		b, err := EncodeEvent(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"v":2,"kind":"lost","data":{}}`))
	f.Fuzz(bounds.Each(func(t *testing.T, b []byte) {
		defer bounds.Hold(t, len(b), bounds.Memory{Fixed: 4 << 20, PerByte: 8 << 10})()
		e, err := DecodeEvent(b)
		if err != nil {
			return
		}
		first, err := EncodeEvent(e)
		if err != nil {
			var wrong *json.MarshalerError // a year beyond 9999 can be given by no JSON
			if !errors.As(err, &wrong) {
				t.Fatal(err)
			}
			return
		}
		again, err := DecodeEvent(first)
		if err != nil {
			t.Fatalf("%v in %s", err, first)
		}
		if second, err := EncodeEvent(again); err != nil || string(first) != string(second) {
			t.Fatalf("%s\nbecame %s (%v)", first, second, err)
		}
		s := NewState(Limits{})
		s.Apply(e)
		s.Apply(again)
	}))
}
