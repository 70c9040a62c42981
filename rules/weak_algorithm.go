package rules

import "ipsecdiag/analyze/ike"

// weakness is an algorithm that is not to be used any more, and who says so.
type weakness struct {
	name, why string
	aging     bool // still allowed, and on its way out
}

// What the RFCs say.
const (
	mustNot    = "MUST NOT be used: RFC 8247"
	shouldNot  = "SHOULD NOT be used: RFC 8247"
	deprecated = "deprecated: RFC 9395"
	wayOut     = "on its way out: RFC 8247 MUST-"
	shortBlock = "blocks of 64 bits; SHOULD NOT be used for ESP: RFC 8221"
	noCipher   = "encrypts nothing"
)

// weakCiphers, weakPRFs, weakIntegs, weakGroups: RFC 8247 sections 2.1 to 2.4,
// RFC 8221 sections 5 and 6, RFC 9395 section 4.
var (
	weakCiphers = map[ike.Encr]weakness{
		ike.EncrDES: {why: mustNot}, ike.EncrDESIV64: {why: mustNot}, ike.EncrDESIV32: {why: deprecated},
		ike.Encr3DES: {why: shortBlock}, ike.EncrRC5: {why: deprecated}, ike.EncrIDEA: {why: deprecated},
		ike.EncrCAST: {why: deprecated}, ike.EncrBlowfish: {why: deprecated}, ike.Encr3IDEA: {why: deprecated},
		ike.EncrNull: {why: noCipher},
	}
	weakPRFs = map[ike.PRF]weakness{
		ike.PRFHMACMD5: {why: mustNot}, ike.PRFHMACTiger: {why: deprecated}, ike.PRFHMACSHA1: {why: wayOut, aging: true},
	}
	weakIntegs = map[ike.Integ]weakness{
		ike.IntegHMACMD5: {why: mustNot}, ike.IntegDESMAC: {why: mustNot}, ike.IntegKPDKMD5: {why: mustNot}, 6: {why: mustNot},
		ike.IntegHMACSHA1: {why: wayOut, aging: true}, 7: {why: wayOut, aging: true},
	}
	weakGroups = map[ike.DHGroup]weakness{
		ike.GroupMODP768: {why: mustNot}, ike.GroupMODP1024: {why: shouldNot}, ike.GroupMODP1536: {why: shouldNot},
		ike.GroupMODP1024S160: {why: mustNot},
	}
)

// weakAlgorithm returns what is wrong with an algorithm of a proposal.
func weakAlgorithm(a ike.Algorithm) (w weakness, weak bool) {
	if !a.Mapped {
		return w, false
	}
	switch a.Type {
	case ike.TransformEncr:
		w, weak = weakCiphers[ike.Encr(a.ID)]
	case ike.TransformPRF:
		w, weak = weakPRFs[ike.PRF(a.ID)]
	case ike.TransformInteg:
		w, weak = weakIntegs[ike.Integ(a.ID)]
	case ike.TransformKE:
		w, weak = weakGroups[ike.DHGroup(a.ID)]
	}
	w.name = a.Name
	return w, weak
}
