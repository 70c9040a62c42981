package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"ipsecdiag/cmd/ipsecdiag/live"
	"ipsecdiag/rules"
)

type analyzeOptions struct {
	format reportFormat
	output string
	view   bool
	memory memory
}

const analyzeLong = `Reads captures (pcap, pcapng; plain, gzip or zstd) and recordings of watch -w,
and says what is wrong. "-" is standard input. Several files, such as one from
each end, are laid side by side: their clocks are compared by the packets that
both saw, all times are the first one's, and it is said what was lost between
them. For that the files are read twice; what comes from a pipe keeps its own
times.`

func newAnalyze(io streams) *cobra.Command {
	o := analyzeOptions{format: reportFormat{formatText}}
	cmd := &cobra.Command{
		Use:     "analyze FILE...",
		Short:   "Say what is wrong in captures and recordings",
		Long:    analyzeLong,
		Example: "  ipsecdiag analyze glass.pcapng teapot.pcapng\n  tcpdump -w - | ipsecdiag analyze - --format json",
		Args:    needsFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return runAnalyze(cmd, o, args, io) },
	}
	cmd.Flags().Var(&o.format, "format", "`FORMAT`: text, json, html or mermaid")
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "write to this `FILE` instead of standard output")
	cmd.Flags().Var(&o.memory, "max-memory", memoryUsage+"; without it, what the\ncapture asks for")
	cmd.Flags().BoolVar(&o.view, "tui", false, "browse it full-screen, where there is a terminal")
	completeFlag(cmd, "format", reportFormats)
	return cmd
}

func runAnalyze(cmd *cobra.Command, o analyzeOptions, paths []string, streams streams) error {
	if err := o.contradicts(cmd); err != nil {
		return err
	}
	out, err := openOutput(o.output, 0o644, streams.out)
	if err != nil {
		return err
	}
	if o.view && streams.fullScreen() {
		streams = streams.withView()
	}
	o.memory.govern()
	engine := newRecordingEngine(o.memory)
	if err := judge(engine, replay(cmd.Context(), o.memory, paths, streams)); err != nil {
		return err
	}
	if o.view && streams.fullScreen() {
		return browse(cmd.Context(), engine, paths, streams)
	}
	err = out.write(func(w io.Writer) error {
		return writeReport(w, o.format.format, engine, paths)
	})
	if err != nil {
		return err
	}
	return found(engine.Findings())
}

// contradicts says which flags exclude each other.
func (o *analyzeOptions) contradicts(cmd *cobra.Command) error {
	for _, flag := range []string{"format", "output"} {
		if o.view && cmd.Flags().Changed(flag) {
			return fmt.Errorf("--tui shows the findings on the terminal: it does not go with --%s", flag)
		}
	}
	return nil
}

// browse shows what was read full-screen.
func browse(ctx context.Context, engine *rules.Engine, paths []string, streams streams) error {
	title := filepath.Base(paths[0])
	if more := len(paths) - 1; more > 0 {
		title += fmt.Sprintf(" and %d more", more)
	}
	source := &still{feed: live.NewFeed(engine)}
	if err := streams.show(ctx, source, live.Options{Title: title, Still: true}); err != nil {
		return err
	}
	if err := takeLeave(streams, engine); err != nil {
		return err
	}
	return found(engine.Findings())
}
