package ike

// IVLength is the length of the IV that each message carries, bytes; 0 where it is
// not known or there is none (RFC 3602, 2451, 3686, 4106, 4309, 7634).
func (e Encr) IVLength() int {
	switch e {
	case EncrAESCBC, EncrCamelliaCBC:
		return 16
	case EncrDES, Encr3DES, EncrRC5, EncrIDEA, EncrCAST, EncrBlowfish,
		EncrAESCTR, EncrAESCCM8, EncrAESCCM12, EncrAESCCM16, EncrAESGCM8, EncrAESGCM12, EncrAESGCM16, EncrChaCha20:
		return 8
	}
	return 0
}

// ICVLength is the length of the checksum that the cipher makes by itself, bytes; 0
// where an integrity algorithm makes it, or it is not known.
func (e Encr) ICVLength() int {
	switch e {
	case EncrAESCCM8, EncrAESGCM8:
		return 8
	case EncrAESCCM12, EncrAESGCM12:
		return 12
	case EncrAESCCM16, EncrAESGCM16, EncrChaCha20:
		return 16
	}
	return 0
}

// ICVLength is the length of the checksum in a message, bytes; 0 where it is not
// known (RFC 7296 section 3.3.2, RFC 4868).
func (i Integ) ICVLength() int {
	switch i {
	case IntegHMACMD5, IntegHMACSHA1, IntegAESXCBC, IntegAESCMAC:
		return 12
	case IntegHMACSHA256:
		return 16
	case IntegHMACSHA384:
		return 24
	case IntegHMACSHA512:
		return 32
	}
	return 0
}

// Length is how many bytes the function gives; 0 where it is not known.
func (p PRF) Length() int {
	switch p {
	case PRFHMACMD5, PRFAES128XCBC, PRFAES128CMAC:
		return 16
	case PRFHMACSHA1:
		return 20
	case PRFHMACTiger:
		return 24
	case PRFHMACSHA256:
		return 32
	case PRFHMACSHA384:
		return 48
	case PRFHMACSHA512:
		return 64
	}
	return 0
}
