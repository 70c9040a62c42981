package kernel

import (
	"context"
	"encoding/binary"

	"ipsecdiag/analyze/spd"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// AddPolicy makes a policy, the youngest of all (XFRM_MSG_NEWPOLICY). The kernel
// chooses its index. The error is unix.EEXIST where one with its identity stands
// already.
func (h *Handle) AddPolicy(ctx context.Context, p spd.Policy) error {
	p.Index = 0
	return h.change(ctx, verbAdd, "policy "+p.String(), policyRequest(nl.XFRM_MSG_NEWPOLICY, &p))
}

// ReplacePolicy puts a policy in the place of the one with its identity, in one
// step, and makes it the youngest of all (XFRM_MSG_UPDPOLICY). The index stays
// what it was. Where none stands it is added: a new index tells.
func (h *Handle) ReplacePolicy(ctx context.Context, p spd.Policy) error {
	p.Index = 0
	return h.change(ctx, verbReplace, "policy "+p.String(), policyRequest(nl.XFRM_MSG_UPDPOLICY, &p))
}

// DeletePolicy deletes the policy with p's index, or with its identity where
// the index is 0 (XFRM_MSG_DELPOLICY; xfrm_get_policy). The error is
// unix.ENOENT where there is none.
func (h *Handle) DeletePolicy(ctx context.Context, p spd.Policy) error {
	id := nl.XfrmUserpolicyId{Sel: encodeSelector(p.Selector), Index: p.Index, Dir: uint8(p.Direction)}
	data := appendPolicyKey(append([]byte{}, id.Serialize()...), &p)
	return h.change(ctx, verbDelete, "policy "+p.String(), request{
		protocol: unix.NETLINK_XFRM, kind: nl.XFRM_MSG_DELPOLICY, data: data,
	})
}

func policyRequest(kind uint16, p *spd.Policy) request {
	return request{protocol: unix.NETLINK_XFRM, kind: kind, data: encodePolicy(p)}
}

// encodePolicy is decodePolicy's inverse: struct xfrm_userpolicy_info with its
// attributes. Use times and counters begin anew.
func encodePolicy(p *spd.Policy) []byte {
	info := nl.XfrmUserpolicyInfo{
		Sel: encodeSelector(p.Selector), Lft: encodeLifetime(p.Limits), Priority: p.Priority,
		Index: p.Index, Dir: uint8(p.Direction), Action: uint8(p.Action), Flags: p.Flags,
	}
	b := append([]byte{}, info.Serialize()...)
	if len(p.Templates) > 0 {
		b = appendAttr(b, nl.XFRMA_TMPL, encodeTemplates(p.Templates))
	}
	b = appendPolicyKey(b, p)
	if p.Offload != nil {
		b = appendAttr(b, nl.XFRMA_OFFLOAD_DEV, encodeOffload(p.Offload))
	}
	return b
}

// sizeofPolicyType is the size of struct xfrm_userpolicy_type: type, and two
// reserved fields.
const sizeofPolicyType = 6

// appendPolicyKey adds the attributes that belong to a policy's identity.
func appendPolicyKey(b []byte, p *spd.Policy) []byte {
	if p.Type != spd.Main {
		v := make([]byte, sizeofPolicyType)
		v[0] = uint8(p.Type)
		b = appendAttr(b, nl.XFRMA_POLICY_TYPE, v)
	}
	return appendIfID(appendMark(b, p.Mark), p.IfID)
}

// everyAlgorithm is the mask of algorithms that a template takes. All programs
// that make templates set it so.
const everyAlgorithm = ^uint32(0)

// encodeTemplates is decodeTemplates' inverse.
func encodeTemplates(ts []spd.Template) []byte {
	var b []byte
	for i := range ts {
		t := &ts[i]
		u := nl.XfrmUserTmpl{
			XfrmId: nl.XfrmId{Daddr: encodeAddress(t.Dst), Spi: htonl(t.SPI), Proto: t.Proto},
			Family: addressFamily(t.Family), Saddr: encodeAddress(t.Src), Reqid: t.ReqID, Mode: uint8(t.Mode),
			Aalgos: everyAlgorithm, Ealgos: everyAlgorithm, Calgos: everyAlgorithm,
		}
		if t.Optional {
			u.Optional = 1
		}
		b = append(b, u.Serialize()...)
	}
	return b
}

// encodeOffload is decodeOffload's inverse: int ifindex, __u8 flags, padding.
func encodeOffload(o *spd.Offload) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(o.IfIndex))
	return append(b, o.Flags, 0, 0, 0)
}
