package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"ipsecdiag/fixtures"
	"ipsecdiag/rules/report"
)

// demoFiles are the recordings that the demo replays, one of each host.
var demoFiles = []string{"nd-deadlock-ikev2/glass.pcapng", "nd-deadlock-ikev2/teapot.pcapng"}

const demoStory = `Two hosts, glass (fd00::1) and teapot (fd00::2), are to speak IPv6 under IPsec. strongSwan runs on both, with its defaults. They have just booted: neither knows the other's link-layer address yet.

Somebody on glass pings teapot, and nothing comes back. On both hosts "ipsecdiag watch eth0 -w FILE" was running. This is what "ipsecdiag analyze" says of the two recordings, made on a real kernel:`

const demoNext = `What to try next:

  ipsecdiag explain nd-deadlock    what that means, and where it is written
  sudo ipsecdiag watch eth0        on a host where IPsec hangs
  ipsecdiag analyze FILE...        on a capture that you have
`

func newDemo(io streams) *cobra.Command {
	return &cobra.Command{
		Use:               "demo",
		Short:             "Replay a recording of two hosts that wait for each other",
		Long:              "Replays a recording that is part of the program, to show what ipsecdiag does. It\nneeds no root and no network, and its exit status is 0.",
		Args:              noArguments,
		ValidArgsFunction: completeNothing,
		RunE:              func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), io) },
	}
}

func runDemo(ctx context.Context, io streams) error {
	dir, err := os.MkdirTemp("", "ipsecdiag-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	paths, err := unpackDemo(dir)
	if err != nil {
		return err
	}
	engine := newRecordingEngine(0)
	if err := judge(engine, replayOnce(ctx, 0, paths, io, nil)); err != nil {
		return err
	}
	if err := report.Prose(io.out, demoStory, textOptions(io.out)); err != nil {
		return err
	}
	fmt.Fprintln(io.out)
	if err := writeReport(io.out, formatText, engine, nil); err != nil {
		return err
	}
	_, err = fmt.Fprint(io.out, "\n"+demoNext)
	return err
}

// unpackDemo writes the recordings to a directory and returns their paths.
func unpackDemo(dir string) ([]string, error) {
	var paths []string
	for _, name := range demoFiles {
		content, err := fixtures.Demo.ReadFile(name)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}
