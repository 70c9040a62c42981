// Package ike decodes ISAKMP, IKEv1 and IKEv2 messages as far as they are in
// the clear: RFC 2407, 2408, 2409 (IKEv1), RFC 7296 (IKEv2), RFC 7383
// (fragmentation), RFC 3947 and 3948 (NAT traversal and ESP in UDP).
//
// It is pure: bytes in, structures out. It decrypts nothing, needs nothing but
// the standard library, and treats every byte as hostile: lengths are checked
// before use, counts are bounded, and text from the wire is only shown through
// [Printable].
//
// [Demux] says what a UDP datagram on port 500 or 4500 holds, [Parse] decodes
// an IKE message. Parse goes as far as it can: on a damaged message it returns
// what could be read together with an error that names the structure, the
// field and the bytes that were left.
//
// Names are those of the IANA registries "Internet Key Exchange Version 2
// (IKEv2) Parameters", "Internet Key Exchange (IKE) Attributes" and "ISAKMP
// Identifiers for IP Security DOI". A value that they do not name keeps its
// number, and is never dropped.
package ike
