package rules

import (
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
)

// KeyFile finds keys that do not fit their algorithms, and files with keys that
// others can read.
var KeyFile = &Rule{
	ID:       "key-file",
	Severity: Warning,
	Title:    "keys in a file are of no use, or open to others",
	Doc: Doc{
		Symptom: "setkey or ifup-ipsec refuses an SA, or everything works while somebody else on the host knows the keys.",
		Cause: "Each algorithm takes keys of certain lengths: AES 128, 192 or 256 bits, HMAC-SHA-1 160, HMAC-SHA-256 256, 3DES 192, and " +
			"the counter modes four bytes more (the salt). And a file that holds keys is as secret as they are: who reads it reads the traffic, " +
			"also what was recorded earlier, since manual keys do not change.",
		Recognised: "In setkey.conf, keys-ipsecN, ifcfg-ipsecN and the output of ip xfrm state or setkey -D: the length of each key against its " +
			"algorithm (an error: the SA does not come to be), and the file's mode: anything that group or others may do with it (a warning). " +
			"The keys themselves are never printed.",
		Remedy: "Make a new key of the right length on both ends. Give files with keys to root alone, mode 0400, and change keys that others " +
			"may have read. Pass ip xfrm output on with nokeys.",
		Sources: []string{
			"RFC 2404, RFC 2451, RFC 3602, RFC 4106, RFC 4868 (key lengths)",
			"ifup-ipsec of Red Hat's initscripts (keys-ipsecN is made with mode 0600)",
		},
	},
	Needs: []string{},
	Audit: checkKeyFile,
}

func checkKeyFile(p *Pass) {
	for _, n := range notesOf(p.Host, analyze.NoteKeyLength) {
		f := p.Finding()
		f.Title = "a key does not fit its algorithm"
		f.Subject, f.Confidence = n.At, Certain
		f.Explanation = "The key has not the length that its algorithm takes: the SA is refused, and what needs it is lost."
		f.Evidence = []Evidence{Saw(p.Looked(), "%s", n.Text)}
		p.Report(f)
	}
	if open := notesOf(p.Host, analyze.NoteKeyMode); len(open) > 0 {
		reportOpenKeys(p, open)
	}
}

func reportOpenKeys(p *Pass, open []analyze.Note) {
	var files, quoted []string
	for _, n := range open {
		files, quoted = append(files, n.Files[0]), append(quoted, shellWord(n.Files[0]))
	}
	f := p.Finding()
	f.Title = "others can read a file with keys"
	f.Subject, f.Confidence = strings.Join(files, " + "), Certain
	f.Explanation = "Others on this host can read the keys in " + strings.Join(files, " and ") + ". Whoever has them can read and forge " +
		"what they protect."
	f.Evidence = noteEvidence(p, open)
	f.Remedies = []remedy.Remedy{{
		Action: "chmod", Params: map[string]string{"files": f.Subject, "mode": "0400"},
		Title:   "give it to its owner alone",
		Command: "chmod 0400 " + strings.Join(quoted, " "),
	}}
	p.Report(f)
}
