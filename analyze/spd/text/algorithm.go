package text

import (
	"fmt"
	"slices"
	"strings"

	"ipsecdiag/analyze/spd"
)

// use is what an algorithm is for.
type use uint8

const (
	forEnc use = iota + 1
	forAuth
	forAEAD
	forComp
)

// algorithm is one row of the kernel's tables (net/xfrm/xfrm_algo.c).
type algorithm struct {
	use    use
	kernel string
	setkey []string // names of token.l and pfkey_dump.c
	bits   []int    // key lengths, with salt or nonce (RFC 3686, 4106, 4309, 7634)
	upTo   int      // bits[0] is the least of a range that ends here
	icv    int      // bits of the authenticator where nobody says (icv_truncbits)
}

// algorithms are those whose key lengths are known. The lengths are those of
// the standards: 3DES RFC 2451, AES-CBC RFC 3602, HMAC RFC 2403, 2404, 4868.
// That hmac(sha256) is cut to 96 bits is Linux, not RFC 4868 (128).
var algorithms = []algorithm{
	{use: forEnc, kernel: "ecb(cipher_null)", setkey: []string{"null", "simple"}, bits: []int{0}},
	{use: forEnc, kernel: "cbc(des)", setkey: []string{"des-cbc"}, bits: []int{64}},
	{use: forEnc, kernel: "cbc(des3_ede)", setkey: []string{"3des-cbc"}, bits: []int{192}},
	{use: forEnc, kernel: "cbc(cast5)", setkey: []string{"cast128-cbc"}, bits: []int{40}, upTo: 128},
	{use: forEnc, kernel: "cbc(blowfish)", setkey: []string{"blowfish-cbc"}, bits: []int{40}, upTo: 448},
	{use: forEnc, kernel: "cbc(aes)", setkey: []string{"aes-cbc", "rijndael-cbc"}, bits: []int{128, 192, 256}},
	{use: forEnc, kernel: "cbc(camellia)", setkey: []string{"camellia-cbc"}, bits: []int{128, 192, 256}},
	{use: forEnc, kernel: "cbc(twofish)", setkey: []string{"twofish-cbc"}, bits: []int{128, 192, 256}},
	{use: forEnc, kernel: "cbc(serpent)", bits: []int{128, 192, 256}},
	{use: forEnc, kernel: "cbc(sm4)", bits: []int{128}},
	{use: forEnc, kernel: "rfc3686(ctr(aes))", setkey: []string{"aes-ctr"}, bits: []int{160, 224, 288}},
	{use: forAuth, kernel: "digest_null", setkey: []string{"null"}, bits: []int{0}},
	{use: forAuth, kernel: "hmac(md5)", setkey: []string{"hmac-md5"}, bits: []int{128}, icv: 96},
	{use: forAuth, kernel: "hmac(sha1)", setkey: []string{"hmac-sha1"}, bits: []int{160}, icv: 96},
	{use: forAuth, kernel: "hmac(sha256)", setkey: []string{"hmac-sha256", "hmac-sha2-256"}, bits: []int{256}, icv: 96},
	{use: forAuth, kernel: "hmac(sha384)", setkey: []string{"hmac-sha384", "hmac-sha2-384"}, bits: []int{384}, icv: 192},
	{use: forAuth, kernel: "hmac(sha512)", setkey: []string{"hmac-sha512", "hmac-sha2-512"}, bits: []int{512}, icv: 256},
	{use: forAuth, kernel: "hmac(sm3)", bits: []int{256}, icv: 256},
	{use: forAuth, kernel: "hmac(rmd160)", setkey: []string{"hmac-ripemd160"}, bits: []int{160}, icv: 96},
	{use: forAuth, kernel: "xcbc(aes)", setkey: []string{"aes-xcbc-mac"}, bits: []int{128}, icv: 96},
	{use: forAuth, kernel: "cmac(aes)", bits: []int{128}, icv: 96},
	{use: forAEAD, kernel: "rfc4106(gcm(aes))", bits: []int{160, 224, 288}},
	{use: forAEAD, kernel: "rfc4309(ccm(aes))", bits: []int{152, 216, 280}},
	{use: forAEAD, kernel: "rfc4543(gcm(aes))", bits: []int{160, 224, 288}},
	{use: forAEAD, kernel: "rfc7539esp(chacha20,poly1305)", bits: []int{288}},
	{use: forComp, kernel: "deflate", setkey: []string{"deflate"}, bits: []int{0}},
	{use: forComp, kernel: "lzs", setkey: []string{"lzs"}, bits: []int{0}},
	{use: forComp, kernel: "lzjh", bits: []int{0}},
}

// bySetkey returns the algorithm with setkey's name, or nil.
func bySetkey(u use, name string) *algorithm {
	for i := range algorithms {
		if a := &algorithms[i]; a.use == u && slices.Contains(a.setkey, name) {
			return a
		}
	}
	return nil
}

// byKernel returns the algorithm with the kernel's name, or nil.
func byKernel(u use, name string) *algorithm {
	for i := range algorithms {
		if a := &algorithms[i]; a.use == u && a.kernel == name {
			return a
		}
	}
	return nil
}

// plausible reports whether a word can be the kernel's name of an algorithm. A
// key that stands where the name should be is not taken for one.
func plausible(u use, name string) bool {
	return byKernel(u, name) != nil || (strings.HasSuffix(name, ")") && strings.Contains(name, "(") && len(name) < 64)
}

// spd returns the algorithm for an SA.
func (a *algorithm) spd(bits int) *spd.Algorithm {
	return &spd.Algorithm{Name: a.kernel, KeyBits: bits, ICVBits: a.icv}
}

// takes reports whether a key of that many bits fits.
func (a *algorithm) takes(bits int) bool {
	if a.upTo != 0 {
		return a.bits[0] <= bits && bits <= a.upTo
	}
	return slices.Contains(a.bits, bits)
}

// lengths says in words which keys fit: "128, 192 or 256".
func (a *algorithm) lengths() string {
	if a.upTo != 0 {
		return fmt.Sprintf("%d to %d", a.bits[0], a.upTo)
	}
	s := fmt.Sprint(a.bits[0])
	for i, b := range a.bits[1:] {
		if i == len(a.bits)-2 {
			s += fmt.Sprintf(" or %d", b)
		} else {
			s += fmt.Sprintf(", %d", b)
		}
	}
	return s
}
