package daemon

import (
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"ipsecdiag/analyze"
	"ipsecdiag/fixtures/bounds"
)

// testdata holds what libreswan 4.10 answered: it had called strongSwan with
// another pre-shared key.
func testdata(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWhackTellsConnections(t *testing.T) {
	w := parseWhack(testdata(t, "status-4.10.txt"), nil)
	want := []analyze.Connection{{
		Name: "old net", IKE: "IKEv1", LocalAddrs: []string{"10.9.0.1"}, RemoteAddrs: []string{"%any"},
		LocalID: "@glass", LocalAuth: "secret", RemoteAuth: "secret",
		Children: []analyze.Child{{Name: "old net", Mode: "TUNNEL", LocalTS: []string{"10.7.0.0/16"}, RemoteTS: []string{"10.8.0.0/24"}}},
	}, {
		Name: "peer", IKE: "IKEv2", LocalAddrs: []string{"10.9.0.1"}, RemoteAddrs: []string{"10.9.0.2"},
		LocalID: "10.9.0.1", RemoteID: "10.9.0.2", LocalAuth: "secret", RemoteAuth: "secret",
		Children: []analyze.Child{{Name: "peer", Mode: "TRANSPORT"}},
	}}
	if w.version != "4.10" || !reflect.DeepEqual(w.conns, want) || len(w.sas) != 0 {
		t.Errorf("version %q, %+v, %+v", w.version, w.conns, w.sas)
	}
}

func TestWhackTellsStates(t *testing.T) {
	known := []analyze.Connection{{Name: "peer", LocalAddrs: []string{"fd00::1"}, RemoteAddrs: []string{"fd00::2"}, LocalID: "@glass"}, {Name: "road"}}
	w := parseWhack(`000 #1: "peer":500 STATE_V2_PARENT_I1 (sent IKE_SA_INIT request); RETRANSMIT in 3s; idle;
000 #1: pending CHILD SA for "peer"
000 #3: "peer":500 STATE_V2_ESTABLISHED_IKE_SA (established IKE SA); REKEY in 28000s; newest; idle;
000 #4: "peer":500 STATE_V2_ESTABLISHED_CHILD_SA (established Child SA); REKEY in 28000s; newest; eroute owner; IKE SA #3; idle;
000 #4: "peer" esp.d23c0e5@fd00::2 esp.1f7a1c5c@fd00::1 Traffic: ESPin=1KB ESPout=1KB ESPmax=2^63B
000 #5: "road"[2] 192.0.2.7:4500 STATE_MAIN_R1 (sent Main Mode R1); RETRANSMIT in 2s; idle;
000 #6: "road"[2] 192.0.2.7:4500 STATE_QUICK_I2 (IPsec SA established); EXPIRE in 5s; isakmp#99; idle;
`, known)
	want := []analyze.DaemonSA{{
		ID: "1", Connection: "peer", Major: 2, State: "STATE_V2_PARENT_I1", Initiator: true, LocalID: "@glass",
		Local: netip.MustParseAddrPort("[fd00::1]:0"), Remote: netip.MustParseAddrPort("[fd00::2]:0"),
	}, {
		ID: "3", Connection: "peer", Major: 2, State: "STATE_V2_ESTABLISHED_IKE_SA", LocalID: "@glass",
		Local: netip.MustParseAddrPort("[fd00::1]:0"), Remote: netip.MustParseAddrPort("[fd00::2]:0"),
		Children: []analyze.DaemonChild{{ID: "4", Name: "peer", State: "STATE_V2_ESTABLISHED_CHILD_SA", SPIOut: 0xd23c0e5, SPIIn: 0x1f7a1c5c}},
	}, {ID: "5", Connection: "road[2]", Major: 1, State: "STATE_MAIN_R1"}}
	if !reflect.DeepEqual(w.sas, want) {
		t.Errorf("got %+v", w.sas)
	}
	if got := unfinished(w.sas); len(got) != 2 || got[0].ID != "1" || got[1].ID != "5" {
		t.Errorf("unfinished: %+v", got)
	}
}

// TestWhackTellsChildren reads what libreswan 4.10 answered when the kernel had these
// SAs: in was at its own address, out at the peer's (ip xfrm state).
func TestWhackTellsChildren(t *testing.T) {
	for _, tt := range []struct {
		name  string
		major uint8
		want  analyze.DaemonChild
	}{
		{"states-ikev2-4.10.txt", 2, analyze.DaemonChild{ID: "3", Name: "peer", State: "STATE_V2_ESTABLISHED_CHILD_SA", SPIIn: 0x563685bc, SPIOut: 0xcb8bc339}},
		{"states-instance-4.10.txt", 2, analyze.DaemonChild{ID: "2", Name: "peer[1]", State: "STATE_V2_ESTABLISHED_CHILD_SA", SPIIn: 0x30334584, SPIOut: 0xc0e2ad14}},
		{"states-ikev1-4.10.txt", 1, analyze.DaemonChild{ID: "2", Name: "peer", State: "STATE_QUICK_I2", SPIIn: 0xcd71e366, SPIOut: 0xc1b1d0aa}},
	} {
		w := parseWhack(testdata(t, tt.name), []analyze.Connection{{Name: "peer"}})
		if len(w.sas) != 1 || w.sas[0].Major != tt.major || !reflect.DeepEqual(w.sas[0].Children, []analyze.DaemonChild{tt.want}) {
			t.Errorf("%s: %+v, want %+v", tt.name, w.sas, tt.want)
		}
		if left := unfinished(w.sas); len(left) != 0 {
			t.Errorf("%s: unfinished: %+v", tt.name, left)
		}
	}
}

func TestWhoSpeaksToWhom(t *testing.T) {
	for text, want := range map[string][4]string{
		"fd00::1...fd00::2; erouted HOLD; eroute owner: #0":                                                 {"", "fd00::1", "fd00::2", ""},
		"10.7.0.0/16===10.9.0.1[@glass]...%any===10.8.0.0/24; unrouted":                                     {"10.7.0.0/16", "10.9.0.1", "%any", "10.8.0.0/24"},
		"10.9.0.1<gw.example>[@a,+S=C]---10.9.0.254...10.9.0.253---10.9.1.2<b>[@b]===10.8.0.0/24; unrouted": {"", "10.9.0.1", "10.9.1.2", "10.8.0.0/24"},
	} {
		var c analyze.Connection
		topology(&c, text)
		got := [4]string{1: c.LocalAddrs[0], 2: c.RemoteAddrs[0]}
		if ts := c.Children[0].LocalTS; len(ts) > 0 {
			got[0] = ts[0]
		}
		if ts := c.Children[0].RemoteTS; len(ts) > 0 {
			got[3] = ts[0]
		}
		if got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}

func TestCountersThatRiseAreSayings(t *testing.T) {
	is := parseCounts(testdata(t, "globalstatus-4.10.txt"))
	got := rises(map[string]uint64{}, is)
	want := []analyze.Saying{{
		Topic: analyze.SaidAuthFailed, FromPeer: true, Count: 1, Line: "total.ikev2.recv.notifies.error.AUTHENTICATION_FAILED has risen by 1",
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if again := rises(is, is); len(again) != 0 {
		t.Errorf("without a rise: %+v", again)
	}
	delete(is, "total.ikev2.recv.notifies.error.AUTHENTICATION_FAILED")
	is["total.ikev1.sent.notifies.error.NO_PROPOSAL_CHOSEN"] = 3
	got = rises(map[string]uint64{"total.ikev1.sent.notifies.error.NO_PROPOSAL_CHOSEN": 1}, is)
	if len(got) != 2 || got[0].Topic != analyze.SaidNoProposal || got[0].FromPeer || got[0].Count != 2 || got[1].Topic != analyze.SaidAuthFailed {
		t.Errorf("got %+v", got)
	}
}

func FuzzWhack(f *testing.F) {
	status, counts := testdata(f, "status-4.10.txt"), testdata(f, "globalstatus-4.10.txt")
	f.Add(status[len(status)-3000:]) // the connections; long seeds are slow to vary
	f.Add(counts[len(counts)/2:][:1500])
	f.Add("000 #1: \"a\"[1] ::1:500 STATE_QUICK_I2 (x); isakmp#1;\n000 \"a\": ...; \n000 #1: \"a\" esp.1@::1 ah.fffffffff@::1\n")
	f.Add("000 \"\xff\": ===[<...---===; our id=\x1b\n")
	f.Fuzz(func(t *testing.T, out string) {
		defer bounds.Hold(t, len(out), bounds.Memory{Fixed: 4 << 20, PerByte: 4 << 10})()
		w := parseWhack(out, nil)
		if len(w.conns) > maxConnections || len(w.sas) > maxSAs {
			t.Errorf("%d connections, %d SAs", len(w.conns), len(w.sas))
		}
		for _, text := range []string{fmt.Sprint(w.conns), fmt.Sprint(w.sas), w.version} {
			if !utf8.ValidString(text) {
				t.Errorf("not UTF-8: %q", text)
			}
		}
		for _, sa := range w.sas {
			if len(sa.Children) > maxChildren || len(sa.Connection) > 3*maxText {
				t.Errorf("%+v", sa)
			}
		}
		if again := parseWhack(strings.Repeat(out, 2), w.conns); len(again.conns) < len(w.conns) {
			t.Errorf("%d connections, and then %d", len(w.conns), len(again.conns))
		}
		rises(nil, parseCounts(out))
	})
}
