package ike

// PayloadType says what a payload holds. IKEv1 uses 1 to 22 and, in drafts and
// by vendors, 130 to 132; IKEv2 starts at 33. They do not overlap.
type PayloadType uint8

// IKEv1 payloads: RFC 2408 section 3.1, RFC 3947 section 7 and its drafts.
const (
	PayloadNone          PayloadType = 0
	PayloadSAV1          PayloadType = 1
	PayloadProposalV1    PayloadType = 2 // only inside SA
	PayloadTransformV1   PayloadType = 3 // only inside Proposal
	PayloadKEV1          PayloadType = 4
	PayloadIDV1          PayloadType = 5
	PayloadCertV1        PayloadType = 6
	PayloadCertReqV1     PayloadType = 7
	PayloadHashV1        PayloadType = 8
	PayloadSigV1         PayloadType = 9
	PayloadNonceV1       PayloadType = 10
	PayloadNotifyV1      PayloadType = 11
	PayloadDeleteV1      PayloadType = 12
	PayloadVendorIDV1    PayloadType = 13
	PayloadAttributesV1  PayloadType = 14 // Mode Config, XAUTH
	PayloadNATDDraft04   PayloadType = 15 // draft-ietf-ipsec-nat-t-ike-04 to -08; in GDOI (port 848): SAK
	PayloadNATOADraft04  PayloadType = 16 // likewise; in GDOI: SAT
	PayloadNATDV1        PayloadType = 20
	PayloadNATOAV1       PayloadType = 21
	PayloadNATDDraft00   PayloadType = 130 // draft-ietf-ipsec-nat-t-ike-00 to -03
	PayloadNATOADraft00  PayloadType = 131
	PayloadFragmentV1    PayloadType = 132 // Cisco's and Microsoft's fragmentation
	PayloadGSPM          PayloadType = 49  // IKEv2, RFC 6467
	PayloadEncryptedFrag PayloadType = 53  // IKEv2, RFC 7383
)

// IKEv2 payloads: RFC 7296 section 3.2.
const (
	PayloadSA        PayloadType = 33
	PayloadKE        PayloadType = 34
	PayloadIDi       PayloadType = 35
	PayloadIDr       PayloadType = 36
	PayloadCert      PayloadType = 37
	PayloadCertReq   PayloadType = 38
	PayloadAuth      PayloadType = 39
	PayloadNonce     PayloadType = 40
	PayloadNotify    PayloadType = 41
	PayloadDelete    PayloadType = 42
	PayloadVendorID  PayloadType = 43
	PayloadTSi       PayloadType = 44
	PayloadTSr       PayloadType = 45
	PayloadEncrypted PayloadType = 46
	PayloadConfig    PayloadType = 47
	PayloadEAP       PayloadType = 48
)

var payloadNotation = map[PayloadType]string{
	0: "NONE", 1: "SA", 2: "P", 3: "T", 4: "KE", 5: "ID", 6: "CERT", 7: "CR", 8: "HASH", 9: "SIG",
	10: "NONCE", 11: "N", 12: "D", 13: "VID", 14: "ATTR", 15: "NAT-D", 16: "NAT-OA", 17: "KD",
	18: "SEQ", 19: "POP", 20: "NAT-D", 21: "NAT-OA", 22: "GAP",
	33: "SA", 34: "KE", 35: "IDi", 36: "IDr", 37: "CERT", 38: "CERTREQ", 39: "AUTH", 40: "Nonce",
	41: "N", 42: "D", 43: "V", 44: "TSi", 45: "TSr", 46: "SK", 47: "CP", 48: "EAP", 49: "GSPM",
	50: "IDg", 51: "GSA", 52: "KD", 53: "SKF", 54: "PS",
	130: "NAT-D", 131: "NAT-OA", 132: "FRAG",
}

var payloadNames = map[PayloadType]string{
	0: "No Next Payload", 1: "Security Association", 2: "Proposal", 3: "Transform", 4: "Key Exchange",
	5: "Identification", 6: "Certificate", 7: "Certificate Request", 8: "Hash", 9: "Signature",
	10: "Nonce", 11: "Notification", 12: "Delete", 13: "Vendor ID", 14: "Attributes",
	15: "NAT Discovery (draft-ietf-ipsec-nat-t-ike-04 to 08) or SA KEK Payload",
	16: "NAT Original Address (draft-ietf-ipsec-nat-t-ike-04 to 08) or SA TEK Payload",
	17: "Key Download", 18: "Sequence Number", 19: "Proof of Possession", 20: "NAT Discovery",
	21: "NAT Original Address", 22: "Group Associated Policy",
	33: "Security Association", 34: "Key Exchange", 35: "Identification - Initiator",
	36: "Identification - Responder", 37: "Certificate", 38: "Certificate Request",
	39: "Authentication", 40: "Nonce", 41: "Notify", 42: "Delete", 43: "Vendor ID",
	44: "Traffic Selector - Initiator", 45: "Traffic Selector - Responder",
	46: "Encrypted and Authenticated", 47: "Configuration", 48: "Extensible Authentication",
	49: "Generic Secure Password Method", 50: "Group Identification", 51: "Group Security Association",
	52: "Key Download", 53: "Encrypted and Authenticated Fragment", 54: "Puzzle Solution",
	130: "NAT Discovery (draft-ietf-ipsec-nat-t-ike-00 to 03)",
	131: "NAT Original Address (draft-ietf-ipsec-nat-t-ike-00 to 03)",
	132: "IKE Fragment (Cisco, Microsoft)",
}

// String gives the short notation of the RFCs: "SA", "KE", "IDi", "NAT-D".
func (t PayloadType) String() string { return named(payloadNotation, t, "payload") }

// Name gives the registry's full name: "Security Association".
func (t PayloadType) Name() string { return named(payloadNames, t, "payload") }
