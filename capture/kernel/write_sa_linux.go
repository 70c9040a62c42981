package kernel

import (
	"context"
	"encoding/binary"
	"fmt"

	"ipsecdiag/analyze/spd"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// AddSA makes an SA with its keys (XFRM_MSG_NEWSA): enc for the encryption, auth
// for the authentication, either nil where the SA has none. Every copy of the
// keys made here is zeroed before it returns; the caller's own are the caller's
// to zero. The errors are unix.EEXIST where that SPI is taken,
// unix.EPROTONOSUPPORT from a kernel without ESP or AH, unix.ENOSYS from one
// without the algorithm.
func (h *Handle) AddSA(ctx context.Context, sa spd.SA, enc, auth []byte) error {
	if err := keysFit(&sa, enc, auth); err != nil {
		return fmt.Errorf("add SA %s: %w", &sa, err)
	}
	data := encodeSA(&sa, enc, auth)
	defer clear(data)
	return h.change(ctx, verbAddSA, sa.String(), request{
		protocol: unix.NETLINK_XFRM, kind: nl.XFRM_MSG_NEWSA, data: data, secret: true,
	})
}

// DeleteSA deletes the SA with sa's key (XFRM_MSG_DELSA). The error is
// unix.ESRCH where there is none.
func (h *Handle) DeleteSA(ctx context.Context, sa spd.SA) error {
	id := nl.XfrmUsersaId{
		Daddr: encodeAddress(sa.Dst), Spi: htonl(sa.SPI), Family: addressFamily(sa.Family), Proto: sa.Proto,
	}
	data := appendMark(append([]byte{}, id.Serialize()...), sa.Mark)
	src := encodeAddress(sa.Src)
	data = appendAttr(data, nl.XFRMA_SRCADDR, src[:])
	return h.change(ctx, verbDelSA, sa.String(), request{
		protocol: unix.NETLINK_XFRM, kind: nl.XFRM_MSG_DELSA, data: data,
	})
}

// keysFit holds that each key has the length that its algorithm names: else the
// kernel would read beyond it, or refuse it in fewer words.
func keysFit(sa *spd.SA, enc, auth []byte) error {
	for _, k := range []struct {
		what string
		alg  *spd.Algorithm
		key  []byte
	}{{"encryption", sa.Enc, enc}, {"authentication", sa.Auth, auth}} {
		want := 0
		if k.alg != nil {
			want = k.alg.KeyBits
		}
		if len(k.key)*8 != want {
			return fmt.Errorf("its %s key has %d bits, need %d", k.what, len(k.key)*8, want)
		}
	}
	return nil
}

// encodeSA is decodeSA's inverse, with the keys: struct xfrm_usersa_info with
// its attributes. The result has room for all of it from the start, so that no
// copy of a key is left behind by growth.
func encodeSA(sa *spd.SA, enc, auth []byte) []byte {
	info := nl.XfrmUsersaInfo{
		Sel: encodeSelector(sa.Selector), Saddr: encodeAddress(sa.Src),
		Id:  nl.XfrmId{Daddr: encodeAddress(sa.Dst), Spi: htonl(sa.SPI), Proto: sa.Proto},
		Lft: encodeLifetime(sa.Limits), Reqid: sa.ReqID, Family: addressFamily(sa.Family), Mode: uint8(sa.Mode),
		ReplayWindow: uint8(sa.Replay.Window), Flags: sa.Flags,
	}
	const room = nl.SizeofXfrmUsersaInfo + 2*(unix.SizeofRtAttr+algFullSize+4) + 64
	b := make([]byte, 0, room+len(enc)+len(auth))
	b = append(b, info.Serialize()...)
	if sa.Auth != nil {
		b = appendAlgorithm(b, nl.XFRMA_ALG_AUTH_TRUNC, sa.Auth, auth)
	}
	if sa.Enc != nil {
		b = appendAlgorithm(b, nl.XFRMA_ALG_CRYPT, sa.Enc, enc)
	}
	return appendIfID(appendMark(b, sa.Mark), sa.IfID)
}

// appendAlgorithm adds struct xfrm_algo, or xfrm_algo_auth for an authentication
// cut to its ICV. It writes the key into b itself.
func appendAlgorithm(b []byte, kind uint16, a *spd.Algorithm, key []byte) []byte {
	size := algSize
	if kind == nl.XFRMA_ALG_AUTH_TRUNC {
		size = algFullSize
	}
	n := size + len(key)
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+n))
	b = binary.NativeEndian.AppendUint16(b, kind)
	var name [algNameLen]byte
	copy(name[:algNameLen-1], a.Name)
	b = append(b, name[:]...)
	b = binary.NativeEndian.AppendUint32(b, uint32(a.KeyBits))
	if size == algFullSize {
		b = binary.NativeEndian.AppendUint32(b, uint32(a.ICVBits))
	}
	b = append(b, key...)
	return append(b, make([]byte, align4(n)-n)...)
}
