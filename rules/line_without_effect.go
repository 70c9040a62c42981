package rules

import "ipsecdiag/analyze"

// LineWithoutEffect finds lines that do not do what they say.
var LineWithoutEffect = &Rule{
	ID:       "line-without-effect",
	Severity: Warning,
	Title:    "a line does not do what it says",
	Doc: Doc{
		Symptom: "The configuration says that traffic is protected, or has two lines for the same packets; the kernel has something else.",
		Cause: "setkey takes \"-P out ipsec\" without any request and makes a policy without templates of it: its packets pass in the clear. " +
			"An ifcfg file without keys for a direction makes a bypass. Of two policies with one selector in one direction the kernel refuses the " +
			"second (EEXIST), whatever its priority, and of two SAs with one destination, protocol and SPI likewise.",
		Recognised: "Reading setkey.conf, ifcfg-ipsecN or a dump as setkey, ifup-ipsec and the kernel would: certain.",
		Remedy:     "Add what is missing to the line, or take the second of the two lines out, or make it spdupdate.",
		Sources: []string{
			"Linux net/key/af_key.c: pfkey_spdadd, parse_ipsecrequests",
			"Linux net/xfrm/xfrm_policy.c: xfrm_policy_insert (EEXIST); net/xfrm/xfrm_state.c: xfrm_state_add",
		},
	},
	Needs: []string{},
	Audit: checkLineWithoutEffect,
}

func checkLineWithoutEffect(p *Pass) {
	for _, n := range notesOf(p.Host, analyze.NoteNoEffect) {
		f := p.Finding()
		f.Subject, f.Confidence = n.At, Certain
		f.Explanation = capitalised(n.Text) + "."
		f.Evidence = []Evidence{Saw(p.Looked(), "%s: %s", n.At, n.Text)}
		p.Report(f)
	}
}
