package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// The reader's setkey.conf, twenty years old, in both orders of lines.
const (
	readersPolicies = `spdadd fd00::2 fd00::1 any -P out ipsec esp/transport//require;
spdadd fd00::1 fd00::2 any -P in ipsec esp/transport//require;
`
	readersBypass = `spdadd ::/0 ::/0 icmp6 -P out none;
spdadd ::/0 ::/0 icmp6 -P in none;
`
)

func TestLookupInTheReadersSetkeyConf(t *testing.T) {
	na := []string{"lookup", "fd00::2", "fd00::1", "--proto", "icmpv6", "--type", "na", "--state", "-"}
	last := ipsecdiag(t, strings.NewReader(readersPolicies+readersBypass), na...)
	if last.status != statusError || !strings.Contains(last.stderr, "whether there is an SA is not known") ||
		!strings.HasPrefix(last.stdout, "protect: dir out src fd00::2/128 dst fd00::1/128 priority 2147483648 wants esp") ||
		!strings.Contains(last.stdout, "younger than the winner of the same priority 2147483648") {
		t.Errorf("none lines last: got %+v", last)
	}
	first := ipsecdiag(t, strings.NewReader(readersBypass+readersPolicies), na...)
	if first.status != statusFine || !strings.HasPrefix(first.stdout, "clear: dir out src ::/0 dst ::/0 proto ipv6-icmp bypass") ||
		!strings.Contains(first.stdout, "It depends: two policies of the same priority") {
		t.Errorf("none lines first: got %+v", first)
	}
}

func TestLookupOfAllNeighbourDiscovery(t *testing.T) {
	file := fixture("nd-deadlock-ikev2", "glass.pcapng")
	r := ipsecdiag(t, nil, "lookup", "--nd", "fd00::1", "fd00::2", "--state", file)
	if r.status != statusFound || r.stderr != "" || !strings.HasPrefix(r.stdout, "4 of 10 packets would die\n") {
		t.Errorf("got %+v", r)
	}
	if other := ipsecdiag(t, nil, "lookup", "--nd", "fd00::2", "fd00::1", "--state", file); other != r {
		t.Errorf("the neighbour's address first: got %+v, want %+v", other, r)
	}
	for _, ends := range [][2]string{{"fd00::1", "fd00::2"}, {"fd00::2", "fd00::1"}} { // whose text it is, the policies tell
		text := ipsecdiag(t, strings.NewReader(readersPolicies+readersBypass), "lookup", "--nd", ends[0], ends[1], "--state", "-")
		if text.status != statusError || !strings.Contains(text.stdout, "out fd00::2 → fd00::1 type 136") {
			t.Errorf("of a text, %s: got %+v", ends, text)
		}
	}
	healthy := ipsecdiag(t, nil, "lookup", "--nd", "fd00::1", "fd00::2", "--state", fixture("healthy-ikev2", "glass.pcapng"), "--format", "json")
	var doc struct {
		Version int
		Lookups []struct {
			Passes bool
			What   string
		}
	}
	if err := json.Unmarshal([]byte(healthy.stdout), &doc); err != nil {
		t.Fatal(err)
	}
	if healthy.status != statusFine || doc.Version != 1 || len(doc.Lookups) != 10 || doc.Lookups[0].What == "" {
		t.Errorf("got %+v", healthy)
	}
	for _, l := range doc.Lookups {
		if !l.Passes {
			t.Errorf("%s does not pass on a healthy host", l.What)
		}
	}
}

// TestLookupTakesTheDirectionFromTheAddresses holds that a host's own addresses
// tell whether a packet leaves, comes in or is forwarded.
func TestLookupTakesTheDirectionFromTheAddresses(t *testing.T) {
	file := fixture("nd-deadlock-ikev2", "teapot.pcapng")
	for _, tt := range []struct{ src, dst, want string }{
		{"fd00::2", "fd00::1", ", dir out, out by eth0"},
		{"fd00::1", "fd00::2", ", dir in, in by eth0"},
		{"fd00::1", "ff02::1", ", dir in, in by eth0"},
		{"fd00::1", "2001:db8::1", ", dir fwd"},
		{"fe80::1234", "fe80::5678", ", dir out"}, // nobody forwards it
	} {
		r := ipsecdiag(t, nil, "lookup", tt.src, tt.dst, "--type", "136", "--state", file)
		if r.status == statusError || !strings.Contains(r.stdout, tt.want) {
			t.Errorf("%s → %s: got %+v, want %q", tt.src, tt.dst, r, tt.want)
		}
	}
	given := ipsecdiag(t, nil, "lookup", "fd00::1", "fd00::2", "--type", "136", "--dir", "out", "--dev", "eth0", "--mark", "0x5", "--state", file)
	if !strings.Contains(given.stdout, "dir out, mark 0x5, out by") {
		t.Errorf("given: got %+v", given)
	}
}

func TestLookupOfIPv4(t *testing.T) {
	file := fixture("healthy-ipv4", "glass.pcapng")
	r := ipsecdiag(t, nil, "lookup", "10.0.0.1", "10.0.0.2", "--proto", "tcp", "--dport", "443", "--state", file)
	if r.status != statusFine || !strings.HasPrefix(r.stdout, "protect: esp SA spi 0x") || !strings.Contains(r.stdout, "proto tcp sport 0 dport 443") {
		t.Errorf("got %+v", r)
	}
}

func TestLookupKnowsTheNamesOfBothICMPs(t *testing.T) {
	for _, tt := range [][4]string{
		{"fd00::2", "fd00::1", "echo", "type 128"}, {"10.0.0.2", "10.0.0.1", "echo", "type 8"},
		{"10.0.0.2", "10.0.0.1", "reply", "type 0"}, {"10.0.0.2", "10.0.0.1", "redirect", "type 5"},
	} {
		r := ipsecdiag(t, strings.NewReader(readersBypass), "lookup", tt[0], tt[1], "--type", tt[2], "--state", "-")
		if r.status != statusFine || !strings.Contains(r.stdout, tt[3]+" code 0") {
			t.Errorf("%q: got %+v", tt, r)
		}
	}
}

func TestLookupRefusesWhatItCannotAsk(t *testing.T) {
	file := fixture("nd-deadlock-ikev2", "teapot.pcapng")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "two addresses"},
		{[]string{"fd00::1"}, "two addresses"},
		{[]string{"fd00::1", "glass"}, `"glass" is no IP address`},
		{[]string{"fd00::1", "10.0.0.1"}, "not of one address family"},
		{[]string{"fd00::1", "fd00::2", "--proto", "icmp", "--type", "8"}, "not of the addresses' family"},
		{[]string{"fd00::1", "fd00::2", "--proto", "carrier-pigeon"}, "no such protocol"},
		{[]string{"fd00::1", "fd00::2", "--proto", "icmpv6"}, "needs a type"},
		{[]string{"fd00::1", "fd00::2", "--proto", "tcp", "--type", "136"}, "--type does not go with protocol tcp"},
		{[]string{"fd00::1", "fd00::2", "--type", "136", "--dport", "1"}, "--dport does not go with protocol ipv6-icmp"},
		{[]string{"fd00::1", "fd00::2", "--type", "256"}, "not a number from 0 to 255"},
		{[]string{"fd00::1", "fd00::2", "--dport", "80"}, "ports need a protocol"},
		{[]string{"fd00::1", "fd00::2", "--mark", "red"}, "--mark red"},
		{[]string{"fd00::1", "fd00::2", "--if-id", "0x100000000"}, "--if-id"},
		{[]string{"fd00::1", "fd00::2", "--dir", "sideways"}, "there are out, in and fwd"},
		{[]string{"fd00::1", "fd00::2", "--dev", "eth7"}, `no device "eth7": there are`},
		{[]string{"10.0.0.1", "10.0.0.2", "--nd"}, "two IPv6 hosts"},
		{[]string{"fd00::8", "fd00::9", "--nd"}, "neither fd00::8 nor fd00::9 is this host's"},
		{[]string{"fd00::1", "fd00::2", "--nd", "--proto", "tcp"}, "--proto does not go with --nd"},
		{[]string{"fd00::1", "fd00::2", "--nd", "--dir", "in"}, "--dir does not go with --nd"},
		{[]string{"10.0.0.1", "10.0.0.2", "--proto", "icmp", "--type", "ns"}, "not a number"},
		{[]string{"fd00::8", "fd00::9", "--state", fixture("nd-deadlock-ikev2", "glass.pcapng")}, "neither has fd00::8 or fd00::9"},
	} {
		r := ipsecdiag(t, nil, append([]string{"lookup", "--state", file}, tt.args...)...)
		if r.status != statusError || r.stdout != "" || !strings.Contains(r.stderr, tt.want) {
			t.Errorf("%q: got %+v, want %q", tt.args, r, tt.want)
		}
	}
}

// TestLookupIsNoVerdictOnHalfAText holds that what cannot be read makes the
// exit status 2, as in check.
func TestLookupIsNoVerdictOnHalfAText(t *testing.T) {
	r := ipsecdiag(t, strings.NewReader(readersPolicies+"spdadd fd00::1 fd00::3 any -P sideways none;\n"), "lookup", "fd00::2", "fd00::1", "--state", "-")
	if r.status != statusError || !strings.Contains(r.stderr, "stdin:3") || !strings.Contains(r.stderr, "cannot be looked up without policies") || r.stdout != "" {
		t.Errorf("got %+v", r)
	}
}
