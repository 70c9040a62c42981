package main

import (
	"cmp"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/charmbracelet/colorprofile"
	"golang.org/x/term"

	"ipsecdiag/rules/report"
)

// streams are a command's standard files.
type streams struct {
	in       io.Reader
	keys     io.Reader // the terminal, where it was opened besides
	out, err io.Writer
	profile  *colorprofile.Profile // of the terminal; nil: not found out
	verbose  *bool                 // --verbose; nil before flags were read
}

// isTerminal reports whether w is a terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// The widths at which text is set. Longer lines are hard to read.
const (
	minWidth     = 40
	defaultWidth = 80
	maxWidth     = 100
)

// textOptions fit the text to where it goes.
func textOptions(w io.Writer) report.Options {
	o := report.Options{Width: defaultWidth}
	if !isTerminal(w) {
		return o
	}
	if columns, _, err := term.GetSize(int(w.(*os.File).Fd())); err == nil && columns > 0 {
		o.Width = min(max(columns, minWidth), maxWidth)
	}
	o.Color = wantsColor()
	o.ASCII = !knowsUnicode()
	return o
}

// knowsUnicode reports whether the locale is one of UTF-8 (POSIX, Environment
// Variables: LC_ALL comes before LC_CTYPE, that before LANG). Windows has no
// such variables, and a console that knows it.
func knowsUnicode() bool {
	if runtime.GOOS == "windows" {
		return true
	}
	locale := cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG"))
	charset := strings.ToLower(strings.ReplaceAll(locale, "-", ""))
	return strings.Contains(charset, "utf8")
}

// wantsColor reports whether a terminal may be sent colours
// (https://no-color.org). The old console of Windows does not understand them.
func wantsColor() bool {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	return runtime.GOOS != "windows" || os.Getenv("WT_SESSION") != ""
}
