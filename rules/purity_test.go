package rules_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// impure are the packages below analyze and rules that may touch the world. All
// others turn events into findings into text, and get the world as arguments.
var impure = []string{"rules/remedy/apply"}

// forbidden are standard packages by which the world gets in; subpackages too.
var forbidden = []string{"os", "net", "syscall", "plugin", "log", "runtime", "unsafe"}

// allowed are exceptions to it, and the only packages outside the standard
// library and the pure rooms.
var allowed = map[string][]string{
	"github.com/google/gopacket":        {"analyze", "analyze/ike/ikelayer"},
	"github.com/google/gopacket/layers": {"analyze", "analyze/ike/ikelayer"},
	"golang.org/x/text/width":           {"rules/report"},
}

// clocks are what asks a clock, or waits for one.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}

// TestPureRooms holds that the pure packages import nothing that reaches files,
// sockets or the kernel, and never ask the time.
func TestPureRooms(t *testing.T) {
	checked := 0
	for _, top := range []string{"analyze", "rules"} {
		err := filepath.WalkDir(filepath.Join("..", top), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
				return err
			}
			room := strings.TrimPrefix(path.Dir(filepath.ToSlash(file)), "../")
			if !slices.Contains(impure, room) && !strings.Contains(room, "testdata") {
				checkFile(t, room, file)
				checked++
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if checked < 10 {
		t.Errorf("only %d files found", checked)
	}
}

func checkFile(t *testing.T, room, name string) {
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Error(err)
		return
	}
	timeName := ""
	for _, s := range f.Imports {
		pkg, _ := strconv.Unquote(s.Path.Value)
		if !mayImport(room, pkg) {
			t.Errorf("%s imports %s", name, pkg)
		}
		if pkg == "time" {
			timeName = "time"
			if s.Name != nil {
				timeName = s.Name.Name
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok || timeName == "" {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && x.Name == timeName && slices.Contains(clocks, s.Sel.Name) {
			t.Errorf("%s uses time.%s: time exists only in events", name, s.Sel.Name)
		}
		return true
	})
}

func mayImport(room, pkg string) bool {
	if rooms, ok := allowed[pkg]; ok {
		return slices.Contains(rooms, room)
	}
	if own, ok := strings.CutPrefix(pkg, "ipsecdiag/"); ok {
		top, _, _ := strings.Cut(own, "/")
		return (top == "analyze" || top == "rules") && !slices.Contains(impure, own)
	}
	first, _, _ := strings.Cut(pkg, "/")
	return pkg == "net/netip" || !strings.Contains(first, ".") && !slices.Contains(forbidden, first)
}

func TestMayImport(t *testing.T) {
	for pkg, want := range map[string]bool{
		"fmt": true, "net/netip": true, "encoding/json": true, "ipsecdiag/analyze/spd": true,
		"os": false, "os/exec": false, "net": false, "net/http": false, "ipsecdiag/capture/kernel": false, "ipsecdiag/rules/remedy/apply": false,
		"github.com/vishvananda/netlink/nl": false, "golang.org/x/sys/unix": false, "golang.org/x/text/width": false,
	} {
		if got := mayImport("rules", pkg); got != want {
			t.Errorf("mayImport(rules, %s) = %v", pkg, got)
		}
	}
}
