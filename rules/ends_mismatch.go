package rules

import (
	"fmt"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/rules/remedy"
)

// EndsMismatch finds files of two ends that do not mirror each other.
var EndsMismatch = &Rule{
	ID:       "ends-mismatch",
	Severity: Error,
	Title:    "the two ends do not mirror each other",
	Doc: Doc{
		Symptom: "Each host's configuration looks right by itself, and nothing gets through: the receiver drops what the sender sends, and " +
			"counts XfrmInNoStates, XfrmInStateProtoError, XfrmInStateModeError or XfrmInTmplMismatch.",
		Cause: "An SA is one thing that stands on two hosts: address, SPI, mode, algorithms and keys must be equal on both. What one end has " +
			"for out, the other must have for in: with ifcfg files IN becomes OUT and SRC becomes DST, and copying a file unturned is the " +
			"usual mistake. Policies must ask for the same on both ends.",
		Recognised: "ipsecdiag check --state A --peer-state B, with the files of both ends, compares the SAs of the pairs of addresses that " +
			"both know (SPI, mode, algorithms, their authenticator's length, keys where both files hold them, encapsulation, extended sequence " +
			"numbers) and the policies (selector, action, templates; priorities and reqids are each host's own matter). SAs that IKE has made " +
			"are expected on the other end only if they stood for a minute when that end was looked at. It is certain where both are " +
			"configurations (setkey.conf, ifcfg), likely where they are dumps: one end may have been changed since.",
		Remedy: "Correct one end after the other's example; keys are compared without being shown. After a change load both ends anew.",
		Sources: []string{
			"RFC 4301 section 4.4.2 (SAD), section 4.4.1 (SPD)",
			"ifup-ipsec of Red Hat's initscripts (SPI_ESP_IN, SPI_ESP_OUT, SRC, DST)",
			"Linux net/xfrm/xfrm_input.c: xfrm_input (XfrmInNoStates, XfrmInStateModeError)",
		},
	},
	Needs: []string{},
	Audit: checkEndsMismatch,
}

func checkEndsMismatch(p *Pass) {
	notes := notesOf(p.Host, analyze.NoteMirror)
	if len(notes) == 0 || len(notes[0].Files) != 2 {
		return
	}
	f := p.Finding()
	files := notes[0].Files
	f.Subject = strings.Join(files, " ↔ ")
	if notes[0].Sure {
		f.Confidence = Certain
	}
	f.Explanation = fmt.Sprintf("What %s says and what %s says do not fit together: %s. What one end sends, the other drops, until "+
		"both agree.", files[0], files[1], plural(uint64(len(notes)), "difference"))
	f.Evidence = noteEvidence(p, notes)
	f.Remedies = []remedy.Remedy{{
		Action: "compare", Params: map[string]string{"local": files[0], "peer": files[1]},
		Title:   "correct one of them, load it on its host, and compare anew",
		Command: compareCommand(files),
	}}
	p.Report(f)
}

// compareCommand is the command that found the difference.
func compareCommand(files []string) string {
	cmd := "ipsecdiag check"
	for i, flag := range []string{" --state ", " --peer-state "} {
		for file := range strings.SplitSeq(files[i], " + ") {
			cmd += flag + shellWord(file)
		}
	}
	return cmd
}

// shellWord quotes a word for a shell where it needs that.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r == '.' || r == '/' || r == '-' || r == '_' || r == '+' || (r >= '0' && r <= '9') || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z')
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func notesOf(h *analyze.Host, kind analyze.NoteKind) (found []analyze.Note) {
	for _, n := range h.Notes {
		if n.Kind == kind {
			found = append(found, n)
		}
	}
	return found
}

// noteEvidence makes evidence of notes, as many as a finding keeps.
func noteEvidence(p *Pass, notes []analyze.Note) (ev []Evidence) {
	for i, n := range notes {
		if i == maxEvidence-1 && len(notes) > maxEvidence {
			return append(ev, Saw(p.Looked(), "and %d more", len(notes)-i))
		}
		ev = append(ev, Saw(p.Looked(), "%s", n.Text))
	}
	return ev
}
