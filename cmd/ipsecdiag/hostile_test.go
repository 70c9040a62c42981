package main

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"ipsecdiag/analyze"
	"ipsecdiag/capture"
)

// evil is what a stranger may put into a name: it sets a terminal's title and its
// colour by C0 and C1 controls, deletes, turns the direction of writing, breaks lines
// in four ways, and is a script.
const evil = "\x1b]0;owned\x07\u009b31m\x7f\u0085\u202e\u2066\u2028\r\n<script>x()</script>"

// evilVendor takes the place of the vendor ID of dead peer detection (RFC 3706 section
// 5.5) in recorded frames.
const evilVendor = "\x1b[2J\x07\x9b31m\x7f<script>"

// TestNothingHostileComesThrough holds that no command writes a character that is not
// there to be printed, in any format, whatever names a recording holds.
func TestNothingHostileComesThrough(t *testing.T) {
	for _, scenario := range []string{"nd-deadlock-ikev1", "ike-auth-failed-id", "ike-no-proposal-libreswan", "esp-replay", "plaintext-leak-level-use", "manual-slips"} {
		for name, all := range map[string]bool{"names": false, "every text": true} {
			t.Run(scenario+", "+name, func(t *testing.T) { hostileRecordings(t, scenario, all) })
		}
	}
}

func hostileRecordings(t *testing.T, scenario string, all bool) {
	t.Helper()
	dir := t.TempDir()
	var ends []string
	for _, end := range []string{"glass", "teapot"} {
		from := fixture(scenario, end+".pcapng")
		if _, err := os.Stat(from); err != nil {
			continue
		}
		to := filepath.Join(dir, end+"\x1b[31m\u202e\u009b.pcapng")
		makeHostile(t, from, to, all)
		ends = append(ends, to)
	}
	if len(ends) == 0 {
		t.Fatalf("%s has no recording", scenario)
	}
	one := ends[0]
	for _, args := range [][]string{
		{"analyze", one}, {"analyze", one, "--format", "json"}, {"analyze", one, "--format", "html"}, {"analyze", one, "--format", "mermaid"},
		append([]string{"analyze"}, ends...), append([]string{"analyze", "--format", "json"}, ends...),
		append([]string{"analyze", "--format", "html"}, ends...),
		{"events", one, "--ticks"}, {"scrub", one, "-o", filepath.Join(dir, "scrubbed.pcapng")},
		{"check", "--state", one}, {"check", "--state", one, "--format", "json"},
		{"lookup", "fd00::1", "fd00::2", "--nd", "--state", one}, {"lookup", "fd00::1", "fd00::2", "--format", "json", "--state", one},
		{"fix", "--from", one}, {"fix", "--from", one, "--format", "json"}, {"fix", "nd-bypass", "--from", one},
	} {
		r := ipsecdiag(t, nil, args...)
		plainText(t, args, "standard output", r.stdout)
		plainText(t, args, "standard error", r.stderr)
		if r.stdout == "" && args[0] != "scrub" && r.status != statusError {
			t.Errorf("%q: nothing on standard output, exit status %d: %s", args, r.status, r.stderr)
		}
		if args[0] == "analyze" && !strings.Contains(r.stdout, "owned") {
			t.Errorf("%q does not show what the recording holds", args)
		}
		if strings.Contains(strings.Join(args, " "), "html") && strings.Contains(r.stdout, "<script") {
			t.Errorf("%q: a script came through", args)
		}
	}
}

// plainText holds that a text has nothing but characters to be printed, in lines.
func plainText(t *testing.T, args []string, what, text string) {
	t.Helper()
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)) || r != '\n' && !unicode.IsPrint(r) {
			from, to := max(i-60, 0), min(i+20, len(text))
			t.Errorf("%q: %U on %s, in %q", args, r, what, text[from:to])
			return
		}
	}
}

// makeHostile writes a recording again with evil after the names in it, or after each
// of its texts.
func makeHostile(t *testing.T, from, to string, all bool) {
	t.Helper()
	file, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	dpd, _ := hex.DecodeString("afcad71368a1f1c96b8696fc77570100")
	var r *capture.Recorder
	for e, err := range capture.Files(t.Context(), []string{from}, capture.FileOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := e.(*analyze.Frame); ok {
			f.Data = bytes.ReplaceAll(f.Data, dpd, []byte(evilVendor))
		}
		spoil(reflect.ValueOf(e).Elem(), "", all)
		if r == nil {
			o := e.Head().Origin
			if r, err = capture.NewRecorder(file, capture.RecorderOptions{Version: "9" + evil, Host: o.Host, Netns: o.Netns, Kernel: evil}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Record(e); err != nil {
			t.Fatal(err)
		}
	}
	lost := &analyze.Lost{What: "something" + evil}
	lost.Origin, lost.Time = analyze.Origin{Host: "glass" + evil}, time.Unix(1_900_000_000, 0)
	if err := r.Record(lost); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// notNames are the texts that rules compare: with evil in them nothing would be found.
var notNames = map[string]bool{"Change": true, "State": true, "Via": true, "Daemon": true, "LinkAddr": true, "Kind": true, "Missing": true, "IKE": true}

// spoil puts evil after the texts of a value.
func spoil(v reflect.Value, field string, all bool) {
	switch v.Interface().(type) {
	case netip.Addr, netip.AddrPort, netip.Prefix, time.Time:
		return
	}
	switch v.Kind() {
	case reflect.String:
		if v.String() != "" && (all || !notNames[field]) {
			v.SetString(v.String() + evil)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				spoil(v.Field(i), f.Name, all)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			spoil(v.Index(i), field, all)
		}
	case reflect.Map:
		spoilMap(v, all)
	case reflect.Pointer:
		if !v.IsNil() {
			spoil(v.Elem(), field, all)
		}
	}
}

// spoilMap adds an entry to a map of a kernel's counters or settings.
func spoilMap(v reflect.Value, all bool) {
	if v.IsNil() || v.Type().Key().Kind() != reflect.String {
		return
	}
	value := reflect.New(v.Type().Elem()).Elem()
	if value.Kind() == reflect.String {
		value.SetString(evil)
	} else if value.CanUint() {
		value.SetUint(1)
	}
	name := "XfrmInNoStates"
	if all {
		name = "Xfrm"
	}
	v.SetMapIndex(reflect.ValueOf(name+evil), value)
}
