package ike

// body decodes the content of a payload by its version and type.
func (p *parser) body(t PayloadType, h *Payload, c *cursor) Body {
	if p.m.Major == 1 {
		return p.bodyV1(t, c)
	}
	return p.bodyV2(t, h, c)
}

func (p *parser) bodyV1(t PayloadType, c *cursor) Body {
	switch t {
	case PayloadSAV1:
		return parseSAV1(c)
	case PayloadKEV1:
		return &KeyExchange{Data: c.rest("Key Exchange Data")}
	case PayloadIDV1:
		return parseIDV1(c)
	case PayloadCertV1:
		return parseCert(c, 1)
	case PayloadCertReqV1:
		return parseCertReq(c, 1)
	case PayloadHashV1:
		return &Hash{Data: c.rest("Hash Data")}
	case PayloadSigV1:
		return &Signature{Data: c.rest("Signature Data")}
	case PayloadNonceV1:
		return &Nonce{Data: c.rest("Nonce Data")}
	case PayloadNotifyV1:
		return parseNotifyV1(c)
	case PayloadDeleteV1:
		return parseDeleteV1(c)
	case PayloadVendorIDV1:
		return &VendorID{Data: c.rest("Vendor ID")}
	case PayloadAttributesV1:
		return parseConfigV1(c)
	case PayloadNATDV1, PayloadNATDDraft00, PayloadNATDDraft04:
		return &NATD{Hash: c.rest("HASH")}
	case PayloadNATOAV1, PayloadNATOADraft00, PayloadNATOADraft04:
		return parseNATOA(c)
	case PayloadFragmentV1:
		return parseFragmentV1(c)
	}
	return &Opaque{Data: c.rest("data")}
}

func (p *parser) bodyV2(t PayloadType, h *Payload, c *cursor) Body {
	switch t {
	case PayloadSA:
		return parseSAV2(c)
	case PayloadKE:
		return parseKEV2(c)
	case PayloadIDi, PayloadIDr:
		return parseIDV2(c)
	case PayloadCert:
		return parseCert(c, 2)
	case PayloadCertReq:
		return parseCertReq(c, 2)
	case PayloadAuth:
		return parseAuth(c)
	case PayloadNonce:
		return &Nonce{Data: c.rest("Nonce Data")}
	case PayloadNotify:
		return parseNotifyV2(c)
	case PayloadDelete:
		return parseDeleteV2(c)
	case PayloadVendorID:
		return &VendorID{Data: c.rest("Vendor ID")}
	case PayloadTSi, PayloadTSr:
		return parseTS(c)
	case PayloadConfig:
		return parseConfigV2(c)
	case PayloadEAP:
		return parseEAP(c)
	case PayloadEncrypted:
		return &Encrypted{Inner: h.Next, Length: h.Length - 4, Data: c.rest("encrypted data")}
	case PayloadEncryptedFrag:
		return parseEncryptedFragment(c, h)
	}
	return &Opaque{Data: c.rest("data")}
}
