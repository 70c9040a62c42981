package ike

import (
	"fmt"
	"strconv"
)

// AttributeClass says which registry an attribute belongs to.
type AttributeClass uint8

// Classes of attributes.
const (
	AttributesV2     AttributeClass = iota // RFC 7296 section 3.3.5
	AttributesPhase1                       // RFC 2409 appendix A
	AttributesPhase2                       // RFC 2407 section 4.5
)

// Attribute of a transform, or of the notification RESPONDER-LIFETIME.
type Attribute struct {
	Class AttributeClass
	Type  uint16
	TV    bool // the value is two bytes in place of the length
	Value []byte
}

// Numbers of attributes that the code asks for.
const (
	attrEncryption   = 1
	attrHash         = 2
	attrAuthMethod   = 3
	attrGroup        = 4
	attrLifeType     = 11
	attrLifeDuration = 12
	attrPRF          = 13
	attrKeyLength    = 14

	attrIPsecLifeType     = 1
	attrIPsecLifeDuration = 2
	attrIPsecGroup        = 3
	attrIPsecEncap        = 4
	attrIPsecAuth         = 5
	attrIPsecKeyLength    = 6
	attrIPsecESN          = 11
)

// parseAttributes reads attributes to the end of the structure. RFC 2408
// section 3.3, RFC 7296 section 3.3.5:
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|A|       Attribute Type        |    AF=0  Attribute Length     |
//	|F|                             |    AF=1  Attribute Value      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                   AF=0  Attribute Value                       ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
func parseAttributes(c *cursor, class AttributeClass) []Attribute {
	var out []Attribute
	for c.more() {
		if len(out) == maxAttributes {
			c.fail("Attribute", "more than %d", maxAttributes)
			break
		}
		kind, tv, value := readTLV(c)
		if c.err == nil {
			out = append(out, Attribute{Class: class, Type: kind, TV: tv, Value: value})
		}
	}
	if c.err == nil && c.cut {
		c.short("Attribute", 1)
	}
	return out
}

// readTLV reads one attribute of either form.
func readTLV(c *cursor) (kind uint16, tv bool, value []byte) {
	kind = c.u16("Attribute Type")
	if kind&0x8000 != 0 {
		return kind &^ 0x8000, true, c.bytes("Attribute Value", 2)
	}
	n := int(c.u16("Attribute Length"))
	return kind, false, c.bytes("Attribute Value", n)
}

// Uint gives the value as a number; ok is false above eight bytes.
func (a Attribute) Uint() (v uint64, ok bool) {
	if len(a.Value) > 8 {
		return 0, false
	}
	for _, b := range a.Value {
		v = v<<8 | uint64(b)
	}
	return v, true
}

// Name gives the name of the attribute's type.
func (a Attribute) Name() string {
	switch a.Class {
	case AttributesPhase1:
		return named(attributesPhase1, a.Type, "attribute")
	case AttributesPhase2:
		return named(attributesPhase2, a.Type, "attribute")
	}
	return named(attributesV2, a.Type, "attribute")
}

// valueNames gives the registry of the attribute's values, or nil.
func (a Attribute) valueNames() map[uint64]string {
	switch a.Class {
	case AttributesPhase1:
		return valuesPhase1[a.Type]
	case AttributesPhase2:
		return valuesPhase2[a.Type]
	}
	return nil
}

func (a Attribute) isGroup() bool {
	return a.Class == AttributesPhase1 && a.Type == attrGroup || a.Class == AttributesPhase2 && a.Type == attrIPsecGroup
}

// ValueText gives the value by name where it has one, else as a number, else
// as hexadecimal.
func (a Attribute) ValueText() string {
	v, ok := a.Uint()
	if !ok {
		return hexText(a.Value)
	}
	if a.isGroup() && v <= 0xffff {
		return DHGroup(v).String()
	}
	if names := a.valueNames(); names != nil {
		if s, ok := names[v]; ok {
			return s
		}
		return fmt.Sprintf("%s %d", a.Name(), v)
	}
	return strconv.FormatUint(v, 10)
}

// String gives name and value: "Key Length=128".
func (a Attribute) String() string { return a.Name() + "=" + a.ValueText() }

// Lifetime is one limit that an IKEv1 transform or notification names.
type Lifetime struct {
	Kilobytes bool // else seconds
	Value     uint64
}

// Lifetimes pairs the life types with the durations that follow them: RFC
// 2407 section 4.5, RFC 2409 appendix A. A duration without a type is in
// seconds.
func Lifetimes(attrs []Attribute) []Lifetime {
	var out []Lifetime
	kilobytes := false
	for _, a := range attrs {
		v, ok := a.Uint()
		phase1, phase2 := a.Class == AttributesPhase1, a.Class == AttributesPhase2
		switch {
		case phase1 && a.Type == attrLifeType, phase2 && a.Type == attrIPsecLifeType:
			kilobytes = v == 2
		case !ok:
		case phase1 && a.Type == attrLifeDuration, phase2 && a.Type == attrIPsecLifeDuration:
			out = append(out, Lifetime{Kilobytes: kilobytes, Value: v})
		}
	}
	return out
}

// Lifetimes gives the limits an IKEv1 transform names; IKEv2 negotiates none.
func (t Transform) Lifetimes() []Lifetime { return Lifetimes(t.Attributes) }
