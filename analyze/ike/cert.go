package ike

import "fmt"

// CertEncoding says what a certificate payload holds.
type CertEncoding uint8

var certNamesV1 = map[CertEncoding]string{
	0: "NONE", 1: "PKCS #7 wrapped X.509 certificate", 2: "PGP Certificate", 3: "DNS Signed Key",
	4: "X.509 Certificate - Signature", 5: "X.509 Certificate - Key Exchange", 6: "Kerberos Tokens",
	7: "Certificate Revocation List (CRL)", 8: "Authority Revocation List (ARL)", 9: "SPKI Certificate",
	10: "X.509 Certificate - Attribute",
}

var certNamesV2 = map[CertEncoding]string{
	1: "PKCS #7 wrapped X.509 certificate", 2: "PGP Certificate", 3: "DNS Signed Key",
	4: "X.509 Certificate - Signature", 6: "Kerberos Token", 7: "Certificate Revocation List (CRL)",
	8: "Authority Revocation List (ARL)", 9: "SPKI Certificate", 10: "X.509 Certificate - Attribute",
	11: "Raw RSA Key (DEPRECATED)", 12: "Hash and URL of X.509 certificate",
	13: "Hash and URL of X.509 bundle", 14: "OCSP Content", 15: "Raw Public Key",
}

// Name gives the registry's name for the major version.
func (e CertEncoding) Name(major uint8) string {
	return named(byVersion(major, certNamesV1, certNamesV2), e, "certificate encoding")
}

// Certificate is a certificate or the like: RFC 2408 section 3.9, RFC 7296
// section 3.6.
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Cert Encoding |                                               |
//	+-+-+-+-+-+-+-+-+                                               |
//	~                       Certificate Data                        ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Certificate struct {
	Major    uint8
	Encoding CertEncoding
	Data     []byte
}

func parseCert(c *cursor, major uint8) *Certificate {
	return &Certificate{Major: major, Encoding: CertEncoding(c.u8("Cert Encoding")), Data: c.rest("Certificate Data")}
}

func (x *Certificate) String() string {
	return fmt.Sprintf("%s, %s", x.Encoding.Name(x.Major), plural(len(x.Data), "byte"))
}
func (*Certificate) body() {}

// CertificateRequest names authorities whose certificates are welcome: RFC
// 2408 section 3.10 (one, as a distinguished name), RFC 7296 section 3.7 (SHA-1
// hashes of their public keys).
type CertificateRequest struct {
	Major     uint8
	Encoding  CertEncoding
	Authority []byte
}

func parseCertReq(c *cursor, major uint8) *CertificateRequest {
	return &CertificateRequest{Major: major, Encoding: CertEncoding(c.u8("Cert Encoding")),
		Authority: c.rest("Certification Authority")}
}

// Hashes lists the SHA-1 hashes of IKEv2; nil where they are none.
func (r *CertificateRequest) Hashes() [][]byte {
	const size = 20
	if r.Major != 2 || len(r.Authority)%size != 0 {
		return nil
	}
	var out [][]byte
	for i := 0; i < len(r.Authority); i += size {
		out = append(out, r.Authority[i:i+size])
	}
	return out
}

func (r *CertificateRequest) String() string {
	name := r.Encoding.Name(r.Major)
	switch {
	case len(r.Authority) == 0:
		return name + ", any"
	case r.Major == 1:
		return name + ", " + dnText(r.Authority)
	}
	return fmt.Sprintf("%s, of %s", name, plural(len(r.Hashes()), "authority key"))
}
func (*CertificateRequest) body() {}

// AuthMethod is how an IKEv2 peer proves itself: RFC 7296 section 3.8.
type AuthMethod uint8

var authMethodNames = map[AuthMethod]string{
	1: "RSA Digital Signature", 2: "Shared Key Message Integrity Code", 3: "DSS Digital Signature",
	9: "ECDSA with SHA-256 on the P-256 curve", 10: "ECDSA with SHA-384 on the P-384 curve",
	11: "ECDSA with SHA-512 on the P-521 curve", 12: "Generic Secure Password Authentication Method",
	13: "NULL Authentication", 14: "Digital Signature",
}

func (a AuthMethod) String() string { return named(authMethodNames, a, "authentication method") }

// Authentication is the AUTH payload: RFC 7296 section 3.8.
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Auth Method   |                   RESERVED                    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                      Authentication Data                      ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Authentication struct {
	Method AuthMethod
	Data   []byte
}

func parseAuth(c *cursor) *Authentication {
	a := &Authentication{Method: AuthMethod(c.u8("Auth Method"))}
	c.bytes("RESERVED", 3)
	a.Data = c.rest("Authentication Data")
	return a
}

func (a *Authentication) String() string {
	return fmt.Sprintf("%s, %s", a.Method, plural(len(a.Data), "byte"))
}
func (*Authentication) body() {}
