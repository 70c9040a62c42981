package kernel

import (
	"encoding/binary"

	"ipsecdiag/analyze/spd"

	"github.com/vishvananda/netlink/nl"
)

// Sizes of the fixed parts of struct xfrm_algo (name, key bits) and of struct
// xfrm_algo_auth and xfrm_algo_aead (name, key bits, ICV bits). The key follows.
const (
	algNameLen  = 64
	algSize     = algNameLen + 4
	algFullSize = algNameLen + 8
)

// setAlgorithm reads one algorithm of an SA and zeroes its key in b. The kernel
// sends authentication twice, the second time with the ICV's length
// (XFRMA_ALG_AUTH_TRUNC, copy_to_user_auth), whichever way it was set.
func setAlgorithm(sa *spd.SA, kind uint16, b []byte) error {
	full := kind == nl.XFRMA_ALG_AEAD || kind == nl.XFRMA_ALG_AUTH_TRUNC
	alg, err := decodeAlgorithm(b, full)
	if err != nil {
		return err
	}
	switch kind {
	case nl.XFRMA_ALG_AEAD:
		sa.AEAD = alg
	case nl.XFRMA_ALG_CRYPT:
		sa.Enc = alg
	case nl.XFRMA_ALG_COMP:
		sa.Comp = alg
	default:
		if full || sa.Auth == nil {
			sa.Auth = alg
		}
	}
	return nil
}

func decodeAlgorithm(b []byte, full bool) (*spd.Algorithm, error) {
	size, what := algSize, "xfrm_algo"
	if full {
		size, what = algFullSize, "xfrm_algo_auth"
	}
	if err := need(b, size, what); err != nil {
		clear(b)
		return nil, err
	}
	clear(b[size:]) // the key
	alg := &spd.Algorithm{
		Name:    cString(b[:algNameLen]),
		KeyBits: int(int32(binary.NativeEndian.Uint32(b[algNameLen:]))),
	}
	if full {
		alg.ICVBits = int(int32(binary.NativeEndian.Uint32(b[algSize:])))
	}
	return alg, nil
}
