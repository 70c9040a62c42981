package kernel

import (
	"fmt"

	"ipsecdiag/analyze/spd"

	"github.com/vishvananda/netlink/nl"
)

// firstSocketDir is XFRM_POLICY_MAX. The kernel files the policies of single
// sockets under XFRM_POLICY_MAX + direction (xfrm_sk_policy_insert).
const firstSocketDir = 3

// decodePolicy translates struct xfrm_userpolicy_info with the attributes that
// follow it: XFRM_MSG_NEWPOLICY and XFRM_MSG_UPDPOLICY.
func decodePolicy(b []byte) (spd.Policy, error) {
	p, err := decodePolicyInfo(b)
	if err == nil {
		err = attrsAfter(b, nl.SizeofXfrmUserpolicyInfo, policyAttrs(&p))
	}
	if err != nil {
		return p, fmt.Errorf("policy: %w", err)
	}
	return p, nil
}

// decodeDeletedPolicy translates the notification XFRM_MSG_DELPOLICY: struct
// xfrm_userpolicy_id, then the whole policy in XFRMA_POLICY
// (xfrm_notify_policy).
func decodeDeletedPolicy(b []byte) (spd.Policy, error) {
	id, err := view(b, nl.SizeofXfrmUserpolicyId, nl.DeserializeXfrmUserpolicyId, "xfrm_userpolicy_id")
	if err != nil {
		return spd.Policy{}, fmt.Errorf("deleted policy: %w", err)
	}
	var p spd.Policy
	if p.Selector, err = decodeSelector(&id.Sel); err != nil {
		return p, fmt.Errorf("deleted policy: %w", err)
	}
	p.Index = id.Index
	setDirection(&p, id.Dir)
	if err := attrsAfter(b, nl.SizeofXfrmUserpolicyId, wholePolicyAttrs(&p)); err != nil {
		return p, fmt.Errorf("deleted policy: %w", err)
	}
	return p, nil
}

func wholePolicyAttrs(p *spd.Policy) func(uint16, []byte) error {
	rest := policyAttrs(p)
	return func(kind uint16, v []byte) error {
		if kind != nl.XFRMA_POLICY {
			return rest(kind, v)
		}
		whole, err := decodePolicyInfo(v)
		if err == nil {
			*p = whole
		}
		return err
	}
}

func decodePolicyInfo(b []byte) (spd.Policy, error) {
	info, err := view(b, nl.SizeofXfrmUserpolicyInfo, nl.DeserializeXfrmUserpolicyInfo, "xfrm_userpolicy_info")
	if err != nil {
		return spd.Policy{}, err
	}
	p := spd.Policy{
		Action: spd.Action(info.Action), Priority: info.Priority, Index: info.Index, Flags: info.Flags,
		Limits: decodeLifetime(&info.Lft), AddTime: info.Curlft.AddTime, UseTime: info.Curlft.UseTime,
	}
	setDirection(&p, info.Dir)
	p.Selector, err = decodeSelector(&info.Sel)
	return p, err
}

func setDirection(p *spd.Policy, dir uint8) {
	p.Socket = dir >= firstSocketDir
	p.Direction = spd.Direction(dir % firstSocketDir)
}

// policyAttrs reads the attributes that the kernel sends with a policy.
func policyAttrs(p *spd.Policy) func(uint16, []byte) error {
	return func(kind uint16, v []byte) (err error) {
		switch kind {
		case nl.XFRMA_TMPL:
			p.Templates, err = decodeTemplates(v, p.Selector.Family)
		case nl.XFRMA_POLICY_TYPE: // struct xfrm_userpolicy_type, type first
			var t uint8
			t, err = u8(v)
			p.Type = spd.PolicyType(t)
		case nl.XFRMA_MARK:
			p.Mark, err = decodeMark(v)
		case nl.XFRMA_IF_ID:
			p.IfID, err = u32(v)
		case nl.XFRMA_OFFLOAD_DEV:
			p.Offload, err = decodeOffload(v)
		}
		return err
	}
}

// decodeTemplates translates an array of struct xfrm_user_tmpl. A template
// without a family has the selector's.
func decodeTemplates(b []byte, selector spd.Family) ([]spd.Template, error) {
	var out []spd.Template
	for ; len(b) > 0; b = b[nl.SizeofXfrmUserTmpl:] {
		t, err := view(b, nl.SizeofXfrmUserTmpl, nl.DeserializeXfrmUserTmpl, "xfrm_user_tmpl")
		if err != nil {
			return out, err
		}
		f := family(t.Family)
		if f == spd.Unspecified {
			f = selector
		}
		out = append(out, spd.Template{
			Src: address(&t.Saddr, f), Dst: address(&t.XfrmId.Daddr, f), Family: f,
			SPI: ntohl(t.XfrmId.Spi), Proto: t.XfrmId.Proto, Mode: spd.Mode(t.Mode),
			ReqID: t.Reqid, Optional: t.Optional != 0,
		})
	}
	return out, nil
}

// Values of struct xfrm_userpolicy_default (XFRM_USERPOLICY_*).
const userpolicyBlock = 1

// decodeDefaults translates struct xfrm_userpolicy_default: one byte each for
// in, fwd and out.
func decodeDefaults(b []byte) (spd.Defaults, error) {
	if err := need(b, 3, "xfrm_userpolicy_default"); err != nil {
		return spd.Defaults{}, err
	}
	action := func(v byte) spd.Action {
		if v == userpolicyBlock {
			return spd.Block
		}
		return spd.Allow
	}
	return spd.Defaults{In: action(b[0]), Fwd: action(b[1]), Out: action(b[2])}, nil
}
