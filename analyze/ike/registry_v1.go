package ike

// IKEv1 registries: IANA "Internet Key Exchange (IKE) Attributes" and "ISAKMP
// Identifiers for IP Security DOI" (RFC 2407, 2409, 3602, 4106, 4304, 4543,
// 4868 …).

var transformsISAKMP = map[uint16]string{1: "KEY_IKE"}

var transformsAH = map[uint16]string{
	2: "AH_MD5", 3: "AH_SHA", 4: "AH_DES", 5: "AH_SHA2-256", 6: "AH_SHA2-384", 7: "AH_SHA2-512",
	8: "AH_RIPEMD", 9: "AH_AES-XCBC-MAC", 10: "AH_RSA", 11: "AH_AES-128-GMAC",
	12: "AH_AES-192-GMAC", 13: "AH_AES-256-GMAC",
}

var transformsESP = map[uint16]string{
	1: "ESP_DES_IV64", 2: "ESP_DES", 3: "ESP_3DES", 4: "ESP_RC5", 5: "ESP_IDEA", 6: "ESP_CAST",
	7: "ESP_BLOWFISH", 8: "ESP_3IDEA", 9: "ESP_DES_IV32", 10: "ESP_RC4", 11: "ESP_NULL",
	12: "ESP_AES-CBC", 13: "ESP_AES-CTR", 14: "ESP_AES-CCM_8", 15: "ESP_AES-CCM_12",
	16: "ESP_AES-CCM_16", 18: "ESP_AES-GCM_8", 19: "ESP_AES-GCM_12", 20: "ESP_AES-GCM_16",
	21: "ESP_SEED_CBC", 22: "ESP_CAMELLIA", 23: "ESP_NULL_AUTH_AES-GMAC",
}

var transformsIPCOMP = map[uint16]string{1: "IPCOMP_OUI", 2: "IPCOMP_DEFLATE", 3: "IPCOMP_LZS", 4: "IPCOMP_LZJH"}

var attributesPhase1 = map[uint16]string{
	1: "Encryption Algorithm", 2: "Hash Algorithm", 3: "Authentication Method", 4: "Group Description",
	5: "Group Type", 6: "Group Prime/Irreducible Polynomial", 7: "Group Generator One",
	8: "Group Generator Two", 9: "Group Curve A", 10: "Group Curve B", 11: "Life Type",
	12: "Life Duration", 13: "PRF", 14: "Key Length", 15: "Field Size", 16: "Group Order",
}

var attributesPhase2 = map[uint16]string{
	1: "SA Life Type", 2: "SA Life Duration", 3: "Group Description", 4: "Encapsulation Mode",
	5: "Authentication Algorithm", 6: "Key Length", 7: "Key Rounds", 8: "Compress Dictionary Size",
	9: "Compress Private Algorithm", 10: "ECN Tunnel", 11: "Extended (64-bit) Sequence Number",
	12: "Authentication Key Length", 13: "Signature Encoding Algorithm", 14: "Address Preservation",
	15: "SA Direction",
}

var attributesV2 = map[uint16]string{14: "Key Length"}

var lifeTypes = map[uint64]string{1: "seconds", 2: "kilobytes"}

var valuesPhase1 = map[uint16]map[uint64]string{
	attrEncryption: {1: "DES-CBC", 2: "IDEA-CBC", 3: "Blowfish-CBC", 4: "RC5-R16-B64-CBC",
		5: "3DES-CBC", 6: "CAST-CBC", 7: "AES-CBC", 8: "CAMELLIA-CBC"},
	attrHash: {1: "MD5", 2: "SHA", 3: "Tiger", 4: "SHA2-256", 5: "SHA2-384", 6: "SHA2-512"},
	attrAuthMethod: {1: "pre-shared key", 2: "DSS signatures", 3: "RSA signatures",
		4: "Encryption with RSA", 5: "Revised encryption with RSA",
		9:  "ECDSA with SHA-256 on the P-256 curve",
		10: "ECDSA with SHA-384 on the P-384 curve",
		11: "ECDSA with SHA-512 on the P-521 curve",
		// draft-ietf-ipsec-isakmp-hybrid-auth, draft-ietf-ipsec-isakmp-xauth
		64221: "HybridInitRSA", 64222: "HybridRespRSA", 64223: "HybridInitDSS", 64224: "HybridRespDSS",
		65001: "XAUTHInitPreShared", 65002: "XAUTHRespPreShared", 65003: "XAUTHInitDSS",
		65004: "XAUTHRespDSS", 65005: "XAUTHInitRSA", 65006: "XAUTHRespRSA",
		65007: "XAUTHInitRSAEncryption", 65008: "XAUTHRespRSAEncryption",
		65009: "XAUTHInitRSARevisedEncryption", 65010: "XAUTHRespRSARevisedEncryption"},
	5:            {1: "MODP", 2: "ECP", 3: "EC2N"},
	attrLifeType: lifeTypes,
}

var valuesPhase2 = map[uint16]map[uint64]string{
	attrIPsecLifeType: lifeTypes,
	attrIPsecEncap: {1: "Tunnel", 2: "Transport", 3: "UDP-Encapsulated-Tunnel",
		4: "UDP-Encapsulated-Transport",
		// draft-ietf-ipsec-nat-t-ike-00 to -03
		61443: "UDP-Encapsulated-Tunnel (draft)", 61444: "UDP-Encapsulated-Transport (draft)"},
	attrIPsecAuth: {1: "HMAC-MD5", 2: "HMAC-SHA", 3: "DES-MAC", 4: "KPDK", 5: "HMAC-SHA2-256",
		6: "HMAC-SHA2-384", 7: "HMAC-SHA2-512", 8: "HMAC-RIPEMD", 9: "AES-XCBC-MAC", 10: "SIG-RSA",
		11: "AES-128-GMAC", 12: "AES-192-GMAC", 13: "AES-256-GMAC"},
	10:           {1: "ECN allowed", 2: "ECN forbidden"},
	attrIPsecESN: {0: "32-bit sequence number", 1: "64-bit sequence number"},
}
