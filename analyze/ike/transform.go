package ike

import (
	"fmt"
	"strings"
)

// Transform is an IKEv2 algorithm, or a whole IKEv1 suite.
type Transform struct {
	Major      uint8      // of the IKE version, which the names depend on
	Protocol   ProtocolID // of the proposal, likewise
	Number     uint8      // IKEv1 only
	Type       TransformType
	ID         uint16
	Attributes []Attribute
}

// parseTransform reads what follows a transform's first four bytes. IKEv1,
// RFC 2408 section 3.6:
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| 0 (last) or 3 |   RESERVED    |       Transform Length        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Transform Num | Transform ID  |           RESERVED2           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                         SA Attributes                         ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// IKEv2, RFC 7296 section 3.3.2, has in its second row:
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|Transform Type |   RESERVED    |         Transform ID          |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
func parseTransform(c *cursor, p Proposal) Transform {
	t := Transform{Major: p.Major, Protocol: p.Protocol}
	class := AttributesV2
	if p.Major == 1 {
		t.Number = c.u8("Transform Num")
		t.ID = uint16(c.u8("Transform ID"))
		c.u16("RESERVED2")
		class = AttributesPhase2
		if p.Protocol == ProtocolIKE {
			class = AttributesPhase1
		}
	} else {
		t.Type = TransformType(c.u8("Transform Type"))
		c.u8("RESERVED")
		t.ID = c.u16("Transform ID")
	}
	t.Attributes = parseAttributes(c, class)
	return t
}

// Attribute gives the first attribute of a type, or nil.
func (t Transform) Attribute(kind uint16) *Attribute {
	for i := range t.Attributes {
		if t.Attributes[i].Type == kind {
			return &t.Attributes[i]
		}
	}
	return nil
}

// number gives the value of an attribute, 0 where there is none.
func (t Transform) number(kind uint16) uint64 {
	if a := t.Attribute(kind); a != nil {
		v, _ := a.Uint()
		return v
	}
	return 0
}

// KeyBits is the key length that is asked for; 0 where none is named.
func (t Transform) KeyBits() int {
	kind := uint16(attrKeyLength) // the same number in IKEv1 phase 1 and IKEv2
	if t.Major == 1 && t.Protocol != ProtocolIKE {
		kind = attrIPsecKeyLength
	}
	return int(min(t.number(kind), 1<<16))
}

// Name gives the name of the transform ID: "ENCR_AES_CBC", "ESP_AES-CBC",
// "KEY_IKE".
func (t Transform) Name() string {
	if t.Major != 1 {
		return t.Type.IDName(t.ID)
	}
	switch t.Protocol {
	case ProtocolIKE:
		return named(transformsISAKMP, t.ID, "transform")
	case ProtocolAH:
		return named(transformsAH, t.ID, "transform")
	case ProtocolESP:
		return named(transformsESP, t.ID, "transform")
	case ProtocolIPCOMP:
		return named(transformsIPCOMP, t.ID, "transform")
	}
	return fmt.Sprintf("transform %d", t.ID)
}

// String names the algorithm with its key length, "ENCR_AES_CBC-128", or all
// algorithms of an IKEv1 suite: "AES-CBC-128/SHA/pre-shared key/MODP_1024".
func (t Transform) String() string {
	if t.Major != 1 {
		return withKey(t.Name(), t.KeyBits())
	}
	if t.Protocol == ProtocolIKE {
		return t.phase1Text()
	}
	parts := []string{withKey(t.Name(), t.KeyBits())}
	for _, kind := range []uint16{attrIPsecAuth, attrIPsecEncap, attrIPsecGroup, attrIPsecESN} {
		if a := t.Attribute(kind); a != nil {
			parts = append(parts, a.ValueText())
		}
	}
	return strings.Join(parts, "/")
}

func (t Transform) phase1Text() string {
	var parts []string
	if a := t.Attribute(attrEncryption); a != nil {
		parts = append(parts, withKey(a.ValueText(), t.KeyBits()))
	}
	for _, kind := range []uint16{attrHash, attrPRF, attrAuthMethod, attrGroup} {
		if a := t.Attribute(kind); a != nil {
			parts = append(parts, a.ValueText())
		}
	}
	if len(parts) == 0 {
		return t.Name()
	}
	return strings.Join(parts, "/")
}

func withKey(name string, bits int) string {
	if bits == 0 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, bits)
}
