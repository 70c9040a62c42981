package analyze

import (
	"encoding/binary"
	"math/bits"
)

// Fingerprint returns a number that is equal for equal bytes and most likely
// differs for others. It takes eight bytes at a time; who wants two messages to
// have the same can make them so.
func Fingerprint(b []byte) uint64 {
	h := uint64(len(b))
	for ; len(b) >= 8; b = b[8:] {
		h = stir(h, binary.LittleEndian.Uint64(b))
	}
	var rest [8]byte
	copy(rest[:], b)
	return stir(h, binary.LittleEndian.Uint64(rest[:]))
}

// stir mixes eight bytes in by a multiplication folded onto itself, with constants
// of splitmix64.
func stir(h, x uint64) uint64 {
	hi, lo := bits.Mul64(h+0x9e3779b97f4a7c15, x^0xbf58476d1ce4e5b9)
	return hi ^ lo ^ bits.RotateLeft64(h, 29)
}
