package analyze

import (
	"reflect"
	"testing"
	"time"
)

// setTimes gives every time, and every count of seconds since 1970, of a value one
// moment, and makes what is nil or empty.
func setTimes(v reflect.Value, at time.Time) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(at))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		setTimes(v.Elem(), at)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		setTimes(v.Index(0), at)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			switch name := v.Type().Field(i).Name; {
			case name == "AddTime" || name == "UseTime":
				v.Field(i).SetUint(uint64(at.Unix()))
			case v.Type().Field(i).IsExported():
				setTimes(v.Field(i), at)
			}
		}
	}
}

// TestEveryTimeOfAnEventIsRetimed holds that no time of any event stays behind
// when a clock is put right: a new field of an event has to be added to Retime.
func TestEveryTimeOfAnEventIsRetimed(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, k := range kinds {
		if k == KindAligned { // of no observer's clock
			continue
		}
		got, want := newEvent(k), newEvent(k)
		setTimes(reflect.ValueOf(got).Elem(), at)
		setTimes(reflect.ValueOf(want).Elem(), at.Add(time.Hour))
		Retime(got, func(ns int64) int64 { return ns + int64(time.Hour) })
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v\nwant %+v", k, got, want)
		}
	}
}
