package analyze

import "testing"

func TestFingerprint(t *testing.T) {
	seen := map[uint64]string{}
	message := make([]byte, 300)
	note := func(name string, b []byte) {
		h := Fingerprint(b)
		if other, ok := seen[h]; ok {
			t.Errorf("%s has the fingerprint of %s", name, other)
		}
		if Fingerprint(append([]byte{}, b...)) != h {
			t.Errorf("%s: a copy has another fingerprint", name)
		}
		seen[h] = name
	}
	for n := range message { // all zeroes, of each length
		note("zeroes", message[:n])
	}
	for i := range len(message) * 8 { // one bit set
		message[i/8] ^= 1 << (i % 8)
		note("one bit", message)
		message[i/8] ^= 1 << (i % 8)
	}
}
