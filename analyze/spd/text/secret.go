package text

import (
	"crypto/subtle"
	"fmt"
)

// Secret is a key. It can be compared and measured, and prints as its length
// only, whatever the verb or encoding. The zero value is an unknown key.
//
// The bytes are behind two pointers because fmt cannot call methods of
// unexported fields: in somebody's struct it follows one pointer, where the verb
// does not fit, and prints the second as an address.
type Secret struct{ k *box }

type box struct{ key *key }

type key struct{ b []byte }

func newSecret(b []byte) Secret { return Secret{k: &box{&key{b: b}}} }

// Known reports whether there is a key.
func (s Secret) Known() bool { return s.k != nil }

// Len returns the length in bits.
func (s Secret) Len() int {
	if s.k == nil {
		return 0
	}
	return 8 * len(s.k.key.b)
}

// Equal reports whether both keys are known and the same.
func (s Secret) Equal(o Secret) bool {
	return s.k != nil && o.k != nil && subtle.ConstantTimeCompare(s.k.key.b, o.k.key.b) == 1
}

// String returns "(key, N bits)".
func (s Secret) String() string {
	if s.k == nil {
		return "(no key)"
	}
	return fmt.Sprintf("(key, %d bits)", s.Len())
}

// GoString returns what String does.
func (s Secret) GoString() string { return s.String() }

// Format writes what String returns, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText returns what String does.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON returns what String does, as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// Keys are the keys of one SA.
type Keys struct {
	Enc  Secret
	Auth Secret
	AEAD Secret
}

func (k Keys) any() bool { return k.Enc.Known() || k.Auth.Known() || k.AEAD.Known() }

// hexKey decodes a key as setkey does: a leading digit without a partner is a
// byte of its own (parse.y, key_string).
func hexKey(digits string) (Secret, bool) {
	b := make([]byte, 0, (len(digits)+1)/2)
	var high byte
	for i := range len(digits) {
		v, ok := nibble(digits[i])
		if !ok {
			return Secret{}, false
		}
		if odd := len(digits)%2 == 1; (i%2 == 0) == odd {
			b, high = append(b, high<<4|v), 0
		} else {
			high = v
		}
	}
	return newSecret(b), true
}

func nibble(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
