package ike

// Algorithm is one algorithm of an offer in the numbers of IKEv2, so that
// offers of both versions can be compared and judged by one table.
type Algorithm struct {
	Type    TransformType
	ID      uint16
	KeyBits int
	// Name is the name in the version that was spoken. Where Mapped is false
	// IKEv2 has no number for it, ID is 0, and only Name says what it is.
	Name   string
	Mapped bool
}

// Algorithms lists what a transform offers. An IKEv2 transform is one
// algorithm; an IKEv1 suite is several: cipher, hash (as the PRF that it makes,
// or for AH and ESP the integrity algorithm) and group.
func (t Transform) Algorithms() []Algorithm {
	if t.Major != 1 {
		return []Algorithm{{Type: t.Type, ID: t.ID, KeyBits: t.KeyBits(), Name: t.String(), Mapped: true}}
	}
	switch t.Protocol {
	case ProtocolIKE:
		return t.phase1Algorithms()
	case ProtocolESP:
		return append([]Algorithm{t.espCipher()}, t.phase2Common()...)
	case ProtocolAH:
		return t.phase2Common()
	}
	return nil
}

func (t Transform) phase1Algorithms() []Algorithm {
	var out []Algorithm
	for _, a := range t.Attributes {
		var table map[uint64]uint16
		alg := Algorithm{Name: a.ValueText()}
		switch a.Type {
		case attrEncryption:
			alg.Type, table = TransformEncr, cipherV1
			alg.KeyBits = t.KeyBits()
			alg.Name = withKey(alg.Name, alg.KeyBits)
		case attrHash:
			alg.Type, table = TransformPRF, hashV1
		case attrGroup:
			alg.Type = TransformKE
		default:
			continue
		}
		out = append(out, alg.mapped(a, table))
	}
	return out
}

func (t Transform) phase2Common() []Algorithm {
	var out []Algorithm
	for _, a := range t.Attributes {
		alg := Algorithm{Name: a.ValueText()}
		switch a.Type {
		case attrIPsecAuth:
			alg.Type = TransformInteg
			out = append(out, alg.mapped(a, authV1))
		case attrIPsecGroup:
			alg.Type = TransformKE
			out = append(out, alg.mapped(a, nil))
		}
	}
	return out
}

// mapped fills in the IKEv2 number; groups have the same in both versions.
func (alg Algorithm) mapped(a Attribute, table map[uint64]uint16) Algorithm {
	v, ok := a.Uint()
	if a.isGroup() && ok && v <= 0xffff {
		alg.ID, alg.Mapped = uint16(v), true
		return alg
	}
	alg.ID, alg.Mapped = table[v]
	alg.Mapped = alg.Mapped && ok
	return alg
}

// espCipher: up to 20 the ESP transform IDs of IKEv1 are IKEv2's, save RC4.
func (t Transform) espCipher() Algorithm {
	alg := Algorithm{Type: TransformEncr, KeyBits: t.KeyBits(), Name: withKey(t.Name(), t.KeyBits())}
	switch id := t.ID; {
	case id == 22:
		alg.ID, alg.Mapped = uint16(EncrCamelliaCBC), true
	case id == 23:
		alg.ID, alg.Mapped = uint16(EncrNullAuthAESGMAC), true
	case id >= 1 && id <= 20 && id != 10 && id != 17:
		alg.ID, alg.Mapped = id, true
	}
	return alg
}

// cipherV1, hashV1, authV1: IKEv1 attribute value to IKEv2 transform ID.
var (
	cipherV1 = map[uint64]uint16{1: uint16(EncrDES), 2: uint16(EncrIDEA), 3: uint16(EncrBlowfish),
		4: uint16(EncrRC5), 5: uint16(Encr3DES), 6: uint16(EncrCAST), 7: uint16(EncrAESCBC),
		8: uint16(EncrCamelliaCBC)}
	hashV1 = map[uint64]uint16{1: uint16(PRFHMACMD5), 2: uint16(PRFHMACSHA1), 3: uint16(PRFHMACTiger),
		4: uint16(PRFHMACSHA256), 5: uint16(PRFHMACSHA384), 6: uint16(PRFHMACSHA512)}
	authV1 = map[uint64]uint16{1: uint16(IntegHMACMD5), 2: uint16(IntegHMACSHA1), 3: uint16(IntegDESMAC),
		4: uint16(IntegKPDKMD5), 5: uint16(IntegHMACSHA256), 6: uint16(IntegHMACSHA384),
		7: uint16(IntegHMACSHA512), 9: uint16(IntegAESXCBC), 11: 9, 12: 10, 13: 11}
)
