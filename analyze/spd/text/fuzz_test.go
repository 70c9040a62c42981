package text

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"ipsecdiag/fixtures/bounds"
)

// recorded reads the policies and SAs of one end of a scenario.
func recorded(t testing.TB, scenario, host string) Result {
	t.Helper()
	var files []File
	for _, kind := range []string{"policy", "state"} {
		name := "../../../fixtures/" + scenario + "/" + host + "." + kind + ".txt"
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, File{name, b})
	}
	return Parse(Options{}, files...)
}

// quotable is what messages may hold: words, and of the input only addresses,
// numbers of lines and bits, and algorithms by their known names.
var hexRun = regexp.MustCompile(`[0-9a-fA-F]{9,}`)

// hold checks what must be true of every input.
func hold(t *testing.T, data []byte, parse func(*Result, Options, File)) {
	defer bounds.Hold(t, len(data), bounds.Memory{Fixed: 4 << 20, PerByte: 32 << 10})()
	r := Parse(Options{})
	parse(&r, Options{}, File{"x", data})
	check(t, &r, data)
	whole := Parse(Options{}, File{"x", data}, File{"y", data})
	check(t, &whole, data)
	for _, d := range Mirror(r, whole) {
		_ = d.String()
	}
	if Detect(data) != whole.Sources[0].Kind {
		t.Error("the kind is not what is detected")
	}
}

func check(t *testing.T, r *Result, data []byte) {
	t.Helper()
	if len(r.Errors.List) > maxProblems || len(r.DB.Policies) > 2*len(data)+2 || len(r.DB.SAs) > len(data) {
		t.Errorf("%d errors, %d policies, %d SAs of %d bytes", len(r.Errors.List), len(r.DB.Policies), len(r.DB.SAs), len(data))
	}
	for _, p := range append(r.Errors.List, r.Warnings.List...) {
		if s := p.Error(); hexRun.MatchString(s) || len(s) > 300 {
			t.Errorf("a message that quotes: %s", s)
		}
	}
	for _, k := range r.Keys {
		if s := fmt.Sprintf("%v %x %#v", k, k, k); hexRun.MatchString(s) {
			t.Errorf("keys print as %s", s)
		}
	}
	for i := range r.DB.SAs {
		_ = r.SAAt(&r.DB.SAs[i]).String() + r.DB.SAs[i].String()
	}
	for i := range r.DB.Policies {
		_ = r.PolicyAt(&r.DB.Policies[i]).String() + r.DB.Policies[i].String()
	}
}

func FuzzIPXfrm(f *testing.F) {
	f.Add([]byte(printedPolicies + printedStates))
	for _, scenario := range []string{"healthy-tunnel", "nd-deadlock-ikev1"} {
		for _, kind := range []string{"policy", "state"} {
			if b, err := os.ReadFile("../../../fixtures/" + scenario + "/glass." + kind + ".txt"); err == nil {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) { hold(t, data, parseIPXfrm) })
}

func FuzzSetkeyDump(f *testing.F) {
	f.Add([]byte(dumpedPolicies))
	f.Add([]byte(dumpedSAs))
	f.Fuzz(func(t *testing.T, data []byte) { hold(t, data, parseSetkeyDump) })
}

func FuzzSetkeyConf(f *testing.F) {
	f.Add([]byte(exampleConf))
	f.Add([]byte("spdadd ::/0 ::/0 any -P out ipsec esp/tunnel/fd00::1[500]-fd00::2[4500]/unique:7 ah/transport; spddelete ::/0 ::/0 any -P in;"))
	f.Fuzz(func(t *testing.T, data []byte) {
		hold(t, data, func(r *Result, _ Options, f File) { parseSetkeyConf(r, f) })
	})
}

func FuzzIfcfg(f *testing.F) {
	f.Add([]byte(glassIfcfg + glassKeys))
	f.Add([]byte(glassKeys))
	f.Fuzz(func(t *testing.T, data []byte) {
		hold(t, data, func(r *Result, _ Options, f File) { parseIfcfgs(r, []File{f}) })
	})
}

// BenchmarkIPXfrm reads 10,000 policies with -s.
func BenchmarkIPXfrm(b *testing.B) {
	var text []byte
	for i := range 10000 {
		text = fmt.Appendf(text, `src fd00::%x/128 dst fd00::2/128 uid 0
	dir out action allow index %d priority 268927 ptype main share any flag  (0x00000000)
	lifetime config:
	  limit: soft (INF)(bytes), hard (INF)(bytes)
	  limit: soft (INF)(packets), hard (INF)(packets)
	  expire add: soft 0(sec), hard 0(sec)
	  expire use: soft 0(sec), hard 0(sec)
	lifetime current:
	  0(bytes), 0(packets)
	  add 2026-11-24 02:58:08 use 2026-11-24 02:58:21
	tmpl src :: dst ::
		proto esp spi 0xc266d003(3261517827) reqid 1(0x00000001) mode transport
		level required share any 
		enc-mask ffffffff auth-mask ffffffff comp-mask ffffffff
`, i, i)
	}
	for b.Loop() {
		if r := Parse(Options{}, File{"x", text}); len(r.DB.Policies) != 10000 || len(r.Errors.List) != 0 {
			b.Fatal(len(r.DB.Policies), r.Errors.List)
		}
	}
}
