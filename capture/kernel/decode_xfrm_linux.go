package kernel

import (
	"encoding/binary"
	"fmt"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"

	"github.com/vishvananda/netlink/nl"
)

// msgGetDefault is XFRM_MSG_GETDEFAULT (Linux 5.14), which package nl lacks. The
// kernel answers and notifies with it.
const msgGetDefault = 0x28

// decodeXFRM translates a notification of NETLINK_XFRM into an event without
// its header. It returns nil for what is none of our business, such as
// XFRM_MSG_MAPPING.
func decodeXFRM(kind uint16, b []byte) (analyze.Event, error) {
	switch kind {
	case nl.XFRM_MSG_NEWPOLICY, nl.XFRM_MSG_UPDPOLICY, nl.XFRM_MSG_DELPOLICY, nl.XFRM_MSG_FLUSHPOLICY, msgGetDefault:
		return decodePolicyChange(kind, b)
	case nl.XFRM_MSG_NEWSA, nl.XFRM_MSG_UPDSA, nl.XFRM_MSG_DELSA, nl.XFRM_MSG_FLUSHSA:
		return decodeSAChange(kind, b)
	case nl.XFRM_MSG_ACQUIRE:
		return event(decodeAcquire(b))
	case nl.XFRM_MSG_EXPIRE:
		return event(decodeExpire(b))
	case nl.XFRM_MSG_POLEXPIRE:
		return event(decodePolicyExpire(b))
	}
	return nil, nil
}

// event keeps a nil pointer from becoming an event that is not nil.
func event[E interface {
	*analyze.Acquire | *analyze.Expire | *analyze.PolicyChange | *analyze.SAChange
	analyze.Event
}](e E, err error) (analyze.Event, error) {
	if err != nil {
		return nil, err
	}
	return e, nil
}

func decodePolicyChange(kind uint16, b []byte) (analyze.Event, error) {
	e := &analyze.PolicyChange{Change: analyze.Updated}
	var err error
	switch kind {
	case nl.XFRM_MSG_NEWPOLICY:
		e.Change = analyze.Added
		e.Policy, err = decodePolicy(b)
	case nl.XFRM_MSG_UPDPOLICY:
		e.Policy, err = decodePolicy(b)
	case nl.XFRM_MSG_DELPOLICY:
		e.Change = analyze.Deleted
		e.Policy, err = decodeDeletedPolicy(b)
	case nl.XFRM_MSG_FLUSHPOLICY: // attributes only: XFRMA_POLICY_TYPE
		e.Change = analyze.Flushed
		err = eachAttr(b, policyAttrs(&e.Policy))
	case msgGetDefault:
		e.Defaults = new(spd.Defaults)
		*e.Defaults, err = decodeDefaults(b)
	}
	return event(e, err)
}

func decodeSAChange(kind uint16, b []byte) (analyze.Event, error) {
	e := &analyze.SAChange{Change: analyze.Updated}
	var err error
	switch kind {
	case nl.XFRM_MSG_NEWSA:
		e.Change = analyze.Added
		e.SA, err = decodeSA(b)
	case nl.XFRM_MSG_UPDSA:
		e.SA, err = decodeSA(b)
	case nl.XFRM_MSG_DELSA:
		e.Change = analyze.Deleted
		e.SA, err = decodeDeletedSA(b)
	case nl.XFRM_MSG_FLUSHSA: // struct xfrm_usersa_flush: __u8 proto
		e.Change = analyze.Flushed
		e.SA.Proto, err = u8(b)
	}
	return event(e, err)
}

// Offsets in struct xfrm_user_acquire (include/uapi/linux/xfrm.h).
const (
	acquireSrc      = 24
	acquireSelector = 40
	acquirePolicy   = 96
	acquireSeq      = 276
	acquireSize     = 280
)

// decodeAcquire translates struct xfrm_user_acquire: xfrm_id, source, selector,
// xfrm_userpolicy_info, three algorithm masks and the sequence; the attributes
// are the policy's (build_acquire).
func decodeAcquire(b []byte) (*analyze.Acquire, error) {
	if err := need(b, acquireSize, "xfrm_user_acquire"); err != nil {
		return nil, err
	}
	e := &analyze.Acquire{Sequence: binary.NativeEndian.Uint32(b[acquireSeq:])}
	var err error
	if e.Selector, err = decodeSelector(nl.DeserializeXfrmSelector(b[acquireSelector:])); err != nil {
		return nil, fmt.Errorf("acquire: %w", err)
	}
	if e.Policy, err = decodePolicyInfo(b[acquirePolicy:]); err != nil {
		return nil, fmt.Errorf("acquire: %w", err)
	}
	if err := attrsAfter(b, acquireSize, policyAttrs(&e.Policy)); err != nil {
		return nil, fmt.Errorf("acquire: %w", err)
	}
	id := nl.DeserializeXfrmId(b)
	e.Proto = id.Proto
	f := acquireFamily(e)
	e.Src, e.Dst = address(nl.DeserializeXfrmAddress(b[acquireSrc:]), f), address(&id.Daddr, f)
	return e, nil
}

// acquireFamily returns the family of the SA's ends, which the message does not
// say: that of the template for its protocol, since a tunnel may carry the
// other family; else the selector's.
func acquireFamily(e *analyze.Acquire) spd.Family {
	for _, t := range e.Policy.Templates {
		if t.Proto == e.Proto {
			return t.Family
		}
	}
	return e.Selector.Family
}

// decodeExpire translates struct xfrm_user_expire: xfrm_usersa_info, __u8 hard.
func decodeExpire(b []byte) (*analyze.Expire, error) {
	if err := need(b, nl.SizeofXfrmUserExpire, "xfrm_user_expire"); err != nil {
		return nil, err
	}
	sa, err := decodeSAInfo(b)
	if err == nil {
		err = attrsAfter(b, nl.SizeofXfrmUserExpire, saAttrs(&sa))
	}
	if err != nil {
		return nil, fmt.Errorf("expire: %w", err)
	}
	return &analyze.Expire{Hard: b[nl.SizeofXfrmUsersaInfo] != 0, SA: &sa}, nil
}

// polexpireSize is the size of struct xfrm_user_polexpire:
// xfrm_userpolicy_info, __u8 hard, padding.
const polexpireSize = nl.SizeofXfrmUserpolicyInfo + 8

// decodePolicyExpire translates struct xfrm_user_polexpire.
func decodePolicyExpire(b []byte) (*analyze.Expire, error) {
	if err := need(b, polexpireSize, "xfrm_user_polexpire"); err != nil {
		return nil, err
	}
	p, err := decodePolicyInfo(b)
	if err == nil {
		err = attrsAfter(b, polexpireSize, policyAttrs(&p))
	}
	if err != nil {
		return nil, fmt.Errorf("policy expire: %w", err)
	}
	return &analyze.Expire{Hard: b[nl.SizeofXfrmUserpolicyInfo] != 0, Policy: &p}, nil
}
