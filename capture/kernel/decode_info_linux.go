package kernel

import "encoding/binary"

// Attributes of XFRM_MSG_NEWSADINFO and XFRM_MSG_NEWSPDINFO, which follow a
// __u32 of flags.
const (
	xfrmaSADCnt  = 1
	xfrmaSPDInfo = 1
	infoHeader   = 4
)

// decodeSADCount returns the number of SAs (XFRMA_SAD_CNT), larval ones
// included.
func decodeSADCount(b []byte) (n uint32, err error) {
	if err := need(b, infoHeader, "SAD info"); err != nil {
		return 0, err
	}
	err = attrsAfter(b, infoHeader, func(kind uint16, v []byte) (err error) {
		if kind == xfrmaSADCnt {
			n, err = u32(v)
		}
		return err
	})
	return n, err
}

// decodeSocketPolicies returns the number of socket policies: the second half
// of struct xfrmu_spdinfo (incnt, outcnt, fwdcnt, inscnt, outscnt, fwdscnt).
func decodeSocketPolicies(b []byte) (n uint32, err error) {
	if err := need(b, infoHeader, "SPD info"); err != nil {
		return 0, err
	}
	err = attrsAfter(b, infoHeader, func(kind uint16, v []byte) error {
		if kind != xfrmaSPDInfo {
			return nil
		}
		if err := need(v, 24, "xfrmu_spdinfo"); err != nil {
			return err
		}
		for i := 3; i < 6; i++ {
			n += binary.NativeEndian.Uint32(v[4*i:])
		}
		return nil
	})
	return n, err
}
