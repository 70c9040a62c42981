package ike

import "fmt"

// TransformType is the kind of an IKEv2 algorithm: RFC 7296 section 3.3.2,
// RFC 9370.
type TransformType uint8

// Transform types.
const (
	TransformEncr  TransformType = 1
	TransformPRF   TransformType = 2
	TransformInteg TransformType = 3
	TransformKE    TransformType = 4 // Diffie-Hellman group, or another key exchange method
	TransformESN   TransformType = 5 // sequence numbers
)

var transformTypeNames = map[TransformType]string{1: "ENCR", 2: "PRF", 3: "INTEG", 4: "KE", 5: "ESN",
	6: "ADDKE1", 7: "ADDKE2", 8: "ADDKE3", 9: "ADDKE4", 10: "ADDKE5", 11: "ADDKE6", 12: "ADDKE7",
	13: "KWA", 14: "GCAUTH"}

func (t TransformType) String() string { return named(transformTypeNames, t, "transform type") }

// IDName names a transform ID of this type; unknown ones keep their number:
// "ENCR 99".
func (t TransformType) IDName(id uint16) string {
	switch {
	case t == TransformEncr:
		return Encr(id).String()
	case t == TransformPRF:
		return PRF(id).String()
	case t == TransformInteg:
		return Integ(id).String()
	case t == TransformKE, t >= 6 && t <= 12:
		return DHGroup(id).String()
	case t == TransformESN:
		return named(esnNames, id, "ESN")
	}
	return fmt.Sprintf("%s %d", t, id)
}

var esnNames = map[uint16]string{0: "NO_ESN", 1: "ESN", 2: "UNSPECIFIED_SN"}

// Encr is an encryption algorithm (transform type 1).
type Encr uint16

// Encryption algorithms that RFC 8221, 8247 and 9395 speak of.
const (
	EncrDESIV64         Encr = 1
	EncrDES             Encr = 2
	Encr3DES            Encr = 3
	EncrRC5             Encr = 4
	EncrIDEA            Encr = 5
	EncrCAST            Encr = 6
	EncrBlowfish        Encr = 7
	Encr3IDEA           Encr = 8
	EncrDESIV32         Encr = 9
	EncrNull            Encr = 11
	EncrAESCBC          Encr = 12
	EncrAESCTR          Encr = 13
	EncrAESCCM8         Encr = 14
	EncrAESCCM12        Encr = 15
	EncrAESCCM16        Encr = 16
	EncrAESGCM8         Encr = 18
	EncrAESGCM12        Encr = 19
	EncrAESGCM16        Encr = 20
	EncrNullAuthAESGMAC Encr = 21
	EncrCamelliaCBC     Encr = 23
	EncrChaCha20        Encr = 28
)

var encrNames = map[Encr]string{
	1: "ENCR_DES_IV64", 2: "ENCR_DES", 3: "ENCR_3DES", 4: "ENCR_RC5", 5: "ENCR_IDEA", 6: "ENCR_CAST",
	7: "ENCR_BLOWFISH", 8: "ENCR_3IDEA", 9: "ENCR_DES_IV32", 11: "ENCR_NULL", 12: "ENCR_AES_CBC",
	13: "ENCR_AES_CTR", 14: "ENCR_AES_CCM_8", 15: "ENCR_AES_CCM_12", 16: "ENCR_AES_CCM_16",
	18: "ENCR_AES_GCM_8", 19: "ENCR_AES_GCM_12", 20: "ENCR_AES_GCM_16", 21: "ENCR_NULL_AUTH_AES_GMAC",
	23: "ENCR_CAMELLIA_CBC", 24: "ENCR_CAMELLIA_CTR", 25: "ENCR_CAMELLIA_CCM_8",
	26: "ENCR_CAMELLIA_CCM_12", 27: "ENCR_CAMELLIA_CCM_16", 28: "ENCR_CHACHA20_POLY1305",
	29: "ENCR_AES_CCM_8_IIV", 30: "ENCR_AES_GCM_16_IIV", 31: "ENCR_CHACHA20_POLY1305_IIV",
	32: "ENCR_KUZNYECHIK_MGM_KTREE", 33: "ENCR_MAGMA_MGM_KTREE", 34: "ENCR_KUZNYECHIK_MGM_MAC_KTREE",
	35: "ENCR_MAGMA_MGM_MAC_KTREE",
}

func (e Encr) String() string { return named(encrNames, e, "ENCR") }

// PRF is a pseudorandom function (transform type 2).
type PRF uint16

// Pseudorandom functions.
const (
	PRFHMACMD5    PRF = 1
	PRFHMACSHA1   PRF = 2
	PRFHMACTiger  PRF = 3
	PRFAES128XCBC PRF = 4
	PRFHMACSHA256 PRF = 5
	PRFHMACSHA384 PRF = 6
	PRFHMACSHA512 PRF = 7
	PRFAES128CMAC PRF = 8
)

var prfNames = map[PRF]string{
	1: "PRF_HMAC_MD5", 2: "PRF_HMAC_SHA1", 3: "PRF_HMAC_TIGER", 4: "PRF_AES128_XCBC",
	5: "PRF_HMAC_SHA2_256", 6: "PRF_HMAC_SHA2_384", 7: "PRF_HMAC_SHA2_512", 8: "PRF_AES128_CMAC",
	9: "PRF_HMAC_STREEBOG_512",
}

func (p PRF) String() string { return named(prfNames, p, "PRF") }

// Integ is an integrity algorithm (transform type 3).
type Integ uint16

// Integrity algorithms.
const (
	IntegNone       Integ = 0
	IntegHMACMD5    Integ = 1
	IntegHMACSHA1   Integ = 2
	IntegDESMAC     Integ = 3
	IntegKPDKMD5    Integ = 4
	IntegAESXCBC    Integ = 5
	IntegAESCMAC    Integ = 8
	IntegHMACSHA256 Integ = 12
	IntegHMACSHA384 Integ = 13
	IntegHMACSHA512 Integ = 14
)

var integNames = map[Integ]string{
	0: "NONE", 1: "AUTH_HMAC_MD5_96", 2: "AUTH_HMAC_SHA1_96", 3: "AUTH_DES_MAC", 4: "AUTH_KPDK_MD5",
	5: "AUTH_AES_XCBC_96", 6: "AUTH_HMAC_MD5_128", 7: "AUTH_HMAC_SHA1_160", 8: "AUTH_AES_CMAC_96",
	9: "AUTH_AES_128_GMAC", 10: "AUTH_AES_192_GMAC", 11: "AUTH_AES_256_GMAC",
	12: "AUTH_HMAC_SHA2_256_128", 13: "AUTH_HMAC_SHA2_384_192", 14: "AUTH_HMAC_SHA2_512_256",
}

func (i Integ) String() string { return named(integNames, i, "INTEG") }
