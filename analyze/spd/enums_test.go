package spd

import (
	"encoding"
	"testing"
)

func TestNamesSurviveTheirTextFormAndUnknownNumbersToo(t *testing.T) {
	check := func(kind string, v uint8, from encoding.TextMarshaler, to encoding.TextUnmarshaler, got func() uint8) {
		b, err := from.MarshalText()
		if err != nil {
			t.Fatalf("%s %d: %v", kind, v, err)
		}
		if err := to.UnmarshalText(b); err != nil || got() != v {
			t.Errorf("%s %d became %q and then %d (%v)", kind, v, b, got(), err)
		}
	}
	for v := range uint8(255) {
		var d Direction
		check("direction", v, Direction(v), &d, func() uint8 { return uint8(d) })
		var a Action
		check("action", v, Action(v), &a, func() uint8 { return uint8(a) })
		var p PolicyType
		check("policy type", v, PolicyType(v), &p, func() uint8 { return uint8(p) })
		var m Mode
		check("mode", v, Mode(v), &m, func() uint8 { return uint8(m) })
	}
}

func TestNamesRefuseWhatTheyDoNotKnow(t *testing.T) {
	var d Direction
	for _, text := range []string{"", "sideways", "256", "-1", "out in"} {
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken for a direction: %s", text, d)
		}
	}
}

func TestTheFieldsTermsAreUsed(t *testing.T) {
	p := pol(Out, icmp6(between("fd00::2/128", "fd00::1/128"), NeighborAdvertisement, 0), 99, withESP, marked(5, 0xff), ifID(3), sub)
	want := "dir out src fd00::2/128 dst fd00::1/128 proto ipv6-icmp type 136 code 0 priority 99 ptype sub mark 0x5/0xff if_id 0x3, esp transport reqid 7"
	if got := p.String(); got != want {
		t.Errorf("policy:\n%s\nwant\n%s", got, want)
	}
	s := sa(teapot, glass, 0, func(s *SA) { s.Enc = nil })
	if got, want := s.String(), "fd00::2 → fd00::1 esp spi 0x00000000 transport reqid 7 (larval)"; got != want {
		t.Errorf("SA: %s, want %s", got, want)
	}
}
