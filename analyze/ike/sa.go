package ike

import (
	"fmt"
	"strings"
)

// Domains of interpretation: RFC 2407, RFC 6407.
const (
	DOIISAKMP uint32 = 0
	DOIIPsec  uint32 = 1
	DOIGDOI   uint32 = 2
)

var doiNames = map[uint32]string{0: "ISAKMP", 1: "IPSEC", 2: "GDOI"}

// situationIdentityOnly is the only situation in use: RFC 2407 section 4.2.
const situationIdentityOnly = 1

// SA is the proposals of one side, or the one that was chosen.
type SA struct {
	DOI       uint32 // IKEv1 only
	Situation uint32 // IKEv1 only
	Proposals []Proposal
}

func (s *SA) String() string { return plural(len(s.Proposals), "proposal") }
func (*SA) body()            {}

// Proposal offers transforms for one protocol. IKEv1 transforms are whole
// suites of which one is chosen, and proposals with one number belong together
// (ESP and IPCOMP). IKEv2 transforms are building blocks, of which one per
// type is chosen.
type Proposal struct {
	Major      uint8 // of the IKE version, which the names depend on
	Number     uint8
	Protocol   ProtocolID
	SPI        []byte
	Count      uint8 // of transforms, as the header says
	Transforms []Transform
}

// String gives the offer in one line: "1 ESP: ENCR_AES_CBC-128, ESN". IKEv1's
// suites stand one after the other, parted by semicolons.
func (p Proposal) String() string {
	names := make([]string, len(p.Transforms))
	for i, t := range p.Transforms {
		names[i] = t.String()
	}
	return fmt.Sprintf("%d %s: %s", p.Number, p.Protocol.Name(p.Major),
		strings.Join(names, byVersion(p.Major, "; ", ", ")))
}

// parseSAV1 reads an IKEv1 SA payload: RFC 2408 section 3.4, RFC 2407 section
// 4.6.1.
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                 Domain of Interpretation (DOI)                |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                           Situation                           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                           Proposals                           ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
func parseSAV1(c *cursor) *SA {
	s := &SA{DOI: c.u32("DOI")}
	if c.err == nil && s.DOI != DOIIPsec && s.DOI != DOIISAKMP {
		c.fail("DOI", "%s is not decoded", named(doiNames, s.DOI, "DOI"))
		return s
	}
	s.Situation = c.u32("Situation")
	if c.err == nil && s.Situation&^situationIdentityOnly != 0 {
		// Labels of secrecy and integrity would follow here.
		c.fail("Situation", "%#x is not decoded", s.Situation)
		return s
	}
	s.Proposals = parseProposals(c, 1)
	return s
}

// parseSAV2 reads an IKEv2 SA payload: proposals alone, RFC 7296 section 3.3.
func parseSAV2(c *cursor) *SA { return &SA{Proposals: parseProposals(c, 2)} }

// parseProposals reads the list of proposals. A substructure's first byte
// says whether another follows: 2 for a proposal, 3 for a transform, 0 after
// the last.
func parseProposals(c *cursor, major uint8) []Proposal {
	var out []Proposal
	more := true
	for more && c.err == nil {
		if len(out) == maxProposals {
			c.fail("Proposal", "more than %d", maxProposals)
			break
		}
		c.in = "Proposal"
		s, next, ok := substruct(c, 2)
		if !ok {
			break
		}
		more = next
		out = append(out, parseProposal(&s, major))
		c.adopt(&s)
	}
	return out
}

// substruct reads the four bytes that proposals and transforms begin with and
// opens a cursor on the rest; RFC 2408 sections 3.5 and 3.6, RFC 7296 sections
// 3.3.1 and 3.3.2. ok is false where they are damaged.
func substruct(c *cursor, self uint8) (inner cursor, more, ok bool) {
	next := c.u8("Last Substruc")
	c.u8("RESERVED")
	n := int(c.u16("Length"))
	switch {
	case c.err != nil:
		return inner, false, false
	case n < 4:
		c.fail("Length", "%d is less than the header's own 4", n)
		return inner, false, false
	case next != 0 && next != self:
		c.fail("Last Substruc", "%d is neither 0 nor %d", next, self)
		return inner, false, false
	}
	return c.sub(c.in, "Length", n-4), next == self, true
}

// parseProposal reads what follows a proposal's first four bytes; it is the
// same in both versions (RFC 2408 section 3.5, RFC 7296 section 3.3.1):
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| 0 (last) or 2 |   RESERVED    |        Proposal Length        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Proposal Num  |  Protocol ID  |   SPI Size    |Num Transforms |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                        SPI (variable)                         ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                          Transforms                           ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
func parseProposal(c *cursor, major uint8) Proposal {
	p := Proposal{Major: major, Number: c.u8("Proposal Num"), Protocol: ProtocolID(c.u8("Protocol ID"))}
	size := c.u8("SPI Size")
	p.Count = c.u8("Num Transforms")
	p.SPI = c.bytes("SPI", int(size))
	more := p.Count > 0 || c.left() > 0
	for more && c.err == nil {
		if len(p.Transforms) == maxTransforms {
			c.fail("Transform", "more than %d", maxTransforms)
			break
		}
		c.in = "Transform"
		s, next, ok := substruct(c, 3)
		if !ok {
			break
		}
		more = next
		p.Transforms = append(p.Transforms, parseTransform(&s, p))
		c.adopt(&s)
	}
	c.in = "Proposal"
	if c.err == nil && len(p.Transforms) != int(p.Count) {
		c.fail("Num Transforms", "%d announced, %d there", p.Count, len(p.Transforms))
	}
	if c.err == nil && c.left() > 0 {
		c.fail("Length", "bytes after the last transform")
	}
	return p
}
