package scrub

import (
	"context"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/capture"
	"ipsecdiag/fixtures/bounds"
)

// FuzzEvent holds that every event of a kernel or a daemon can be scrubbed, and
// written and read afterwards.
func FuzzEvent(f *testing.F) {
	for _, name := range []string{"nd-deadlock-ikev2", "healthy-tunnel", "healthy-rekey", "ike-auth-failed-id"} {
		for _, b := range kernelEvents(f, "../../fixtures/"+name+"/glass.pcapng") {
			f.Add(b)
		}
	}
	f.Fuzz(bounds.Each(func(t *testing.T, b []byte) {
		defer bounds.Hold(t, len(b), bounds.Memory{Fixed: 4 << 20, PerByte: 32 << 10})()
		e, err := analyze.DecodeEvent(b)
		if err != nil {
			return
		}
		if e = New(testSecret()).Event(e); e == nil {
			return
		}
		written, err := analyze.EncodeEvent(e)
		if err != nil {
			return // a year that JSON cannot tell
		}
		if _, err := analyze.DecodeEvent(written); err != nil {
			t.Errorf("%v: %s", err, written)
		}
	}))
}

// kernelEvents are the events of a recording that are not of the wire, one of each
// length.
func kernelEvents(t testing.TB, path string) (all [][]byte) {
	seen := map[int]bool{}
	for e, err := range capture.Files(context.Background(), []string{path}, capture.FileOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		switch e.(type) {
		case *analyze.Frame, *analyze.Flow, *analyze.Tick:
			continue
		}
		b, err := analyze.EncodeEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		if !seen[len(b)] {
			seen[len(b)] = true
			all = append(all, b)
		}
	}
	return all
}
