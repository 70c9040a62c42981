package report

import (
	"bytes"
	"encoding/json"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/rules"
)

// audits is the summary of an audit of one host and of a text.
func audits() Summary {
	state := analyze.NewState(analyze.Limits{})
	host := &analyze.Snapshot{Header: analyze.Header{Time: after(0), Origin: analyze.Origin{Host: "glass"}}}
	host.Listeners = []analyze.Listener{{Via: "netlink", PID: 7, Name: "ip", Monitor: true}, {Via: "pfkey", PID: 8, Name: "racoon"}}
	state.Apply(host)
	text := &analyze.Snapshot{Header: analyze.Header{Time: after(0), Origin: analyze.Origin{Host: "teapot.txt"}}}
	for _, part := range []string{analyze.PartListeners, analyze.PartClock, analyze.PartDefaults} {
		text.Missing = append(text.Missing, part+": "+analyze.UntoldByText)
	}
	text.Missing = append(text.Missing, analyze.PartSAs+": what begins at teapot.txt:7 could not be read")
	state.Apply(text)
	return SummarizeAudit(state)
}

// TestAudit holds what is said of a moment: nothing is open since some time, and
// what could not be read is named.
func TestAudit(t *testing.T) {
	for name, findings := range map[string][]rules.Finding{"audit.txt": {deadlock()}, "audit-fine.txt": nil} {
		var b bytes.Buffer
		if err := Text(&b, findings, audits(), Options{}); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
		checkWidth(t, b.String(), Options{})
	}
}

func TestAuditFieldNames(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, nil, audits()); err != nil {
		t.Fatal(err)
	}
	var d map[string]any
	if err := json.Unmarshal(b.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	fields(t, first(t, d["summary"], "audited"), "origin time policies socket_policies sas defaults listeners unknown")
	if bytes.Contains(b.Bytes(), []byte("null")) {
		t.Errorf("null in %s", b.String())
	}
}
