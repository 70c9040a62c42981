package rules

import (
	"fmt"
	"slices"
	"strings"

	"ipsecdiag/analyze/ike"
)

// ikeSuite is what one proposal of IKEv2 or one transform of IKEv1 holds: of each
// type the algorithms of which one is to be taken.
type ikeSuite struct {
	algorithms map[ike.TransformType][]ike.Algorithm
	auth       string // IKEv1: the authentication method, which is negotiated with the rest
}

// suiteTypes are the types that must agree, in the order in which both daemons write
// them, with what they are called in a sentence.
var suiteTypes = []struct {
	kind ike.TransformType
	name string
}{
	{ike.TransformEncr, "encryption"},
	{ike.TransformInteg, "integrity"},
	{ike.TransformPRF, "pseudorandom function"},
	{ike.TransformKE, "Diffie-Hellman group"},
}

// attrAuthMethod is IKEv1's attribute Authentication Method (RFC 2409 appendix A).
const attrAuthMethod = 3

// suites takes proposals apart.
func suites(proposals []ike.Proposal) (all []ikeSuite) {
	for _, p := range proposals {
		if p.Major != 1 {
			all = append(all, suiteOf(p.Transforms...))
			continue
		}
		for _, t := range p.Transforms {
			s := suiteOf(t)
			if a := t.Attribute(attrAuthMethod); a != nil {
				s.auth = a.ValueText()
			}
			all = append(all, s)
		}
	}
	return all
}

func suiteOf(transforms ...ike.Transform) ikeSuite {
	s := ikeSuite{algorithms: map[ike.TransformType][]ike.Algorithm{}}
	for _, t := range transforms {
		for _, a := range t.Algorithms() {
			s.algorithms[a.Type] = append(s.algorithms[a.Type], a)
		}
	}
	return s
}

// meet reports whether some suite of one end goes with one of the other.
func meet(a, b []ikeSuite) bool {
	for _, x := range a {
		if slices.ContainsFunc(b, func(y ikeSuite) bool { return x.fits(y) }) {
			return true
		}
	}
	return false
}

func (s ikeSuite) fits(o ikeSuite) bool {
	if s.auth != o.auth {
		return false
	}
	for _, t := range suiteTypes {
		if !overlap(s.algorithms[t.kind], o.algorithms[t.kind]) {
			return false
		}
	}
	return true
}

// overlap reports whether one algorithm is in both, or neither has any.
func overlap(a, b []ike.Algorithm) bool {
	if len(a) == 0 && len(b) == 0 {
		return true
	}
	return slices.ContainsFunc(a, func(x ike.Algorithm) bool {
		return slices.ContainsFunc(b, func(y ike.Algorithm) bool { return sameAlgorithm(x, y) })
	})
}

func sameAlgorithm(x, y ike.Algorithm) bool {
	if !x.Mapped || !y.Mapped {
		return x.Name == y.Name
	}
	return x.ID == y.ID && x.KeyBits == y.KeyBits
}

// apart says in which types two offers have nothing in common: "encryption (aes128
// against aes256)".
func apart(a, b []ikeSuite) string {
	var out []string
	for _, t := range suiteTypes {
		x, y := allOf(a, t.kind), allOf(b, t.kind)
		if !overlap(x, y) {
			out = append(out, fmt.Sprintf("%s (%s against %s)", t.name, keywords(x), keywords(y)))
		}
	}
	if x, y := authMethods(a), authMethods(b); len(out) == 0 && x != y {
		out = append(out, fmt.Sprintf("authentication (%s against %s)", x, y))
	}
	if len(out) == 0 {
		return "each algorithm by itself is known to both, but no proposal has all of them together"
	}
	return "they have nothing in common in " + strings.Join(out, ", ")
}

func allOf(all []ikeSuite, kind ike.TransformType) (found []ike.Algorithm) {
	for _, s := range all {
		for _, a := range s.algorithms[kind] {
			if !slices.ContainsFunc(found, func(o ike.Algorithm) bool { return sameAlgorithm(o, a) }) {
				found = append(found, a)
			}
		}
	}
	return found
}

func authMethods(all []ikeSuite) string {
	var names []string
	for _, s := range all {
		if s.auth != "" && !slices.Contains(names, s.auth) {
			names = append(names, s.auth)
		}
	}
	return strings.Join(names, ", ")
}

func keywords(all []ike.Algorithm) string {
	if len(all) == 0 {
		return "none"
	}
	names := make([]string, len(all))
	for i, a := range all {
		names[i], _ = keyword(a)
	}
	return strings.Join(names, ", ")
}

// maxSuites bounds the suites of an offer that are written out.
const maxSuites = 4

// offerWords writes an offer as it stands in a configuration: aes128-sha256-modp2048.
func offerWords(proposals []ike.Proposal) string {
	all := suites(proposals)
	var out []string
	for i, s := range all {
		if i == maxSuites {
			out = append(out, fmt.Sprintf("… (%d more)", len(all)-i))
			break
		}
		text, _ := s.line()
		if s.auth != "" {
			text += " with " + s.auth
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// proposalsLine is an offer as a value of swanctl.conf's proposals; ok is false where
// something in it has no keyword there.
func proposalsLine(proposals []ike.Proposal) (line string, ok bool) {
	var out []string
	for _, s := range suites(proposals) {
		text, known := s.line()
		if !known {
			return "", false
		}
		out = append(out, text)
	}
	return strings.Join(slices.Compact(out), ","), len(out) > 0
}

// line writes the suite in swanctl.conf's words; known is false where an algorithm
// has none.
func (s ikeSuite) line() (text string, known bool) {
	var names []string
	known = true
	for _, t := range suiteTypes {
		if t.kind == ike.TransformPRF && s.impliesPRF() {
			continue
		}
		for _, a := range s.algorithms[t.kind] {
			name, ok := keyword(a)
			if t.kind == ike.TransformPRF && len(s.algorithms[ike.TransformInteg]) == 0 && s.auth != "" {
				name = strings.TrimPrefix(name, "prf") // IKEv1's hash
			}
			names, known = append(names, name), known && ok
		}
	}
	return strings.Join(names, "-"), known
}

// impliesPRF reports whether the pseudorandom functions are those of the integrity
// algorithms, which no configuration writes.
func (s ikeSuite) impliesPRF() bool {
	names := func(kind ike.TransformType) (out []string) {
		for _, a := range s.algorithms[kind] {
			name, _ := keyword(a)
			out = append(out, strings.TrimPrefix(name, "prf"))
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	return slices.Equal(names(ike.TransformPRF), names(ike.TransformInteg))
}

// keyword returns the name of an algorithm in swanctl.conf; ok is false where there
// is none, and the name is the registry's.
func keyword(a ike.Algorithm) (name string, ok bool) {
	if !a.Mapped {
		return a.Name, false
	}
	switch a.Type {
	case ike.TransformEncr:
		name = cipherKeyword(ike.Encr(a.ID), a.KeyBits)
	case ike.TransformInteg:
		name = integKeywords[ike.Integ(a.ID)]
	case ike.TransformPRF:
		name = prfKeywords[ike.PRF(a.ID)]
	case ike.TransformKE:
		name = groupKeywords[ike.DHGroup(a.ID)]
	}
	if name == "" {
		return a.Name, false
	}
	return name, true
}

func cipherKeyword(e ike.Encr, bits int) string {
	name := map[ike.Encr]string{
		ike.EncrDES: "des", ike.Encr3DES: "3des", ike.EncrNull: "null", ike.EncrChaCha20: "chacha20poly1305",
	}[e]
	pattern := map[ike.Encr]string{
		ike.EncrAESCBC: "aes%d", ike.EncrAESCTR: "aes%dctr", ike.EncrCamelliaCBC: "camellia%d",
		ike.EncrAESCCM8: "aes%dccm8", ike.EncrAESCCM12: "aes%dccm12", ike.EncrAESCCM16: "aes%dccm16",
		ike.EncrAESGCM8: "aes%dgcm8", ike.EncrAESGCM12: "aes%dgcm12", ike.EncrAESGCM16: "aes%dgcm16",
	}[e]
	if pattern != "" && bits > 0 {
		return fmt.Sprintf(pattern, bits)
	}
	return name
}

var integKeywords = map[ike.Integ]string{
	ike.IntegHMACMD5: "md5", ike.IntegHMACSHA1: "sha1", ike.IntegAESXCBC: "aesxcbc", ike.IntegAESCMAC: "aescmac",
	ike.IntegHMACSHA256: "sha256", ike.IntegHMACSHA384: "sha384", ike.IntegHMACSHA512: "sha512",
}

var prfKeywords = map[ike.PRF]string{
	ike.PRFHMACMD5: "prfmd5", ike.PRFHMACSHA1: "prfsha1", ike.PRFAES128XCBC: "prfaesxcbc", ike.PRFAES128CMAC: "prfaescmac",
	ike.PRFHMACSHA256: "prfsha256", ike.PRFHMACSHA384: "prfsha384", ike.PRFHMACSHA512: "prfsha512",
}

var groupKeywords = map[ike.DHGroup]string{
	ike.GroupMODP768: "modp768", ike.GroupMODP1024: "modp1024", ike.GroupMODP1536: "modp1536", ike.GroupMODP2048: "modp2048",
	ike.GroupMODP3072: "modp3072", ike.GroupMODP4096: "modp4096", ike.GroupMODP6144: "modp6144", ike.GroupMODP8192: "modp8192",
	ike.GroupECP256: "ecp256", ike.GroupECP384: "ecp384", ike.GroupECP521: "ecp521", ike.GroupMODP1024S160: "modp1024s160",
	ike.GroupMODP2048S224: "modp2048s224", ike.GroupMODP2048S256: "modp2048s256",
	ike.GroupCurve25519: "curve25519", ike.GroupCurve448: "curve448",
}
