package text

import (
	"os"
	"strings"
	"testing"
)

// TestMirrorThroughNAT compares ends that a NAT divides: their names for one
// another differ, what else differs is found all the same.
func TestMirrorThroughNAT(t *testing.T) {
	read := func(host string, change *strings.Replacer) Result {
		var files []File
		for _, kind := range []string{".policy.txt", ".state.txt"} {
			b, err := os.ReadFile("../../../fixtures/healthy-natt/" + host + kind)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, File{host + kind, []byte(change.Replace(string(b)))})
		}
		return Parse(Options{}, files...)
	}
	same := strings.NewReplacer()
	if got := texts(Mirror(read("glass", same), read("teapot", same))); got != nil {
		t.Errorf("ends that fit differ:\n%s", strings.Join(got, "\n"))
	}
	for _, tt := range []struct{ old, new, want string }{
		{"<<Keys hidden>> 128", "<<Keys hidden>> 64",
			"the authenticator of the ESP SA from 10.0.1.1 to 10.0.2.2 (rfc4106(gcm(aes))) is cut to 128 bits at glass.state.txt:1 and to 64 bits at teapot.state.txt:17"},
		{"tmpl src 10.0.2.2 dst 10.0.2.254\n\t\tproto esp", "tmpl src 10.0.2.2 dst 10.0.2.254\n\t\tproto ah",
			"the policy dir in src 10.0.2.2/32 dst 10.0.1.1/32 asks for esp tunnel 10.0.2.2 → 10.0.1.1 at glass.policy.txt:29, and its counterpart for ah tunnel 10.0.2.2 → 10.0.1.1 at teapot.policy.txt:1"},
	} {
		got := texts(Mirror(read("glass", same), read("teapot", strings.NewReplacer(tt.old, tt.new))))
		if !strings.Contains("\n"+strings.Join(got, "\n")+"\n", "\n"+tt.want+"\n") {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), tt.want)
		}
	}
}
