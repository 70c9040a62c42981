package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ipsecdiag/capture"
	"ipsecdiag/rules"
	"ipsecdiag/rules/report"
)

// format is the value of --format.
type format string

const (
	formatText    format = "text"
	formatJSON    format = "json"
	formatHTML    format = "html"
	formatMermaid format = "mermaid"
)

// formats are those that all commands know; reportFormats those of whole
// reports.
var (
	formats       = []string{string(formatText), string(formatJSON)}
	reportFormats = append(formats[:2:2], string(formatHTML), string(formatMermaid))
)

// String, Set and Type satisfy pflag.Value.
func (f *format) String() string { return string(*f) }

func (f *format) Set(s string) error {
	if !slices.Contains(formats, s) {
		return fmt.Errorf("there are %s", strings.Join(formats, " and "))
	}
	*f = format(s)
	return nil
}

func (f *format) Type() string { return strings.Join(formats, "|") }

// reportFormat is the value of --format where a whole report is written.
type reportFormat struct{ format }

// Set and Type satisfy pflag.Value.
func (f *reportFormat) Set(s string) error {
	if !slices.Contains(reportFormats, s) {
		return fmt.Errorf("there are %s", strings.Join(reportFormats, ", "))
	}
	f.format = format(s)
	return nil
}

func (f *reportFormat) Type() string { return "format" }

// writeReport writes a whole report in that format.
func writeReport(w io.Writer, f format, engine *rules.Engine, files []string) error {
	findings, sum := engine.Findings(), report.Summarize(engine.State)
	switch f {
	case formatJSON:
		return report.JSON(w, findings, sum)
	case formatHTML:
		return report.HTML(w, engine, report.HTMLOptions{Version: buildVersion(), Files: baseNames(files)})
	case formatMermaid:
		return report.Mermaid(w, findings, sum, report.Ladders(engine, findings))
	}
	o := textOptions(w)
	o.Ladder = report.Ladders(engine, findings)
	return report.Text(w, findings, sum, o)
}

// baseNames are files without their directories, which are nobody else's matter.
func baseNames(paths []string) []string {
	var names []string
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	return names
}

// writeChange writes one finding that is new or changed.
func writeChange(w io.Writer, f format, finding rules.Finding) error {
	if f == formatJSON {
		return report.JSONLine(w, finding)
	}
	return report.Change(w, finding, textOptions(w))
}

// found returns errFound where a finding counts towards the exit status.
func found(findings []rules.Finding) error {
	if slices.ContainsFunc(findings, func(f rules.Finding) bool { return f.Counts() }) {
		return errFound
	}
	return nil
}

// output is where a command writes: a file, or standard output.
type output struct {
	stdout io.Writer
	file   *capture.Output
}

// openOutput opens the file of that name, or makes it with that mode, before the
// process is locked in. Where there is no name it is standard output.
func openOutput(name string, mode os.FileMode, stdout io.Writer) (*output, error) {
	if name == "" || name == "-" {
		return &output{stdout: stdout}, nil
	}
	f, err := capture.ReserveOutput(name, mode)
	return &output{file: f}, err
}

// write calls f with where to write, once, and closes that.
func (o *output) write(f func(io.Writer) error) error {
	if o.file == nil {
		return f(o.stdout)
	}
	w, err := o.file.Begin()
	return errors.Join(err, f(w), w.Close())
}
