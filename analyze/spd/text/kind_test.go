package text

import (
	"strings"
	"testing"
)

func TestKindsAreDetected(t *testing.T) {
	tests := []struct {
		text string
		want Kind
	}{
		{"", KindEmpty},
		{"\n  \n# nothing\n", KindEmpty},
		{"root@glass:~# ip xfrm state\nroot@glass:~# ", KindEmpty},
		{printedPolicies, KindIPXfrm},
		{printedStates, KindIPXfrm},
		{"[root@glass ~]# ip -s xfrm policy list\n" + printedPolicies, KindIPXfrm},
		{"$ sudo /sbin/ip -d -s x p\n" + printedPolicies, KindIPXfrm},
		{dumpedPolicies, KindSetkeyDump},
		{dumpedSAs, KindSetkeyDump},
		{"No SPD entries.\n", KindSetkeyDump},
		{"(per-socket policy) \n\tin none\n", KindSetkeyDump},
		{"# setkey -D -P\n" + dumpedPolicies, KindSetkeyDump},
		{exampleConf, KindSetkeyConf},
		{"\tspdflush;\n", KindSetkeyConf},
		{glassIfcfg, KindIfcfg},
		{glassKeys, KindIfcfgKeys},
		{"# keys\nIKE_PSK=\"x\"\n", KindIfcfgKeys},
		{"conn tunnel\n\tauto=start\n", KindUnknown},
		{"\x0a\x0d\x0d\x0a binary", KindUnknown},
	}
	for _, tt := range tests {
		if got := Detect([]byte(tt.text)); got != tt.want {
			t.Errorf("%.40q is taken for %s, want %s", tt.text, got, tt.want)
		}
	}
	if Kind(99).String() != "unknown" || KindSetkeyConf.String() != "setkey.conf" {
		t.Error("names of kinds")
	}
}

func TestUnknownTextIsNamed(t *testing.T) {
	r := Parse(Options{}, File{"x.txt", []byte("\n\nhello world\n")})
	if len(r.Errors.List) != 1 || !strings.HasPrefix(r.Errors.List[0].Error(), "x.txt:3: neither") || r.Sources[0].Kind != KindUnknown {
		t.Errorf("%+v", r)
	}
}

// TestThePromptIsNoCatchAll holds that only prompts and commands are skipped.
func TestThePromptIsNoCatchAll(t *testing.T) {
	for _, s := range []string{"KEY_ESP_IN=abc#", "secret$", "0x0011>", "src fd00::1 dst fd00::2", "\tdir in priority 0", "setkey -F", "ip route", "ip xfrm monitor"} {
		if idle(s) {
			t.Errorf("%q is skipped", s)
		}
	}
}
