package spd

import (
	"fmt"
	"net/netip"
)

// Algorithm names one algorithm of an SA as the kernel does ("cbc(aes)"). The
// key itself is never kept.
type Algorithm struct {
	Name    string `json:"name"`
	KeyBits int    `json:"key_bits"`
	ICVBits int    `json:"icv_bits,omitempty"` // AEAD and truncated authentication
}

// Lifetime is a limit or a usage, in the units of struct xfrm_lifetime_cfg.
// Zero and the kernel's XFRM_INF both mean "no limit" and are stored as 0.
type Lifetime struct {
	SoftBytes   uint64 `json:"soft_bytes,omitempty"`
	HardBytes   uint64 `json:"hard_bytes,omitempty"`
	SoftPackets uint64 `json:"soft_packets,omitempty"`
	HardPackets uint64 `json:"hard_packets,omitempty"`
	SoftAdd     uint64 `json:"soft_add_seconds,omitempty"` // seconds since the SA was added
	HardAdd     uint64 `json:"hard_add_seconds,omitempty"`
	SoftUse     uint64 `json:"soft_use_seconds,omitempty"` // seconds since its first use
	HardUse     uint64 `json:"hard_use_seconds,omitempty"`
}

// Usage is what an SA has carried (struct xfrm_lifetime_cur).
type Usage struct {
	Bytes   uint64 `json:"bytes,omitempty"`
	Packets uint64 `json:"packets,omitempty"`
	AddTime uint64 `json:"add_time,omitempty"` // seconds since 1970
	UseTime uint64 `json:"use_time,omitempty"` // seconds since 1970, 0: never used
}

// Encap is UDP encapsulation (RFC 3948; struct xfrm_encap_tmpl).
type Encap struct {
	Type    uint16 `json:"type"` // 2: ESP in UDP
	SrcPort uint16 `json:"sport"`
	DstPort uint16 `json:"dport"`
}

// Replay is the anti-replay state of an SA (RFC 4303 section 3.4.3).
type Replay struct {
	Window uint32 `json:"window,omitempty"` // packets
	ESN    bool   `json:"esn,omitempty"`
	OutSeq uint64 `json:"out_seq,omitempty"` // last sequence number sent
	InSeq  uint64 `json:"in_seq,omitempty"`  // highest sequence number received
}

// SAStats are the SA's own error counters (struct xfrm_stats).
type SAStats struct {
	ReplayWindow    uint32 `json:"replay_window,omitempty"`
	Replay          uint32 `json:"replay,omitempty"`
	IntegrityFailed uint32 `json:"integrity_failed,omitempty"`
}

// SA is one entry of the SAD (struct xfrm_usersa_info with its attributes),
// without its keys.
type SA struct {
	Src      netip.Addr `json:"src"`
	Dst      netip.Addr `json:"dst"`
	SPI      uint32     `json:"spi"`
	Proto    uint8      `json:"proto"`
	Mode     Mode       `json:"mode"`
	ReqID    uint32     `json:"reqid,omitempty"`
	Family   Family     `json:"family,omitempty"`
	Selector Selector   `json:"selector,omitzero"`
	Flags    uint8      `json:"flags,omitempty"` // XFRM_STATE_*
	Mark     Mark       `json:"mark,omitzero"`
	IfID     uint32     `json:"if_id,omitempty"`
	Seq      uint32     `json:"seq,omitempty"` // ACQUIRE sequence that the SA answers
	// Dir is the direction the SA was made for where the kernel tells it
	// (XFRMA_SA_DIR: DirIn, DirOut), else 0.
	Dir     uint8      `json:"sa_dir,omitempty"`
	Enc     *Algorithm `json:"enc,omitempty"`
	Auth    *Algorithm `json:"auth,omitempty"`
	AEAD    *Algorithm `json:"aead,omitempty"`
	Comp    *Algorithm `json:"comp,omitempty"`
	Encap   *Encap     `json:"encap,omitempty"`
	Offload *Offload   `json:"offload,omitempty"`
	Replay  Replay     `json:"replay,omitzero"`
	Limits  Lifetime   `json:"limits,omitzero"`
	Used    Usage      `json:"used,omitzero"`
	Stats   SAStats    `json:"stats,omitzero"`
}

// The directions of an SA (XFRM_SA_DIR_IN, XFRM_SA_DIR_OUT). Used against its
// direction it carries nothing (XfrmOutStateDirError, XfrmInStateDirError).
const (
	DirIn  uint8 = 1
	DirOut uint8 = 2
)

// StateWildRecv is the flag of an SA that takes what any source sends
// (XFRM_STATE_WILDRECV): it serves no outbound packet.
const StateWildRecv uint8 = 8

// SAKey identifies an SA in the SAD: (destination, protocol, SPI), and the mark
// that the kernel compares with it (xfrm_state_lookup).
type SAKey struct {
	Dst   netip.Addr
	Proto uint8
	SPI   uint32
	Mark  Mark
}

// Key returns the SA's identity. Larval SAs without an SPI share one key per
// destination: Database.PutSA tells them apart by more.
func (s *SA) Key() SAKey { return SAKey{Dst: s.Dst, Proto: s.Proto, SPI: s.SPI, Mark: s.Mark} }

// Larval reports whether s is the placeholder that the kernel makes with an
// ACQUIRE (xfrm_state_find, XFRM_STATE_ACQ): no SPI, no algorithms.
func (s *SA) Larval() bool { return s.SPI == 0 && !s.keyed() && s.Proto != ProtoIPComp }

// Reserved reports whether s is an inbound SPI reserved with ALLOCSPI whose
// keys are not there yet: IKE is at work, and this is healthy.
func (s *SA) Reserved() bool { return s.SPI != 0 && !s.keyed() }

// Usable reports whether s can carry packets: it has an SPI and algorithms.
func (s *SA) Usable() bool { return s.SPI != 0 && s.keyed() }

func (s *SA) keyed() bool {
	return s.Enc != nil || s.Auth != nil || s.AEAD != nil || s.Comp != nil
}

// String renders s in one line.
func (s *SA) String() string {
	str := fmt.Sprintf("%s → %s %s spi %#08x %s", s.Src, s.Dst, ProtocolName(s.Proto), s.SPI, s.Mode)
	if s.ReqID != 0 {
		str += fmt.Sprintf(" reqid %d", s.ReqID)
	}
	if s.Larval() {
		str += " (larval)"
	}
	return str
}
