package main

import (
	"bufio"
	"context"

	"github.com/spf13/cobra"

	"ipsecdiag/analyze"
)

type eventsOptions struct {
	ticks bool
}

const eventsLong = `Prints what analyze would be told, one event a line: frames, ESP and AH flows,
kernel state and its changes, losses. Each line is versioned JSON.`

func newEvents(io streams) *cobra.Command {
	var o eventsOptions
	cmd := &cobra.Command{
		Use:   "events FILE...",
		Short: "Print the event stream of captures and recordings as JSON lines",
		Long:  eventsLong,
		Args:  needsFile,
		RunE:  func(cmd *cobra.Command, args []string) error { return runEvents(cmd.Context(), o, args, io) },
	}
	cmd.Flags().BoolVar(&o.ticks, "ticks", false, "print the whole seconds of event time too")
	return cmd
}

func runEvents(ctx context.Context, o eventsOptions, paths []string, io streams) error {
	w := bufio.NewWriter(io.out)
	for e, err := range replay(ctx, 0, paths, io) {
		if err != nil {
			w.Flush() // what was read so far
			return err
		}
		if _, tick := e.(*analyze.Tick); tick && !o.ticks {
			continue
		}
		line, err := analyze.EncodeEvent(e)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return w.Flush()
}
