package daemon

import (
	"regexp"
	"strconv"
	"strings"
	"sync"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/lazy"
)

// Lines of strongSwan's log are known by its format strings (5.9.8 and 6.0,
// src/libcharon and src/libstrongswan). What is not known here is not handed
// on, so that no line of a plugin or of a higher level can carry a secret.
//
// A group named remote or local is an address, n a number, child and conn names.

// said makes a phrase of a pattern that begins a line.
func said(topic analyze.Topic, pattern string) phrase {
	return phrase{topic: topic, re: regexp.MustCompile(`^(?:` + pattern + `)`)}
}

// heard makes a phrase of what the peer said.
func heard(topic analyze.Topic, pattern string) phrase {
	p := said(topic, pattern)
	p.fromPeer = true
	return p
}

type phrase struct {
	topic    analyze.Topic
	fromPeer bool
	re       *regexp.Regexp
}

// phrases are tried in their order. They are compiled when strongSwan speaks first:
// with all its expressions the table is a third of what the whole program begins with.
var phrases = sync.OnceValue(func() []phrase {
	return []phrase{
		heard(analyze.SaidAuthFailed, `received AUTHENTICATION_FAILED`),
		heard(analyze.SaidNoProposal, `received NO_PROPOSAL_CHOSEN`),
		heard(analyze.SaidTSUnacceptable, `received (TS_UNACCEPTABLE|INVALID_ID_INFORMATION|SINGLE_PAIR_REQUIRED)`),
		heard(analyze.SaidInvalidKE, `peer didn't accept (DH group|key exchange method)`),
		heard(analyze.SaidNotify, `received [A-Z_0-9]+ (notify error|error notify|notify, no CHILD_SA built)`),
		heard(analyze.SaidNotify, `received unsupported IKE version`),

		said(analyze.SaidAuthFailed, `tried \d+ shared keys? for '.*' - '.*', but MAC mismatched`),
		said(analyze.SaidAuthFailed, `calculated HASH does not match HASH payload`),
		said(analyze.SaidAuthFailed, `authentication of '.*' with .* failed`),
		said(analyze.SaidAuthFailed, `verification of AUTH payload|peer certificate verification failed`),
		said(analyze.SaidAuthFailed, `(XAuth authentication of|EAP method .* failed for peer) `),
		said(analyze.SaidAuthFailed, `signature validation failed`),
		said(analyze.SaidNoSecret, `no shared key found for|no private key found for|no trusted .* public key found for`),
		said(analyze.SaidIdentity, `IDir '.*' does not match to '.*'`),
		said(analyze.SaidIdentity, `constraint check failed: .*identity '.*' required`),
		said(analyze.SaidCertificate, `(subject|issuer|peer|[a-z]+) certificate invalid \(valid from .*\)`),
		said(analyze.SaidCertificate, `no (trusted|issuer) certificate found for|no issuer certificate found`),
		said(analyze.SaidCertificate, `certificate was revoked|self-signed certificate ".*" is not trusted`),
		said(analyze.SaidCertificate, `constraint (check failed|requires)`),
		said(analyze.SaidUnreadable, `invalid .* payload length, decryption failed\?|could not decrypt payloads|integrity check failed|message verification failed`),
		said(analyze.SaidNoConnection, `no IKE config found for (?P<local>\S+)\.\.\.(?P<remote>[^\s,]+)`),
		said(analyze.SaidNoConnection, `no (matching peer|alternative|peer) config found`),
		said(analyze.SaidNoConnection, `found \d+ matching configs?, but none allows`),
		said(analyze.SaidNoConnection, `selected peer config '(?P<conn>[^']*)' unacceptable`),
		said(analyze.SaidProposals, `(received|configured) proposals: `),
		said(analyze.SaidNoProposal, `received proposals (unacceptable|inacceptable)`),
		said(analyze.SaidNoProposal, `no (acceptable|matching) proposal found|no proposal found`),
		said(analyze.SaidInvalidKE, `(DH group|key exchange method) \S+ (unacceptable|inacceptable)`),
		said(analyze.SaidTSUnacceptable, `traffic selectors .* unacceptable|no acceptable traffic selectors found|no matching CHILD_SA config found for`),
		said(analyze.SaidChildFailed, `failed to establish CHILD_SA|closing IKE_SA due CHILD_SA setup failure`),
		said(analyze.SaidNotResponding, `giving up after (?P<n>\d+) retransmits`),
		said(analyze.SaidNotResponding, `establishing IKE_SA failed, peer not responding`),
		said(analyze.SaidNotResponding, `peer not responding, trying again \((?P<n>\d+)/`),
		said(analyze.SaidDPDFailed, `DPD check timed out`),
		said(analyze.SaidDPDFailed, `(proper IKE_SA delete|rekeying IKE_SA) failed, peer not responding`),
		said(analyze.SaidKernel, `unable to install |unable to allocate SPIs? from kernel|allocating SPI from kernel failed`),
		said(analyze.SaidKernel, `trap not found, unable to acquire reqid|installing trap failed`),
		said(analyze.SaidKernel, `creating acquire job failed|unable to resolve .*, initiate aborted`),

		said(analyze.SaidRetransmit, `retransmit (?P<n>\d+) of request`),
		said(analyze.SaidDPD, `sending DPD request`),
		said(analyze.SaidInitiating, `initiating (Main Mode |Aggressive Mode )?IKE_SA (?P<conn>.*)\[\d+\] to (?P<remote>\S+)`),
		heard(analyze.SaidInitiating, `(?P<remote>\S+) is initiating an? `),
		said(analyze.SaidEstablished, `IKE_SA (?P<conn>.*)\[\d+\] established between (?P<local>[^\[]+)\[.*\]\.\.\.(?P<remote>[^\[]+)\[`),
		said(analyze.SaidRekeyed, `IKE_SA (?P<conn>.*)\[\d+\] rekeyed between (?P<local>[^\[]+)\[.*\]\.\.\.(?P<remote>[^\[]+)\[`),
		said(analyze.SaidChildEstablished, `(inbound |outbound )?CHILD_SA (?P<child>.*)\{\d+\} established with SPIs`),
		said(analyze.SaidDeleting, `deleting IKE_SA (?P<conn>.*)\[\d+\] between (?P<local>[^\[]+)\[.*\]\.\.\.(?P<remote>[^\[]+)\[`),
		said(analyze.SaidDeleting, `deleting (half open IKE_SA with (?P<remote>\S+) after timeout|unestablished IKE_SA|duplicate IKE_SA)`),
		said(analyze.SaidDeleting, `closing (expired )?CHILD_SA (?P<child>.*)\{\d+\}`),
		heard(analyze.SaidDeleting, `received DELETE for `),
	}
})

// classify reads a line of strongSwan's log; ok is false where it is not known,
// or of no interest.
func classify(line string) (y analyze.Saying, ok bool) {
	line = cut(line, maxLine)
	for _, p := range phrases() {
		m := p.re.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		y = analyze.Saying{Topic: p.topic, FromPeer: p.fromPeer, Line: line}
		for g, name := range p.re.SubexpNames() {
			take(&y, name, m[g])
		}
		if strings.Contains(line, "no CHILD_SA built") && y.Topic == analyze.SaidNotify {
			y.Topic = analyze.SaidChildFailed
		}
		return y, true
	}
	return y, false
}

// take fills in what a group of a phrase holds.
func take(y *analyze.Saying, group, text string) {
	if text == "" {
		return
	}
	switch group {
	case "n":
		y.N, _ = strconv.Atoi(text[:min(len(text), 6)])
	case "conn":
		y.Connection = cut(text, maxText)
	case "child":
		y.Child = cut(text, maxText)
	case "local":
		y.Local = bracketed(text)
	case "remote":
		y.Remote = bracketed(text)
	}
}

// packetLine reads between whom an IKE SA's packets go, from the line that
// strongSwan logs of each.
var packetLine = lazy.Regexp(`^(received|sending) packet: from (\S+\[\d+\]) to (\S+\[\d+\]) `)
