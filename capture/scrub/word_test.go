package scrub

import (
	"net/netip"
	"strings"
	"testing"

	"ipsecdiag/analyze"
)

// TestADaemonsWordNamesNobody: what happened stays, whom it happened to does not.
func TestADaemonsWordNamesNobody(t *testing.T) {
	s := New(testSecret())
	y := analyze.Saying{
		Topic: analyze.SaidAuthFailed, FromPeer: true, Connection: "to-acme", SA: "7", SPI: 0xa1,
		Local: netip.MustParseAddrPort("198.51.100.7:500"), Remote: netip.MustParseAddrPort("198.51.100.9:4500"),
		Line: "received AUTHENTICATION_FAILED notify error",
	}
	e := &analyze.Daemon{Word: &analyze.Word{
		Daemon: analyze.StrongSwan, Version: "5.9.8", Via: "vici", Saying: &y, Gone: []string{"7", "acme"},
		Connections: []analyze.Connection{{
			Name: "to-acme", LocalAddrs: []string{"198.51.100.7", "gw.acme.example", "%any", "198.51.100.1-198.51.100.9"}, RemoteID: "CN=acme",
			Children: []analyze.Child{{Name: "acme", LocalTS: []string{"dynamic", "198.51.100.0/24", "198.51.100.1..198.51.100.9"}}},
		}},
	}}
	blob, err := analyze.EncodeEvent(s.Event(e))
	if err != nil {
		t.Fatal(err)
	}
	for _, private := range []string{"acme", "198.51.100."} {
		if strings.Contains(string(blob), private) {
			t.Errorf("%s is kept in %s", private, blob)
		}
	}
	for _, known := range []string{"strongSwan", "5.9.8", "authentication failed", y.Line, "%any", "dynamic", ":4500", "00000000000000a1", `"7"`} {
		if !strings.Contains(string(blob), known) {
			t.Errorf("%s is gone from %s", known, blob)
		}
	}
}

func TestLinesThatNameSomebodyAreRemoved(t *testing.T) {
	for _, text := range []string{
		"tried 1 shared key for 'acme' - 'us', but MAC mismatched", "initiating IKE_SA acme[1] to 198.51.100.9", "fd00::2 is initiating an IKE_SA",
		"closing expired CHILD_SA acme{1}", "unable to resolve acme, initiate aborted", "received proposals: acme",
	} {
		if got := line(nil, text); got != removed {
			t.Errorf("%q is kept as %q", text, got)
		}
	}
	for _, text := range []string{
		"retransmit 3 of request with message ID 0", "received TS_UNACCEPTABLE notify, no CHILD_SA built",
		"configured proposals: IKE:AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048, IKE:3DES_CBC/HMAC_MD5_96",
	} {
		if got := line(nil, text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}
