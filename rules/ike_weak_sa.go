package rules

import (
	"fmt"
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// weakKernel are the weak algorithms by the kernel's names (xfrm_algo.c): RFC 8221
// sections 5 and 6.
var weakKernel = map[string]weakness{
	"cbc(des)":         {name: "DES", why: "MUST NOT be used: RFC 8221"},
	"cbc(des3_ede)":    {name: "3DES", why: "SHOULD NOT be used: RFC 8221"},
	"cbc(blowfish)":    {name: "Blowfish", why: "deprecated: RFC 9395"},
	"cbc(cast5)":       {name: "CAST", why: "deprecated: RFC 9395"},
	"ecb(cipher_null)": {name: "NULL", why: "encrypts nothing"},
	"cipher_null":      {name: "NULL", why: "encrypts nothing"},
	"hmac(md5)":        {name: "HMAC-MD5", why: "MUST NOT be used: RFC 8221"},
	"hmac(sha1)":       {name: "HMAC-SHA1", why: "on its way out: RFC 8221 MUST-"},
	"digest_null":      {name: "no integrity", why: "anybody can change what is sent"},
}

// auditWeakSAs looks at the SAs that a kernel holds.
func auditWeakSAs(p *Pass) {
	type found struct {
		weak []weakness
		sas  []*spd.SA
	}
	byPair := map[analyze.PairKey]*found{}
	var order []analyze.PairKey
	for i := range p.Host.DB.SAs {
		sa := &p.Host.DB.SAs[i]
		weak := weakSA(sa)
		if len(weak) == 0 {
			continue
		}
		k := analyze.MakePairKey(sa.Src, sa.Dst)
		if byPair[k] == nil {
			byPair[k] = &found{}
			order = append(order, k)
		}
		f := byPair[k]
		f.sas = append(f.sas, sa)
		for _, w := range weak {
			if !slices.Contains(f.weak, w) {
				f.weak = append(f.weak, w)
			}
		}
	}
	for _, k := range order {
		reportWeakSAs(p, k, byPair[k].weak, byPair[k].sas)
	}
}

// weakSA lists what is weak about an SA. One that is being made has no algorithms.
func weakSA(sa *spd.SA) (out []weakness) {
	if sa.Larval() {
		return nil
	}
	for _, a := range []*spd.Algorithm{sa.Enc, sa.Auth} {
		if a == nil {
			continue
		}
		if w, ok := weakKernel[a.Name]; ok {
			out = append(out, w)
		}
	}
	if sa.Proto == spd.ProtoESP && sa.Enc != nil && sa.Auth == nil && sa.AEAD == nil {
		out = append(out, weakKernel["digest_null"])
	}
	return out
}

func reportWeakSAs(p *Pass, k analyze.PairKey, weak []weakness, sas []*spd.SA) {
	f := p.PairFinding(k.A, k.B)
	f.Subject = fmt.Sprintf("SAs of %s", k)
	f.Confidence = Certain
	f.Explanation = fmt.Sprintf("SAs between %s and %s use %s.", k.A, k.B, weakWords(weak))
	for i, sa := range sas {
		if i == maxOffersShown {
			f.Evidence = append(f.Evidence, Saw(p.Looked(), "and %s more", plural(uint64(len(sas)-i), "SA")))
			break
		}
		f.Evidence = append(f.Evidence, Saw(p.Looked(), "%s: %s", sa, saAlgorithms(sa)))
	}
	f.Remedies = []remedy.Remedy{betterProposals("esp_proposals = aes128gcm16")}
	if len(p.Host.Daemons()) == 0 {
		f.Remedies = []remedy.Remedy{strongManualSAs(p, k)}
	}
	p.Report(f)
}

// strongManualSAs makes the SAs by hand anew: AES-CBC with HMAC-SHA-256-128.
func strongManualSAs(p *Pass, k analyze.PairKey) remedy.Remedy {
	local, peer := k.A, k.B
	if p.Host.Owns(k.B) {
		local, peer = k.B, k.A
	}
	return remedy.Remedy{
		Action: "manual-sa", Params: map[string]string{"local": local.String(), "peer": peer.String()},
		Title:   "make the SAs anew with AES-CBC and HMAC-SHA-256-128; the second file is for the peer",
		Command: fmt.Sprintf("ipsecdiag fix manual-sa --local %s --peer %s --peer-script peer.ip", local, peer),
	}
}

// saAlgorithms names the algorithms of an SA as the kernel does.
func saAlgorithms(sa *spd.SA) string {
	var names []string
	for _, a := range []*spd.Algorithm{sa.Enc, sa.Auth, sa.AEAD} {
		if a != nil {
			names = append(names, a.Name)
		}
	}
	return strings.Join(names, ", ")
}
