package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"sync"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/rules"
	"ipsecdiag/rules/report/ladder"
)

// HTMLOptions say what stands in an HTML report besides what was found.
type HTMLOptions struct {
	Version string   // of the program
	Files   []string // that were read
}

//go:embed report.html
var htmlText string

//go:embed report.css
var htmlStyle string

// htmlTemplate holds no script: the report is whole without. Its policy allows
// nothing but its own style sheet, so that what was captured can load and run
// nothing even if it got past the escaping.
var htmlTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("report").Funcs(template.FuncMap{
		"style": func() template.CSS { return template.CSS(htmlStyle) },
		"policy": func() string {
			sum := sha256.Sum256([]byte(htmlStyle))
			return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
				"'; img-src data:; base-uri 'none'; form-action 'none'"
		},
		"capital": capital,
		"add":     func(a, b int) int { return a + b },
	}).Parse(htmlText))
})

// Bounds of a report: one of a million frames is to be opened by a browser, and
// read by a person. What is beyond them is counted.
const (
	maxHTMLFindings = 300
	maxHTMLLadders  = 30
	maxHTMLSteps    = 250  // of one ladder
	maxHTMLAllSteps = 1500 // of all of them
	maxHTMLPolicies = 200  // of one host and direction
	maxHTMLSeries   = 40
)

// HTML writes a report as one file that needs no network and no script, from an
// engine that has kept a record.
func HTML(w io.Writer, e *rules.Engine, o HTMLOptions) error {
	b := &htmlBuilder{engine: e, findings: e.Findings(), ladders: map[analyze.PairKey]*htmlLadder{}}
	b.page.HTMLOptions = o
	b.page.Summary = Summarize(e.State)
	b.build()
	c := &cleaner{w: w}
	if err := htmlTemplate().Execute(c, &b.page); err != nil {
		return err
	}
	return c.flush()
}

// cleaner cleans what goes through it, line by line: the templates escape what
// has a meaning in HTML, this what has one to a terminal and to the eye.
type cleaner struct {
	w    io.Writer
	line []byte
}

func (c *cleaner) Write(b []byte) (int, error) {
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			c.line = append(c.line, b...)
			return n, nil
		}
		c.line = append(c.line, b[:i]...)
		b = b[i+1:]
		if err := c.emit("\n"); err != nil {
			return 0, err
		}
	}
}

func (c *cleaner) emit(end string) error {
	_, err := io.WriteString(c.w, Clean(string(c.line))+end)
	c.line = c.line[:0]
	return err
}

func (c *cleaner) flush() error { return c.emit("") }

// htmlPage is what the template is given.
type htmlPage struct {
	HTMLOptions
	Title, Verdict string
	Tone           string // of the verdict, as a class
	Findings       []*htmlFinding
	More           int // findings that are not shown
	Ladders        []*htmlLadder
	MoreLadders    int // pairs with findings that are not drawn
	Charts         []htmlChart
	Hosts          []htmlHost
	Summary        Summary
	Period         string
	Forgotten      uint64
}

// htmlFinding is one finding with those that it explains.
type htmlFinding struct {
	ID, Number string // of its element; as people count it
	Finding    *rules.Finding
	Tone       string
	Standing   string
	Evidence   []htmlEvidence
	Remedies   bool // are worth telling
	Heading    string
	Effects    []*htmlFinding
	Ladder     *htmlLadder // of its pair; nil where none is drawn
}

type htmlEvidence struct {
	ID, Number, Time, Text string
	Where                  []string
	Step                   string // id of the step that shows it, empty where none does

	at    time.Time
	parts []int // indexes in the finding's evidence
}

// htmlLadder is the ladder of one pair.
type htmlLadder struct {
	ID      string
	Ladder  *ladder.Ladder
	Layout  *ladder.Layout
	Rows    []htmlRow
	Omitted int
}

// htmlRow is a step with what the drawing says of it beyond its place.
type htmlRow struct {
	ladder.LayoutRow
	ID     string
	Class  string
	Title  []string // all that there is to say
	Marks  []htmlMark
	Beyond int // marks that are not shown
}

// htmlMark leads from a step to the evidence that it is.
type htmlMark struct{ ID, Number string }
