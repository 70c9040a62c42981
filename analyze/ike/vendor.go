package ike

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"sync"
)

// VendorID tells what the sender is, or which extension it can do: RFC 2408
// section 3.16, RFC 7296 section 3.12. Most are the MD5 hash of a text, some
// with a version after it.
type VendorID struct{ Data []byte }

// Names of vendor IDs that rules ask for with [Message.HasVendor].
const (
	VendorNATT          = "RFC 3947"
	VendorDPD           = "DPD (RFC 3706)"
	VendorXAUTH         = "XAUTH"
	VendorFragmentation = "FRAGMENTATION"
	VendorUnity         = "CISCO-UNITY"
	VendorStrongSwan    = "strongSwan"
	VendorLibreswan     = "Libreswan"
	VendorOpenswan      = "Openswan"
	VendorWindows       = "MS NT5 ISAKMPOAKLEY"
)

// vendor is one row of the table of known IDs.
type vendor struct {
	name   string
	text   string // the ID is the MD5 hash of this, or of name where neither text nor id is given
	id     string // the ID itself, hexadecimal
	prefix bool   // more bytes may follow: a version, capabilities
	length int    // of the whole ID, where a short prefix alone would say too little
	tail   func([]byte) string
}

func (v vendor) bytes() []byte {
	if v.id != "" {
		b, err := hex.DecodeString(v.id)
		if err != nil {
			return nil // a test holds that there is none
		}
		return b
	}
	text := v.text
	if text == "" {
		text = v.name
	}
	sum := md5.Sum([]byte(text))
	return sum[:]
}

type knownVendor struct {
	vendor
	match []byte
}

// known computes the IDs once, when the first is asked for.
var known = sync.OnceValue(func() []knownVendor {
	out := make([]knownVendor, 0, len(vendors))
	for _, v := range vendors {
		out = append(out, knownVendor{v, v.bytes()})
	}
	return out
})

func (v *VendorID) lookup() (knownVendor, bool) {
	for _, k := range known() {
		switch {
		case !bytes.HasPrefix(v.Data, k.match):
		case k.length > 0 && len(v.Data) != k.length:
		case k.prefix || len(v.Data) == len(k.match):
			return k, true
		}
	}
	return knownVendor{}, false
}

// Known tells whether the table has a name for the ID.
func (v *VendorID) Known() bool {
	_, ok := v.lookup()
	return ok
}

// Name gives the ID's name, with its version where it has one; an unknown ID
// as text where it is all text, else in hexadecimal.
func (v *VendorID) Name() string {
	k, ok := v.lookup()
	switch {
	case !ok && isText(v.Data):
		return fmt.Sprintf("%q", Printable(v.Data))
	case !ok:
		return "unknown " + hexText(v.Data)
	case k.tail != nil && len(v.Data) > len(k.match):
		return k.name + " " + k.tail(v.Data[len(k.match):])
	}
	return k.name
}

// NATTDraft gives the draft of NAT traversal that the ID stands for, such as
// "draft-ietf-ipsec-nat-t-ike-02", or VendorNATT for the RFC; empty for all
// others.
func (v *VendorID) NATTDraft() string {
	k, ok := v.lookup()
	if ok && (k.name == VendorNATT || bytes.HasPrefix([]byte(k.name), []byte("draft-ietf-ipsec-nat-t-ike"))) {
		return k.name
	}
	return ""
}

func (v *VendorID) String() string { return v.Name() }
func (*VendorID) body()            {}

// dotted reads a version of two bytes: major and minor.
func dotted(b []byte) string {
	if len(b) != 2 {
		return hexText(b)
	}
	return fmt.Sprintf("%d.%d", b[0], b[1])
}

// windowsVersion reads the number after MS NT5 ISAKMPOAKLEY: [MS-IKEE]
// section 1.7.
func windowsVersion(b []byte) string {
	names := map[byte]string{2: "(Windows 2000)", 3: "(Windows XP)", 4: "(Windows Server 2003)",
		5: "(Windows Vista)", 6: "(Windows Server 2008)", 7: "(Windows 7)",
		8: "(Windows Server 2008 R2)", 9: "(Windows 8 or later)"}
	if len(b) >= 4 && b[0] == 0 && b[1] == 0 && b[2] == 0 && names[b[3]] != "" {
		return names[b[3]]
	}
	return hexText(b)
}
