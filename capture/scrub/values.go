package scrub

import (
	"net/netip"
	"reflect"
	"strings"
	"time"

	"ipsecdiag/analyze"
)

// values returns a copy of an event in which every address, prefix and text
// has its stand-in. It goes by the types: what is added to the events later is
// replaced too, and text of which the table does not know becomes "removed".
func (s *Scrubber) values(e analyze.Event) analyze.Event {
	from := reflect.ValueOf(e).Elem()
	to := reflect.New(from.Type())
	s.copyInto(to.Elem(), from, "")
	return to.Interface().(analyze.Event)
}

var (
	addrType     = reflect.TypeFor[netip.Addr]()
	addrPortType = reflect.TypeFor[netip.AddrPort]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
	headerType   = reflect.TypeFor[analyze.Header]() // the origin is replaced by who calls
	timeType     = reflect.TypeFor[time.Time]()
	stringType   = reflect.TypeFor[string]()
)

// copyInto copies a value, field names where it stands: "Link.Name".
func (s *Scrubber) copyInto(to, from reflect.Value, field string) {
	switch from.Type() {
	case addrType:
		to.Set(reflect.ValueOf(s.zoned(s.addresses.addr(from.Interface().(netip.Addr)))))
		return
	case addrPortType:
		p := from.Interface().(netip.AddrPort)
		to.Set(reflect.ValueOf(netip.AddrPortFrom(s.zoned(s.addresses.addr(p.Addr())), p.Port())))
		return
	case prefixType:
		to.Set(reflect.ValueOf(s.addresses.prefix(from.Interface().(netip.Prefix))))
		return
	case headerType, timeType:
		to.Set(from)
		return
	case stringType:
		to.SetString(s.textOf(field, from.String()))
		return
	}
	switch from.Kind() {
	case reflect.Struct:
		s.copyStruct(to, from)
	case reflect.Slice:
		s.copySlice(to, from, field)
	case reflect.Map:
		s.copyMap(to, from, field)
	case reflect.Pointer:
		if !from.IsNil() {
			to.Set(reflect.New(from.Type().Elem()))
			s.copyInto(to.Elem(), from.Elem(), field)
		}
	default: // numbers, and texts of closed sets with types of their own
		to.Set(from)
	}
}

func (s *Scrubber) copyStruct(to, from reflect.Value) {
	t := from.Type()
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() {
			s.copyInto(to.Field(i), from.Field(i), t.Name()+"."+f.Name)
		}
	}
}

func (s *Scrubber) copySlice(to, from reflect.Value, field string) {
	if from.IsNil() {
		return
	}
	to.Set(reflect.MakeSlice(from.Type(), from.Len(), from.Len()))
	for i := range from.Len() {
		s.copyInto(to.Index(i), from.Index(i), field)
	}
}

func (s *Scrubber) copyMap(to, from reflect.Value, field string) {
	if from.IsNil() {
		return
	}
	to.Set(reflect.MakeMapWithSize(from.Type(), from.Len()))
	for _, k := range from.MapKeys() {
		key, value := reflect.New(k.Type()).Elem(), reflect.New(from.Type().Elem()).Elem()
		s.copyInto(key, k, field+" key")
		s.copyInto(value, from.MapIndex(k), field)
		to.SetMapIndex(key, value)
	}
}

// textOf returns the stand-in for a text in that field.
func (s *Scrubber) textOf(field, text string) string {
	if text == "" {
		return ""
	}
	treat, ok := texts[field]
	if !ok {
		treat, ok = wordTexts[field]
	}
	if ok {
		return treat(s, text)
	}
	return removed
}

// texts says how each field of events that is text is treated.
var texts = map[string]func(s *Scrubber, text string) string{
	"KernelState.Release":      keep,
	"KernelState.Counters key": keep,
	"KernelState.Sysctls key":  (*Scrubber).setting,
	"KernelState.Sysctls":      keep, // numbers
	"KernelState.Missing":      missing,
	"Neighbor.LinkAddr":        (*Scrubber).mac,
	"Neighbor.State":           keep,
	"Link.Name":                (*Scrubber).interfaceName,
	"Link.Kind":                keep,
	"Link.LinkAddr":            (*Scrubber).mac,
	"Listener.Via":             keep,
	"Listener.Name":            (*Scrubber).program,
	"Algorithm.Name":           keep,
	"Counters.Values key":      keep,
	"Lost.What":                (*Scrubber).text,
	"Note.Files":               fileName,
	"Note.At":                  fileName,
}

func keep(_ *Scrubber, text string) string { return text }

func fileName(s *Scrubber, text string) string { return s.secret.name("file-", text) }

// missing keeps which part could not be read; the reason may name a file.
func missing(_ *Scrubber, text string) string {
	part, reason, _ := strings.Cut(text, ": ")
	if reason != analyze.UntoldByText {
		reason = removed
	}
	return part + ": " + reason
}
