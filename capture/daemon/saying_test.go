package daemon

import (
	"strings"
	"testing"
	"unicode/utf8"

	"ipsecdiag/analyze"
	"ipsecdiag/fixtures/bounds"
)

// lines are lines of strongSwan 5.9.8's log, as its format strings make them,
// and what they say.
var lines = []struct {
	line  string
	topic analyze.Topic
	peer  bool
}{
	{"received AUTHENTICATION_FAILED notify error", analyze.SaidAuthFailed, true},
	{"received AUTHENTICATION_FAILED error notify", analyze.SaidAuthFailed, true},
	{"received NO_PROPOSAL_CHOSEN notify error", analyze.SaidNoProposal, true},
	{"received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built", analyze.SaidNoProposal, true},
	{"received TS_UNACCEPTABLE notify, no CHILD_SA built", analyze.SaidTSUnacceptable, true},
	{"received INVALID_ID_INFORMATION error notify", analyze.SaidTSUnacceptable, true},
	{"received INVALID_SYNTAX notify error", analyze.SaidNotify, true},
	{"received INTERNAL_ADDRESS_FAILURE notify, no CHILD_SA built", analyze.SaidChildFailed, true},
	{"peer didn't accept DH group MODP_2048, it requested MODP_3072", analyze.SaidInvalidKE, true},
	{"tried 2 shared keys for 'fd00::1' - 'fd00::2', but MAC mismatched", analyze.SaidAuthFailed, false},
	{"calculated HASH does not match HASH payload", analyze.SaidAuthFailed, false},
	{"no shared key found for 'a'[fd00::1] - 'b'[fd00::2]", analyze.SaidNoSecret, false},
	{"no trusted RSA public key found for 'teapot'", analyze.SaidNoSecret, false},
	{"IDir 'a' does not match to 'b'", analyze.SaidIdentity, false},
	{"constraint check failed: identity 'teapot' required ", analyze.SaidIdentity, false},
	{"subject certificate invalid (valid from Jan 01 00:00:00 2020 to Jan 02 00:00:00 2020)", analyze.SaidCertificate, false},
	{"no issuer certificate found for \"CN=teapot\"", analyze.SaidCertificate, false},
	{"invalid ID_V1 payload length, decryption failed?", analyze.SaidUnreadable, false},
	{"could not decrypt payloads", analyze.SaidUnreadable, false},
	{"no IKE config found for fd00::1...fd00::2, sending NO_PROPOSAL_CHOSEN", analyze.SaidNoConnection, false},
	{"no matching peer config found", analyze.SaidNoConnection, false},
	{"selected peer config 'net' unacceptable: non-matching authentication done", analyze.SaidNoConnection, false},
	{"configured proposals: IKE:AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048", analyze.SaidProposals, false},
	{"received proposals unacceptable", analyze.SaidNoProposal, false},
	{"no acceptable proposal found", analyze.SaidNoProposal, false},
	{"no matching proposal found, sending NO_PROPOSAL_CHOSEN", analyze.SaidNoProposal, false},
	{"DH group MODP_2048 unacceptable, requesting MODP_3072", analyze.SaidInvalidKE, false},
	{"traffic selectors fd00::2/128 === fd00::1/128 unacceptable", analyze.SaidTSUnacceptable, false},
	{"no matching CHILD_SA config found for fd00::2/128 === fd00::1/128", analyze.SaidTSUnacceptable, false},
	{"failed to establish CHILD_SA, keeping IKE_SA", analyze.SaidChildFailed, false},
	{"giving up after 5 retransmits", analyze.SaidNotResponding, false},
	{"peer not responding, trying again (2/3)", analyze.SaidNotResponding, false},
	{"establishing IKE_SA failed, peer not responding", analyze.SaidNotResponding, false},
	{"DPD check timed out, enforcing DPD action", analyze.SaidDPDFailed, false},
	{"unable to install inbound and outbound IPsec SA (SAD) in kernel", analyze.SaidKernel, false},
	{"trap not found, unable to acquire reqid 7", analyze.SaidKernel, false},
	{"retransmit 3 of request with message ID 0", analyze.SaidRetransmit, false},
	{"sending DPD request", analyze.SaidDPD, false},
	{"initiating Main Mode IKE_SA net[3] to fd00::2", analyze.SaidInitiating, false},
	{"initiating IKE_SA net[3] to fd00::2", analyze.SaidInitiating, false},
	{"fd00::2 is initiating a Main Mode IKE_SA", analyze.SaidInitiating, true},
	{"IKE_SA net[1] established between fd00::1[a]...fd00::2[b]", analyze.SaidEstablished, false},
	{"IKE_SA net[2] rekeyed between fd00::1[a]...fd00::2[b]", analyze.SaidRekeyed, false},
	{"CHILD_SA all{2} established with SPIs c0ffee01_i c0ffee02_o and TS fd00::1/128 === fd00::2/128", analyze.SaidChildEstablished, false},
	{"deleting IKE_SA net[1] between fd00::1[a]...fd00::2[b]", analyze.SaidDeleting, false},
	{"received DELETE for IKE_SA net[1]", analyze.SaidDeleting, true},
}

func TestWhatALineSays(t *testing.T) {
	for _, c := range lines {
		y, ok := classify(c.line)
		if !ok || y.Topic != c.topic || y.FromPeer != c.peer || y.Line != c.line {
			t.Errorf("%q: %+v, %v; want %q", c.line, y, ok, c.topic)
		}
	}
	for _, line := range []string{
		"", "generating IKE_SA_INIT request 0 [ SA KE No ]", "sending packet: from fd00::1[500] to fd00::2[500] (464 bytes)",
		"authentication of 'teapot' with pre-shared key successful", "Sk_ei secret => 16 bytes @ 0x7f", "loaded IKE secret for %any",
		"a peer says: received AUTHENTICATION_FAILED notify error",
	} {
		if y, ok := classify(line); ok {
			t.Errorf("%q is taken for %+v", line, y)
		}
	}
}

func TestWhatALineNames(t *testing.T) {
	y, _ := classify("IKE_SA net[1][7] established between fd00::1[CN=a [x]]...fd00::2[b]")
	if y.Connection != "net[1]" || y.Local.Addr().String() != "fd00::1" || y.Remote.Addr().String() != "fd00::2" {
		t.Errorf("got %+v", y)
	}
	if y, _ := classify("giving up after 5 retransmits"); y.N != 5 {
		t.Errorf("got %+v", y)
	}
	if y, _ := classify("CHILD_SA all{2} established with SPIs c0ffee01_i c0ffee02_o and TS a === b"); y.Child != "all" {
		t.Errorf("got %+v", y)
	}
}

func FuzzClassify(f *testing.F) {
	for _, c := range lines {
		f.Add(c.line)
	}
	f.Add("retransmit 99999999999999999999 of request")
	f.Add("initiating IKE_SA \xff\x1b[2J[3] to fe80::1%eth0")
	f.Fuzz(func(t *testing.T, line string) {
		defer bounds.Hold(t, len(line), bounds.Small)()
		y, ok := classify(line)
		if !ok {
			return
		}
		if y.Topic == "" || len(y.Line) > 3*maxLine || !utf8.ValidString(y.Line) || !utf8.ValidString(y.Connection) ||
			len(y.Connection) > 3*maxText || y.N < 0 {
			t.Errorf("%q: %+v", line, y)
		}
		if _, again := classify(line + strings.Repeat("x", 10)); !again && len(line) < maxLine-10 && y.Topic == analyze.SaidRetransmit {
			t.Errorf("%q is known, and with more behind it is not", line)
		}
	})
}
