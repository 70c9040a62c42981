package remedy

import (
	"slices"
	"strings"

	"ipsecdiag/analyze/spd"
)

// algorithm is one that may be used with manual keys, under all of its names.
type algorithm struct {
	name   string // as it is offered
	others []string
	kernel string
	setkey string // of setkey and ifcfg files; empty where they have none
	bits   int    // length of the key
	icv    int    // length of the authenticator, 0 for encryption
	legacy bool   // only where --legacy is given
	// narrower is set where setkey and PF_KEY have a shorter authenticator than
	// icv: they cannot say the length, and the kernel cuts hmac(sha256) to 96
	// bits, not to the 128 of RFC 4868.
	narrower bool
}

// encryption and authentication hold the first of each as the default, and the
// first that is legacy as the default with --legacy: what ifup-ipsec took.
var (
	encryption = []algorithm{
		{name: "aes256", others: []string{"aes-cbc-256", "aes-256", "aes256-cbc"}, kernel: "cbc(aes)", setkey: "aes-cbc", bits: 256},
		{name: "aes192", others: []string{"aes-cbc-192", "aes-192", "aes192-cbc"}, kernel: "cbc(aes)", setkey: "aes-cbc", bits: 192},
		{name: "aes128", others: []string{"aes-cbc-128", "aes-128", "aes128-cbc"}, kernel: "cbc(aes)", setkey: "aes-cbc", bits: 128},
		{name: "3des", others: []string{"3des-cbc", "cbc(des3_ede)"}, kernel: "cbc(des3_ede)", setkey: "3des-cbc", bits: 192, legacy: true},
	}
	authentication = []algorithm{
		{name: "sha256", others: []string{"hmac-sha256", "hmac-sha2-256", "hmac(sha256)", "hmac-sha-256-128", "sha256-128"}, kernel: "hmac(sha256)", setkey: "hmac-sha256", bits: 256, icv: 128, narrower: true},
		{name: "sha384", others: []string{"hmac-sha384", "hmac-sha2-384", "hmac(sha384)"}, kernel: "hmac(sha384)", setkey: "hmac-sha384", bits: 384, icv: 192},
		{name: "sha512", others: []string{"hmac-sha512", "hmac-sha2-512", "hmac(sha512)"}, kernel: "hmac(sha512)", setkey: "hmac-sha512", bits: 512, icv: 256},
		{name: "sha1", others: []string{"hmac-sha1", "hmac(sha1)"}, kernel: "hmac(sha1)", setkey: "hmac-sha1", bits: 160, icv: 96, legacy: true},
		{name: "md5", others: []string{"hmac-md5", "hmac(md5)"}, kernel: "hmac(md5)", setkey: "hmac-md5", bits: 128, icv: 96, legacy: true},
	}
)

// counterModes are parts of names of algorithms that count.
var counterModes = []string{"gcm", "ccm", "ctr", "gmac", "chacha", "poly1305", "rfc4106", "rfc4309", "rfc4543", "rfc3686", "rfc7539"}

// spd returns the algorithm for an SA.
func (a *algorithm) spd() *spd.Algorithm {
	return &spd.Algorithm{Name: a.kernel, KeyBits: a.bits, ICVBits: a.icv}
}

// choose returns the algorithm of that name, the default for "". A name without
// a key length, such as aes-cbc, takes that of the key that is given.
func choose(all []algorithm, name string, legacy bool, keyBits int) (*algorithm, error) {
	name = strings.ToLower(name)
	for _, part := range counterModes {
		if strings.Contains(name, part) {
			return nil, refuse(CounterMode, "%s counts, and manual keys begin to count anew with each restart, which gives the traffic away "+
				"(RFC 8221 section 3): use aes256 with sha256", name)
		}
	}
	var named []*algorithm
	for i := range all {
		a := &all[i]
		if name == "" && a.legacy == legacy {
			return a, nil
		}
		if a.name == name || slices.Contains(a.others, name) || a.kernel == name || a.setkey == name {
			named = append(named, a)
		}
	}
	if len(named) == 0 {
		return nil, refuse(Algorithm, "unknown algorithm %q: known are %s", name, known(all, legacy))
	}
	a := named[0]
	if legacy {
		a = named[len(named)-1] // aes-cbc of old files has 128 bits
	}
	for _, o := range named {
		if o.bits == keyBits {
			a = o
		}
	}
	if a.legacy && !legacy {
		return nil, refuse(Algorithm, "%s is for old peers only: say --legacy if this is one, else take one of %s", a.name, known(all, false))
	}
	return a, nil
}

func known(all []algorithm, legacy bool) string {
	var s []string
	for _, a := range all {
		if legacy || !a.legacy {
			s = append(s, a.name)
		}
	}
	return strings.Join(s, ", ")
}
