package rules_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// timekeepers may compare times of events as they like: they are not asked of pairs
// that rest, but of a host or its kernel, or follow what was found.
var timekeepers = []string{"engine.go", "rule.go", "audit.go", "sa_orphaned.go", "causes.go"}

// TestRulesAskForTheTimeThroughThePass holds that no rule compares with how much time
// has passed but by Passed and Exceeded: a pair rests until what they wait for.
func TestRulesAskForTheTimeThroughThePass(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d files (%v)", len(files), err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || slices.Contains(timekeepers, name) {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if b, ok := n.(*ast.BinaryExpr); ok && comparison(b.Op) && (tellsTime(b.X) || tellsTime(b.Y)) {
				t.Errorf("%s compares with the time that has passed; it has to ask Passed or Exceeded", fset.Position(b.Pos()))
			}
			return true
		})
	}
}

func comparison(op token.Token) bool {
	return op == token.LSS || op == token.LEQ || op == token.GTR || op == token.GEQ
}

// tellsTime reports whether an operand is made of p.Since or p.Now themselves, not of
// what a function makes of them.
func tellsTime(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return tellsTime(e.X) || tellsTime(e.Y)
	case *ast.ParenExpr:
		return tellsTime(e.X)
	case *ast.CallExpr:
		s, ok := e.Fun.(*ast.SelectorExpr)
		return ok && s.Sel.Name == "Since"
	case *ast.SelectorExpr:
		x, ok := e.X.(*ast.Ident)
		return ok && x.Name == "p" && e.Sel.Name == "Now"
	}
	return false
}
