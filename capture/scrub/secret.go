package scrub

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// SecretSize is the length of a Secret, bytes.
const SecretSize = 32

// Secret is what all stand-ins follow from. It is never printed or recorded.
type Secret [SecretSize]byte

// Format keeps the secret out of any text, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "secret") }

// derive returns 32 bytes that follow from the secret, a purpose and a value.
func (s *Secret) derive(purpose string, value []byte) [sha256.Size]byte {
	mac := hmac.New(sha256.New, s[:])
	mac.Write([]byte(purpose))
	mac.Write([]byte{0})
	mac.Write(value)
	return [sha256.Size]byte(mac.Sum(nil))
}

// cipher returns a block cipher with a key that follows from the secret.
func (s *Secret) cipher(purpose string) cipher.Block {
	key := s.derive(purpose, nil)
	b, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // a key of 32 bytes fits
	}
	return b
}

// overwrite replaces bytes by others of the same length that follow from them,
// so that what was sent again still equals what was sent before.
func (s *Secret) overwrite(b []byte) {
	if len(b) == 0 {
		return
	}
	key := s.derive("bytes", b)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	clear(b)
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(b, b)
}

// name returns a stand-in for a name: a prefix and six hexadecimal digits.
func (s *Secret) name(prefix, name string) string {
	sum := s.derive("name "+prefix, []byte(name))
	return prefix + hex.EncodeToString(sum[:3])
}

// NewSecret returns a random secret.
func NewSecret() *Secret {
	var s Secret
	rand.Read(s[:]) // never fails
	return &s
}

// ErrSecret is returned for a text that is no secret.
var ErrSecret = errors.New("64 hexadecimal digits are expected")

// ParseSecret reads what Reveal wrote.
func ParseSecret(text string) (*Secret, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != SecretSize {
		return nil, ErrSecret
	}
	return (*Secret)(b), nil
}

// Reveal returns the secret as text, for the file that keeps it.
func (s *Secret) Reveal() string { return hex.EncodeToString(s[:]) }
