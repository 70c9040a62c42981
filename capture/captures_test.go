package capture

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSharedCaptures reads captures that others made, malformed ones among them:
// each is read to its end, or refused with one line.
func TestSharedCaptures(t *testing.T) {
	paths, err := filepath.Glob("../../shared/captures/*/*.pcap*")
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Skip("no captures in ../shared/captures beside the project")
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			var warnings []string
			opt := FileOptions{Warn: func(s string) { warnings = append(warnings, s) }}
			events, err := collect(Files(t.Context(), []string{path}, opt))
			if err != nil {
				warnings = append(warnings, err.Error())
			}
			if len(events) == 0 && err == nil {
				info, _ := os.Stat(path)
				t.Logf("no events in %d bytes", info.Size())
			}
			if len(warnings) > 1 || strings.Contains(strings.Join(warnings, ""), "\n") {
				t.Errorf("more than one line: %q", warnings)
			}
			for _, w := range warnings {
				t.Log(w)
			}
		})
	}
}
