package ike

import (
	"fmt"
)

// NotifyType is the type of a notification. The registries of IKEv1 and IKEv2
// differ: number 17 is INVALID-KEY-INFORMATION in one and INVALID_KE_PAYLOAD
// in the other. Use [Notify.Name], which knows the version.
type NotifyType uint16

// Name gives the registry's name for the major version.
func (t NotifyType) Name(major uint8) string {
	return named(byVersion(major, notifyNamesV1, notifyNamesV2), t, "notify")
}

// IsError tells an error from a status; both versions draw the line at 16384
// (RFC 2408 section 3.14.1, RFC 7296 section 3.10.1).
func (t NotifyType) IsError() bool { return t > 0 && t < 16384 }

// Notify is a notification.
type Notify struct {
	Major    uint8
	DOI      uint32 // IKEv1 only
	Protocol ProtocolID
	Type     NotifyType
	SPI      []byte
	Data     []byte
}

// parseNotifyV1 reads an IKEv1 notification: RFC 2408 section 3.14.
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|              Domain of Interpretation  (DOI)                  |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  Protocol-ID  |   SPI Size    |      Notify Message Type      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                Security Parameter Index (SPI)                 ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                       Notification Data                       ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
func parseNotifyV1(c *cursor) *Notify {
	n := &Notify{Major: 1, DOI: c.u32("DOI")}
	return n.finish(c)
}

// parseNotifyV2 reads an IKEv2 notification, which is the same without the
// DOI: RFC 7296 section 3.10.
func parseNotifyV2(c *cursor) *Notify { return (&Notify{Major: 2}).finish(c) }

func (n *Notify) finish(c *cursor) *Notify {
	n.Protocol = ProtocolID(c.u8("Protocol ID"))
	size := int(c.u8("SPI Size"))
	n.Type = NotifyType(c.u16("Notify Message Type"))
	n.SPI = c.bytes("SPI", size)
	n.Data = c.rest("Notification Data")
	return n
}

// Name gives the registry's name: "NO_PROPOSAL_CHOSEN", or in IKEv1
// "NO-PROPOSAL-CHOSEN".
func (n *Notify) Name() string { return n.Type.Name(n.Major) }

func (n *Notify) is(major uint8, t NotifyType) bool { return n.Major == major && n.Type == t }

// String gives the name, and what its data says where that is known.
func (n *Notify) String() string {
	if s := n.DataText(); s != "" {
		return fmt.Sprintf("%s: %s", n.Name(), s)
	}
	return n.Name()
}
func (*Notify) body() {}
