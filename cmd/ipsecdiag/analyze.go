package main

import (
	"io"

	"github.com/spf13/cobra"
)

type analyzeOptions struct {
	format format
	output string
}

const analyzeLong = `Reads captures (pcap, pcapng; plain, gzip or zstd) and recordings of watch -w,
and says what is wrong. "-" is standard input. Several files, such as one from
each end, are merged by time; that needs clocks that agree.`

func newAnalyze(io streams) *cobra.Command {
	o := analyzeOptions{format: formatText}
	cmd := &cobra.Command{
		Use:     "analyze FILE...",
		Short:   "Say what is wrong in captures and recordings",
		Long:    analyzeLong,
		Example: "  ipsecdiag analyze glass.pcapng teapot.pcapng\n  tcpdump -w - | ipsecdiag analyze - --format json",
		Args:    needsFile,
		RunE:    func(cmd *cobra.Command, args []string) error { return runAnalyze(cmd, o, args, io) },
	}
	cmd.Flags().Var(&o.format, "format", "how to write findings")
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "write to this `FILE` instead of standard output")
	completeFormat(cmd)
	return cmd
}

func runAnalyze(cmd *cobra.Command, o analyzeOptions, paths []string, streams streams) error {
	engine := newEngine()
	if err := judge(engine, replay(cmd.Context(), paths, streams)); err != nil {
		return err
	}
	err := outputTo(o.output, 0o644, streams.out, func(w io.Writer) error {
		return writeReport(w, o.format, engine)
	})
	if err != nil {
		return err
	}
	return found(engine.Findings())
}
