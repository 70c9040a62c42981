package text

import (
	"slices"
	"strings"

	"ipsecdiag/analyze/lazy"
)

// Kind is a format of text.
type Kind uint8

// The formats.
const (
	KindUnknown    Kind = iota
	KindEmpty           // nothing in it, as `ip xfrm state` without SAs prints
	KindIPXfrm          // ip xfrm policy, ip xfrm state, or one after the other
	KindSetkeyDump      // setkey -DP, setkey -D
	KindSetkeyConf      // what setkey -f reads
	KindIfcfg           // ifcfg-ipsecN
	KindIfcfgKeys       // keys-ipsecN
)

var kindNames = [...]string{
	"unknown", "empty", "ip xfrm output", "setkey output", "setkey.conf", "ifcfg file", "keys file of an ifcfg file",
}

// String says in words what the format is.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Detect says what kind of text b is, by the first line that tells.
func Detect(b []byte) Kind {
	if len(b) > maxInput {
		return KindUnknown
	}
	kind := KindEmpty
	for l := range lines(b) {
		if idle(l.text) {
			continue
		}
		if kind = classify(l.text); kind != KindUnknown {
			break
		}
	}
	if kind == KindIfcfg && onlyKeys(b) {
		return KindIfcfgKeys
	}
	return kind
}

// prompt is what a terminal shows before the output, and after it: a prompt,
// with the command that prints these formats or with none.
var prompt = lazy.Regexp(`^(\S*[@~:]\S*[#$%>]|\[[^\]]*\][#$%>]|[#$%>])?\s*` +
	`((sudo\s+)?(\S*/)?(ip(\s+-\S+)*\s+x\S*\s+[ps]\S*(\s+(list|ls|show|nosock|nokeys))*|setkey(\s+-[aDP]+)+))?\s*$`)

// idle reports whether a line of a dump says nothing.
func idle(text string) bool {
	t := strings.TrimSpace(text)
	return blank(t) || (len(t) < 200 && prompt().MatchString(t))
}

// blank reports whether a line is empty or a comment.
func blank(text string) bool {
	t := strings.TrimSpace(text)
	return t == "" || t[0] == '#'
}

var (
	assignment  = lazy.Regexp(`^(export +)?[A-Z][A-Z0-9_]*=`)
	dumpPolicy  = lazy.Regexp(`^(in|out|fwd)( +prio.*)? +(discard|none|ipsec|entrust|bypass)$`)
	dumpSA      = lazy.Regexp(`^(natt\+)?[a-z0-9-]+ mode=[a-z0-9]+ +spi=[0-9]+\(0x`)
	dumpHeader  = lazy.Regexp(`^(\(per-socket policy\)|No S[AP]D entries)`)
	confCommand = []string{
		"add", "delete", "deleteall", "get", "getspi", "flush", "dump", "exit", "quit", "bye",
		"spdadd", "spdupdate", "spddelete", "spddump", "spdflush",
	}
)

func classify(text string) Kind {
	t := strings.TrimSpace(text)
	first, _, _ := strings.Cut(strings.ReplaceAll(t, "\t", " "), " ")
	switch {
	case first == "src" && strings.Contains(t, " dst "):
		return KindIPXfrm
	case dumpPolicy().MatchString(t), dumpSA().MatchString(t), dumpHeader().MatchString(t):
		return KindSetkeyDump
	case slices.Contains(confCommand, strings.TrimSuffix(first, ";")):
		return KindSetkeyConf
	case assignment().MatchString(t):
		return KindIfcfg
	}
	return KindUnknown
}

// onlyKeys reports whether all that is assigned is a secret.
func onlyKeys(b []byte) bool {
	for l := range lines(b) {
		t := strings.TrimPrefix(strings.TrimSpace(l.text), "export ")
		if !blank(l.text) && !strings.HasPrefix(t, "KEY_") && !strings.HasPrefix(t, "IKE_PSK=") {
			return false
		}
	}
	return true
}
