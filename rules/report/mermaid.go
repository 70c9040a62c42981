package report

import (
	"fmt"
	"html"
	"io"
	"strings"

	"ipsecdiag/rules"
	"ipsecdiag/rules/report/ladder"
)

// Mermaid writes what goes into a ticket: for each finding that stands by itself
// its title and explanation in Markdown, and its ladder as a Mermaid diagram.
func Mermaid(w io.Writer, findings []rules.Finding, sum Summary, l Ladder) error {
	var b strings.Builder
	tops, _ := group(findings)
	for i := range tops {
		f := &tops[i]
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "### %s: %s\n\n%s\n\n", capital(f.Severity.String()), markdown(oneLine(f)), markdown(f.Explanation))
		drawn := ladderOf(l, f)
		if drawn == nil {
			continue
		}
		fmt.Fprintf(&b, "```mermaid\n%s```\n", ladder.Mermaid(drawn, Clean))
	}
	if len(tops) == 0 {
		b.WriteString(unblamed(tops, &sum) + ".\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// markdown makes text that may hold anything plain text of Markdown, in one
// paragraph.
func markdown(s string) string {
	return html.EscapeString(markdownEscapes.Replace(Clean(strings.Join(strings.Fields(s), " "))))
}

var markdownEscapes = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", `*`, `\*`, `_`, `\_`, `[`, `\[`, `]`, `\]`, `#`, `\#`, `|`, `\|`, `~`, `\~`, `@`, `\@`,
)
