package rules

import (
	"fmt"
	"math/bits"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// ESPBadKey finds an SA that can verify nothing of what comes under it.
var ESPBadKey = &Rule{
	ID:       "esp-bad-key",
	Severity: Error,
	Title:    "nothing that comes under an SA can be verified",
	Doc: Doc{
		Symptom: "SAs stand at both ends, with the right SPIs, and packets go out and arrive; and still nothing gets through in one direction or in both.",
		Cause: "The two ends of an SA have different keys or algorithms, so that the receiver's integrity check fails for every packet. With keys " +
			"set by hand it is a slip of the pen, or the word auth in place of auth-trunc: Linux cuts HMAC-SHA-256 to 96 bits then, the standard " +
			"to 128 (RFC 4868). With IKE the keys cannot differ; what is left is a peer that cuts to 96 bits as old ones did, or something that " +
			"alters every packet on the way, such as an offload that does not work.",
		Recognised: "The receiving SA's own counter of failed integrity checks (ip -s xfrm state: failed) rises with XfrmInStateProtoError, and " +
			"not one packet passes. Certain where the SAs were made by hand or the two ends' algorithms are seen to differ. Which of the two it " +
			"is, key or algorithm, is told where both ends' SAs are seen, or where the packets' lengths fit another integrity value than the " +
			"receiver's; keys are never looked at. Where the cipher's key alone differs the integrity check passes, and this rule does not find it.",
		Remedy: "Set the same algorithm, truncation and keys at both ends, at best with new keys: ipsecdiag fix manual-sa makes them, and ipsecdiag " +
			"check with --peer-state compares the two ends. Better still, let IKE make the keys.",
		Sources: []string{
			"RFC 4303 section 3.4.4 (integrity check), RFC 4868 section 2.3 (truncation to 128 bits)",
			"Linux net/xfrm/xfrm_input.c: xfrm_input (XfrmInStateProtoError, stats.integrity_failed)",
			"ip-xfrm(8): auth, auth-trunc",
		},
	},
	Check: checkBadKey,
}

func checkBadKey(p *Pass) {
	if !p.dropping(analyze.XfrmInStateProtoError) {
		return
	}
	for f := range p.inbound() {
		if f.sa == nil {
			continue
		}
		r := p.Host.Refusals(f.sa)
		switch {
		case r == nil || r.Refused.IntegrityFailed < fewESP:
		case r.PassedSince > 0:
			if p.found {
				p.ResolvePair(f.Last, "packets under %s pass", flowWords(f.Key))
			}
		case !p.Exceeded(r.Last, espNow):
			reportBadKey(p, f, r)
			return
		}
	}
}

func reportBadKey(p *Pass, f inboundFlow, r *analyze.SARefusals) {
	sender := p.senderSA(f.Key)
	words, differ := algorithmWords(f, sender)
	rep := p.Finding()
	rep.Confidence = Likely
	if differ || p.byHand() {
		rep.Confidence = Certain
	}
	rep.Explanation = fmt.Sprintf("%s that %s sent under %s failed %s's integrity check, and none has passed it. %s",
		plural(uint64(r.Refused.IntegrityFailed), "packet"), f.Key.Src, flowWords(f.Key), f.Key.Dst, words)
	if !differ && !p.byHand() {
		rep.Explanation += " With keys that IKE made this is rare: it may also be that something alters the packets on the way, such as an " +
			"offload that does not work."
	}
	rep.Evidence = append(flowEvidence(f.FlowTotal),
		Saw(r.First, "the SA of %s: %s", f.Key.Dst, saWords(f.sa)),
		Saw(r.Last, "it has refused %s (integrity), passed none", plural(uint64(r.Refused.IntegrityFailed), "packet")))
	if n, _, last := p.Host.Rise(analyze.XfrmInStateProtoError, f.First.Mono); n > 0 {
		rep.Evidence = append(rep.Evidence, Saw(last, "XfrmInStateProtoError has risen by %d", n))
	}
	rep.Remedies = []remedy.Remedy{sameAlgorithms(f)}
	p.Report(rep)
}

// algorithmWords says what is known of the difference between the two ends of an SA,
// and whether their algorithms are seen to differ.
func algorithmWords(f inboundFlow, sender *spd.SA) (words string, differ bool) {
	if sender != nil {
		if a, b := authWords(sender), authWords(f.sa); a != b {
			return fmt.Sprintf("%s protects with %s, %s checks with %s: the two do not fit.", f.Key.Src, a, f.Key.Dst, b), true
		}
		return "Both ends have the same algorithms: the keys differ.", false
	}
	if icv, ok := lengthsFit(f); ok {
		return fmt.Sprintf("The packets' lengths tell that %s adds an integrity value of %d bits, and %s expects %d: the algorithms do not fit.",
			f.Key.Src, icv, f.Key.Dst, icvBits(f.sa)), true
	}
	return "The two ends have different keys, or different algorithms.", false
}

// authWords names what an SA protects integrity with.
func authWords(s *spd.SA) string {
	a := s.Auth
	if s.AEAD != nil {
		a = s.AEAD
	}
	if a == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s cut to %d bits", a.Name, icvBits(s))
}

// icvBits returns the length of an SA's integrity value: 96 bits where an HMAC is
// not told how much to leave (xfrm_aalg_list: icv_truncbits).
func icvBits(s *spd.SA) int {
	for _, a := range []*spd.Algorithm{s.AEAD, s.Auth} {
		if a != nil && a.ICVBits != 0 {
			return a.ICVBits
		}
	}
	return 96
}

// lengthsFit compares the lengths of an SA's packets with what its algorithms give,
// and returns the length of the integrity value, bits, that they fit instead. With
// AES in CBC mode a packet has 8 octets of header, an initialisation vector and
// ciphertext of whole 16 octet blocks, and the integrity value (RFC 4303 section 2,
// RFC 3602): its length modulo 16 tells the latter's.
func lengthsFit(f inboundFlow) (icv int, ok bool) {
	s := f.sa
	if s.Enc == nil || s.Enc.Name != "cbc(aes)" || s.Auth == nil || bits.OnesCount16(f.Lengths) != 1 {
		return 0, false
	}
	rest := (bits.TrailingZeros16(f.Lengths) - 8 + 16) % 16
	if rest == icvBits(s)/8%16 {
		return 0, false
	}
	switch rest { // the truncations that RFC 2403, 2404, 4868 know
	case 12:
		return 96, true
	case 0:
		return 128, true
	case 8:
		return 192, true
	}
	return 0, false
}

// sameAlgorithms is the remedy for ends that differ.
func sameAlgorithms(f inboundFlow) remedy.Remedy {
	return remedy.Remedy{
		Action: "compare-ends", Params: map[string]string{"local": f.Key.Dst.String(), "peer": f.Key.Src.String()},
		Title: fmt.Sprintf("compare the two ends' SAs: save %s's by \"ip xfrm policy; ip xfrm state\" in peer.txt (it holds keys: keep it to yourself), then "+
			"run this here; new keys are made by ipsecdiag fix manual-sa", f.Key.Src),
		Command: "ipsecdiag check --peer-state peer.txt",
	}
}
