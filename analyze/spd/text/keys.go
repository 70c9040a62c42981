package text

import "ipsecdiag/analyze/spd/secret"

// Secret is a key, which never prints itself.
type Secret = secret.Key

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
	return secret.New(b), true
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
