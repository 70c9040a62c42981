// Package secret holds keys such that they cannot be printed.
package secret

import (
	"crypto/subtle"
	"fmt"
	"slices"
)

// Key is a key. It can be compared and measured, and prints as its length only,
// whatever the verb or encoding. The zero value is an unknown key.
//
// The bytes are behind two pointers because fmt cannot call methods of
// unexported fields: in somebody's struct it follows one pointer, where the verb
// does not fit, and prints the second as an address.
type Key struct{ k *box }

type box struct{ key *key }

type key struct{ b []byte }

// New returns the key of these bytes. It keeps a copy.
func New(b []byte) Key { return Key{k: &box{&key{b: slices.Clone(b)}}} }

// Known reports whether there is a key.
func (s Key) Known() bool { return s.k != nil }

// Len returns the length in bits.
func (s Key) Len() int {
	if s.k == nil {
		return 0
	}
	return 8 * len(s.k.key.b)
}

// Equal reports whether both keys are known and the same.
func (s Key) Equal(o Key) bool {
	return s.k != nil && o.k != nil && subtle.ConstantTimeCompare(s.k.key.b, o.k.key.b) == 1
}

// Reveal returns a copy of the bytes, nil of an unknown key. It is for what is
// handed to the kernel and for files that only root can read, nothing else.
func (s Key) Reveal() []byte {
	if s.k == nil {
		return nil
	}
	return slices.Clone(s.k.key.b)
}

// String returns "(key, N bits)".
func (s Key) String() string {
	if s.k == nil {
		return "(no key)"
	}
	return fmt.Sprintf("(key, %d bits)", s.Len())
}

// GoString returns what String does.
func (s Key) GoString() string { return s.String() }

// Format writes what String returns, whatever the verb.
func (s Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText returns what String does.
func (s Key) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON returns what String does, as a JSON string.
func (s Key) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }
