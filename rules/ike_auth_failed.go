package rules

import (
	"fmt"
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/ike"
	"ipsecdiag/rules/remedy"
)

// IKEAuthFailed finds IKE SAs whose ends do not believe each other's identity.
var IKEAuthFailed = &Rule{
	ID:       "ike-auth-failed",
	Severity: Error,
	Title:    "authentication fails",
	Doc:      ikeAuthFailedDoc,
	Check:    checkIKEAuthFailed,
}

func checkIKEAuthFailed(p *Pass) {
	latest := ikeAttempts(p)
	switch {
	case latest.sa == nil:
	case latest.end == ikeUnproved && p.Passed(latest.answer, ikeSettle):
		reportAuthFailed(p, latest, attemptsLike(p, latest))
	case latest.end == ikeSpurned && p.Passed(latest.answer, ikeSettle) && !ofUse(p, latest.sa):
		reportAuthFailed(p, latest, attemptsLike(p, latest))
	case latest.end >= ikeChildless:
		p.ResolvePair(latest.answer, "both ends have authenticated each other")
	}
}

// ofUse reports whether the IKE SA has brought what it was for: ESP began after it
// did, or this host's kernel has SAs between the two.
func ofUse(p *Pass, sa *analyze.IKESA) bool {
	return p.View.ESPAfter(sa.First) != nil || (p.Host.KernelSeen && len(liveSAs(p)) > 0)
}

// authTopics are what a daemon may say of a failing authentication. What tells the
// reason comes first.
var authTopics = []analyze.Topic{
	analyze.SaidCertificate, analyze.SaidIdentity, analyze.SaidNoSecret, analyze.SaidNoConnection, analyze.SaidUnreadable, analyze.SaidAuthFailed,
}

// authReason is what an authentication fails for.
type authReason struct {
	words  string
	remedy func(p *Pass, o ikeOutcome) remedy.Remedy
}

func reportAuthFailed(p *Pass, o ikeOutcome, same []ikeOutcome) {
	said := saidSince(p, o.sa.First, authTopics...)
	reason, sure := reasonOf(o, said)
	f := p.Finding()
	if sure {
		f.Confidence = Certain
	}
	f.Explanation = shapeWords(o) + attemptWords(len(same)) + ". " + reason.words
	f.Evidence = authEvidence(o, same)
	f.Evidence = append(f.Evidence, saidEvidence(said)...)
	f.Remedies = []remedy.Remedy{reason.remedy(p, o), {
		Action: "daemon-log", Params: map[string]string{"host": o.by.String()},
		Title:   fmt.Sprintf("read on %s, the end that refuses, for what reason", o.by),
		Command: readLog,
	}}
	p.Report(f)
}

// shapeWords says what the wire shows.
func shapeWords(o ikeOutcome) string {
	switch {
	case o.end == ikeSpurned:
		return fmt.Sprintf("%s does not accept %s's authentication: it answers it with one short notification and ends the IKE SA", o.by, o.to)
	case o.notify != nil:
		return fmt.Sprintf("%s cannot accept what is to prove %s's identity, and says so in the clear: %s", o.by, o.to, o.notifyName())
	case o.repeats:
		return fmt.Sprintf("%s does not go on with Main Mode when %s proves its identity: as if it had not come, it repeats what it said before", o.by, o.to)
	case o.sa.Major == 1:
		return fmt.Sprintf("%s does not go on with Main Mode when %s proves its identity: it sends a notification in place of the answer", o.by, o.to)
	}
	return fmt.Sprintf("%s refuses %s's authentication: its answer to IKE_AUTH holds one short notification, and nothing that proves its own identity",
		o.by, o.to)
}

func authEvidence(o ikeOutcome, same []ikeOutcome) []Evidence {
	first := same[0]
	what, answer := "IKE_AUTH", fmt.Sprintf("%s answers with %d bytes of payloads at most, a notification first", o.by, o.sa.MostPlain(lastAnswer(o.sa)))
	switch {
	case o.end == ikeSpurned:
		what, answer = "its authentication", fmt.Sprintf("%s answers with one notification, and the IKE SA ends", o.by)
	case o.notify != nil:
		what, answer = "what is to prove its identity", fmt.Sprintf("%s answers %s", o.by, o.notifyName())
	case o.repeats:
		what, answer = "what is to prove its identity", fmt.Sprintf("%s repeats its message before that", o.by)
	case o.sa.Major == 1:
		what, answer = "what is to prove its identity", fmt.Sprintf("%s sends an encrypted notification instead", o.by)
	}
	ev := []Evidence{Saw(first.asked, "%s sends %s to %s", o.to, what, o.by)}
	if len(same) > 1 {
		ev = append(ev, Saw(first.answer, "the first of %d attempts ends", len(same)))
	}
	return append(ev, Saw(o.answer, "%s", answer))
}

func lastAnswer(sa *analyze.IKESA) *analyze.IKEMessage {
	if x := sa.Exchange(ike.ExchangeIKEAuth); x != nil {
		return &x.Response
	}
	return &analyze.IKEMessage{}
}

// reasonOf tells for what reason, and whether that is sure: by a daemon's word, or
// where IKEv1 shows that a message cannot be decrypted under a pre-shared key.
func reasonOf(o ikeOutcome, said []analyze.SeenSaying) (authReason, bool) {
	if best := telling(said); best != nil {
		r := reasonSaid(best)
		r.words = quoted(best) + r.words
		return r, true
	}
	psk := slices.ContainsFunc(suites(o.sa.Chosen()), func(s ikeSuite) bool { return s.auth == "pre-shared key" })
	switch {
	case psk && o.notify != nil && o.notify.Type == ike.NotifyV1PayloadMalformed:
		return authReason{"Main Mode was negotiated with a pre-shared key, from which the keys of this message are made: they differ, " +
			"so the pre-shared keys do.", secretRemedy}, true
	case psk && o.repeats:
		return authReason{"Main Mode was negotiated with a pre-shared key: most likely the keys differ, so that the message cannot be decrypted " +
			"and is dropped. That it is lost on the way each time is less likely, for what went before it came through.", secretRemedy}, false
	case psk && o.end == ikeUnproved && o.notify == nil:
		return authReason{"The notification is encrypted. Main Mode was negotiated with a pre-shared key: most likely the keys differ, so that " +
			"neither end can read the other; or the identity is not the one that is expected.", secretRemedy}, false
	case o.notify != nil:
		return authReason{"The identity, or what proves it, is not what is configured there.", identityRemedy}, true
	}
	return authReason{"The notification is encrypted: most likely it is AUTHENTICATION_FAILED, for the pre-shared keys differ, an identity " +
		"is not the one that is expected, or a certificate has expired or is not trusted.", identityRemedy}, false
}

// telling returns the latest saying of the topic that tells most.
func telling(said []analyze.SeenSaying) *analyze.SeenSaying {
	for _, topic := range authTopics {
		for i := len(said) - 1; i >= 0; i-- {
			if said[i].Topic == topic {
				return &said[i]
			}
		}
	}
	return nil
}

func reasonSaid(s *analyze.SeenSaying) authReason {
	switch s.Topic {
	case analyze.SaidCertificate:
		return authReason{": a certificate is not accepted.", certificateRemedy}
	case analyze.SaidIdentity:
		return authReason{": an identity is not the one that is configured at the other end.", identityRemedy}
	case analyze.SaidNoSecret:
		return authReason{": there is no key for these two identities.", secretRemedy}
	case analyze.SaidNoConnection:
		return authReason{": no connection is configured for these identities.", identityRemedy}
	case analyze.SaidUnreadable:
		return authReason{": with a pre-shared key in IKEv1 that means that the two keys differ.", secretRemedy}
	}
	switch {
	case s.FromPeer:
		return authReason{": the other end is told no more, on purpose. The pre-shared keys differ, an identity is not the one that is expected, or a " +
			"certificate has expired or is not trusted; the log of the end that refuses says which.", identityRemedy}
	case strings.Contains(s.Line, "shared key"):
		return authReason{": the pre-shared keys of the two ends differ.", secretRemedy}
	}
	return authReason{": what is to prove the identity does not hold.", identityRemedy}
}

func secretRemedy(p *Pass, o ikeOutcome) remedy.Remedy {
	return authRemedy(p, o, fmt.Sprintf("give %s and %s the same pre-shared key for these two identities (swanctl.conf: secrets, ike; "+
		"libreswan: ipsec.secrets) and load it", o.to, o.by), "swanctl --load-creds", "ipsec auto --rereadsecrets")
}

func identityRemedy(p *Pass, o ikeOutcome) remedy.Remedy {
	return authRemedy(p, o, fmt.Sprintf("see that the identity by which %s calls itself is the one that %s expects, and that the key or "+
		"certificate is for it: %s; then", o.to, o.by, setting(p, o.by, "remote.id", "leftid= and rightid=")), "swanctl --load-all", "ipsec auto --replace "+unnamed)
}

func certificateRemedy(p *Pass, o ikeOutcome) remedy.Remedy {
	return authRemedy(p, o, "replace the certificate that is refused, or the clock that is wrong, or give the other end the CA; look at "+
		"the certificates and how long they are valid", "swanctl --list-certs", "ipsec whack --listcerts")
}

// authRemedy is something to be done at the end that refuses.
func authRemedy(p *Pass, o ikeOutcome, title, swan, libre string) remedy.Remedy {
	command := swan
	if daemon, _ := daemonAt(p, o.by); daemon == analyze.Libreswan {
		command = libre
	}
	return remedy.Remedy{Action: "ike-auth", Params: map[string]string{"host": o.by.String(), "peer": o.to.String()}, Title: title, Command: command}
}
