package scrub

import (
	"strings"

	"ipsecdiag/analyze/lazy"
)

// wordTexts says how the texts of what IKE daemons told are treated. Their own
// words are kept; names and identities get stand-ins; what was configured is kept
// where it is an address or a network.
var wordTexts = map[string]func(s *Scrubber, text string) string{
	"Word.Daemon":            keep,
	"Word.Version":           keep,
	"Word.Via":               keep,
	"Word.Gone":              number,
	"Connection.Name":        connection,
	"Connection.IKE":         keep,
	"Connection.LocalAddrs":  configured,
	"Connection.RemoteAddrs": configured,
	"Connection.LocalID":     identity,
	"Connection.RemoteID":    identity,
	"Connection.LocalAuth":   keep,
	"Connection.RemoteAuth":  keep,
	"Child.Name":             connection,
	"Child.Mode":             keep,
	"Child.LocalTS":          configured,
	"Child.RemoteTS":         configured,
	"DaemonSA.ID":            number,
	"DaemonSA.Connection":    connection,
	"DaemonSA.State":         keep,
	"DaemonSA.LocalID":       identity,
	"DaemonSA.RemoteID":      identity,
	"DaemonChild.ID":         number,
	"DaemonChild.Name":       connection,
	"DaemonChild.State":      keep,
	"DaemonChild.Mode":       keep,
	"DaemonChild.LocalTS":    configured,
	"DaemonChild.RemoteTS":   configured,
	"Saying.Connection":      connection,
	"Saying.Child":           connection,
	"Saying.SA":              number,
	"Saying.Line":            line,
}

func connection(s *Scrubber, text string) string { return s.secret.name("conn-", text) }

// identity replaces an identity: one that is an address goes along with it.
func identity(s *Scrubber, text string) string {
	if to, ok := s.token(text); ok {
		return to
	}
	return s.secret.name("id-", text)
}

// configured keeps what is configured where it is an address, a network or a
// word that stands for any.
func configured(s *Scrubber, text string) string {
	if to, ok := s.token(text); ok {
		return to
	}
	switch text {
	case "%any", "%any4", "%any6", "dynamic":
		return text
	}
	return removed
}

var digits = lazy.Regexp(`^\d+$`)

func number(_ *Scrubber, text string) string {
	if digits().MatchString(text) {
		return text
	}
	return removed
}

// ownWords are lines of a daemon's log that name nobody: names stand in quotes,
// brackets or braces, addresses have dots or colons. Proposals are algorithms.
var ownWords = lazy.Regexp(`^([A-Za-z0-9_ ,]+|(received|configured) proposals: [A-Z0-9_/:, ]+|total\.[a-zA-Z0-9_.]+ has risen by \d+)$`)

func line(_ *Scrubber, text string) string {
	if ownWords().MatchString(text) && !strings.HasPrefix(text, "unable to resolve ") {
		return text
	}
	return removed
}
