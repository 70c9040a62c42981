package ike

import "fmt"

// Encrypted is IKEv2's payload SK: RFC 7296 section 3.14. It is always the
// last one; its header's Next Payload is the type of the first payload inside.
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Initialization Vector                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~       Encrypted IKE Payloads, Padding, Pad Length, ICV        ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Encrypted struct {
	Inner  PayloadType // first payload inside; none for an empty message, as DPD sends
	Length int         // of what follows the payload header, as that header says
	Data   []byte      // as far as it was captured
}

func (e *Encrypted) String() string { return fmt.Sprint(e.Length) }
func (*Encrypted) body()            {}

// EncryptedFragment is a fragment SKF of an IKEv2 message: RFC 7383 section
// 2.5. Each fragment is a message of its own, with its own IV and checksum.
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|        Fragment Number        |        Total Fragments        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Initialization Vector                     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                      Encrypted content                        ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type EncryptedFragment struct {
	Number, Total uint16      // from 1
	Inner         PayloadType // first payload of the whole; only in fragment 1
	Length        int         // of what follows Total Fragments, as the header says
	Data          []byte      // as far as it was captured
}

func parseEncryptedFragment(c *cursor, h *Payload) *EncryptedFragment {
	f := &EncryptedFragment{Inner: h.Next, Length: max(h.Length-8, 0)}
	f.Number = c.u16("Fragment Number")
	f.Total = c.u16("Total Fragments")
	if f.Number == 0 || f.Number > f.Total {
		c.fail("Fragment Number", "%d of %d", f.Number, f.Total)
	}
	f.Data = c.rest("encrypted data")
	return f
}

func (f *EncryptedFragment) String() string {
	return fmt.Sprintf("fragment %d of %d, %d", f.Number, f.Total, f.Length)
}
func (*EncryptedFragment) body() {}

// FragmentV1 is a piece of an IKEv1 message, header included, as Cisco,
// Microsoft, strongSwan and libreswan send it after the vendor ID
// FRAGMENTATION ([MS-IKEE] section 2.2.5).
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|          Fragment ID          |    Number     |     Flags   |L|
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                             Data                              ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type FragmentV1 struct {
	ID     uint16
	Number uint8 // from 1
	Last   bool
	Data   []byte
}

func parseFragmentV1(c *cursor) *FragmentV1 {
	f := &FragmentV1{ID: c.u16("Fragment ID"), Number: c.u8("Fragment Number")}
	f.Last = c.u8("Flags")&1 != 0
	f.Data = c.rest("Fragment Data")
	return f
}

func (f *FragmentV1) String() string {
	last := ""
	if f.Last {
		last = ", the last"
	}
	return fmt.Sprintf("ID %d, fragment %d%s, %s", f.ID, f.Number, last, plural(len(f.Data), "byte"))
}
func (*FragmentV1) body() {}
