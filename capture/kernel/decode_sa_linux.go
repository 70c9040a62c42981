package kernel

import (
	"encoding/binary"
	"fmt"

	"ipsecdiag/analyze/spd"

	"github.com/vishvananda/netlink/nl"
)

// decodeSA translates struct xfrm_usersa_info with the attributes that follow
// it: XFRM_MSG_NEWSA and XFRM_MSG_UPDSA. It zeroes the keys in b.
func decodeSA(b []byte) (spd.SA, error) {
	sa, err := decodeSAInfo(b)
	if err == nil {
		err = attrsAfter(b, nl.SizeofXfrmUsersaInfo, saAttrs(&sa))
	}
	if err != nil {
		return sa, fmt.Errorf("sa: %w", err)
	}
	return sa, nil
}

// decodeDeletedSA translates the notification XFRM_MSG_DELSA: struct
// xfrm_usersa_id, then the whole SA in XFRMA_SA (xfrm_notify_sa). It zeroes the
// keys in b.
func decodeDeletedSA(b []byte) (spd.SA, error) {
	id, err := view(b, nl.SizeofXfrmUsersaId, nl.DeserializeXfrmUsersaId, "xfrm_usersa_id")
	if err != nil {
		return spd.SA{}, fmt.Errorf("deleted sa: %w", err)
	}
	f := family(id.Family)
	sa := spd.SA{Dst: address(&id.Daddr, f), SPI: ntohl(id.Spi), Proto: id.Proto, Family: f}
	rest := saAttrs(&sa)
	err = attrsAfter(b, nl.SizeofXfrmUsersaId, func(kind uint16, v []byte) error {
		if kind != nl.XFRMA_SA {
			return rest(kind, v)
		}
		whole, err := decodeSAInfo(v)
		if err == nil {
			sa = whole
		}
		return err
	})
	if err != nil {
		return sa, fmt.Errorf("deleted sa: %w", err)
	}
	return sa, nil
}

func decodeSAInfo(b []byte) (spd.SA, error) {
	info, err := view(b, nl.SizeofXfrmUsersaInfo, nl.DeserializeXfrmUsersaInfo, "xfrm_usersa_info")
	if err != nil {
		return spd.SA{}, err
	}
	f := family(info.Family)
	sa := spd.SA{
		Src: address(&info.Saddr, f), Dst: address(&info.Id.Daddr, f), Family: f,
		SPI: ntohl(info.Id.Spi), Proto: info.Id.Proto, Mode: spd.Mode(info.Mode),
		ReqID: info.Reqid, Seq: info.Seq, Flags: info.Flags,
		Replay: spd.Replay{Window: uint32(info.ReplayWindow), ESN: info.Flags&nl.XFRM_STATE_ESN != 0},
		Limits: decodeLifetime(&info.Lft),
		Used:   spd.Usage(info.Curlft),
		Stats:  spd.SAStats(info.Stats),
	}
	sa.Selector, err = decodeSelector(&info.Sel)
	return sa, err
}

// decodeLifetime translates struct xfrm_lifetime_cfg; XFRM_INF becomes 0.
func decodeLifetime(l *nl.XfrmLifetimeCfg) spd.Lifetime {
	limit := func(v uint64) uint64 {
		if v == nl.XFRM_INF {
			return 0
		}
		return v
	}
	return spd.Lifetime{
		SoftBytes: limit(l.SoftByteLimit), HardBytes: limit(l.HardByteLimit),
		SoftPackets: limit(l.SoftPacketLimit), HardPackets: limit(l.HardPacketLimit),
		SoftAdd: limit(l.SoftAddExpiresSeconds), HardAdd: limit(l.HardAddExpiresSeconds),
		SoftUse: limit(l.SoftUseExpiresSeconds), HardUse: limit(l.HardUseExpiresSeconds),
	}
}

// saAttrs reads the attributes that the kernel sends with an SA
// (copy_to_user_state_extra).
func saAttrs(sa *spd.SA) func(uint16, []byte) error {
	return func(kind uint16, v []byte) (err error) {
		switch kind {
		case nl.XFRMA_ALG_AUTH, nl.XFRMA_ALG_AUTH_TRUNC, nl.XFRMA_ALG_CRYPT, nl.XFRMA_ALG_COMP, nl.XFRMA_ALG_AEAD:
			err = setAlgorithm(sa, kind, v)
		case nl.XFRMA_ENCAP:
			sa.Encap, err = decodeEncap(v)
		case nl.XFRMA_REPLAY_VAL:
			err = setReplay(&sa.Replay, v)
		case nl.XFRMA_REPLAY_ESN_VAL:
			err = setReplayESN(&sa.Replay, v)
		case nl.XFRMA_MARK:
			sa.Mark, err = decodeMark(v)
		case nl.XFRMA_IF_ID:
			sa.IfID, err = u32(v)
		case nl.XFRMA_OFFLOAD_DEV:
			sa.Offload, err = decodeOffload(v)
		case nl.XFRMA_SA_DIR:
			sa.Dir, err = u8(v)
		}
		return err
	}
}

// decodeEncap translates struct xfrm_encap_tmpl.
func decodeEncap(b []byte) (*spd.Encap, error) {
	e, err := view(b, nl.SizeofXfrmEncapTmpl, nl.DeserializeXfrmEncapTmpl, "xfrm_encap_tmpl")
	if err != nil {
		return nil, err
	}
	return &spd.Encap{Type: e.EncapType, SrcPort: ntohs(e.EncapSport), DstPort: ntohs(e.EncapDport)}, nil
}

// setReplay reads struct xfrm_replay_state: oseq, seq, bitmap.
func setReplay(r *spd.Replay, b []byte) error {
	s, err := view(b, nl.SizeofXfrmReplayState, nl.DeserializeXfrmReplayState, "xfrm_replay_state")
	if err != nil {
		return err
	}
	r.OutSeq, r.InSeq = uint64(s.OSeq), uint64(s.Seq)
	return nil
}

// setReplayESN reads struct xfrm_replay_state_esn: bmp_len, oseq, seq, oseq_hi,
// seq_hi, replay_window, bitmap. It comes with large windows too, where the
// upper halves stay 0.
func setReplayESN(r *spd.Replay, b []byte) error {
	if err := need(b, nl.SizeofXfrmReplayStateEsn, "xfrm_replay_state_esn"); err != nil {
		return err
	}
	at := func(i int) uint64 { return uint64(binary.NativeEndian.Uint32(b[4*i:])) }
	r.OutSeq, r.InSeq = at(3)<<32|at(1), at(4)<<32|at(2)
	r.Window = uint32(at(5))
	return nil
}
