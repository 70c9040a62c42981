package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"ipsecdiag/analyze"
	"ipsecdiag/rules"
)

// recorded is what a recording says, in the words of one process to another.
type recorded struct {
	Hosts    []recordedHost  `json:"hosts"` // of which the kernel was seen
	Findings []rules.Finding `json:"findings"`
	Error    string          `json:"error,omitempty"` // why it could not be read
}

// recordedHost is a host's kernel at the end of the recording.
type recordedHost struct {
	Origin analyze.Origin      `json:"origin"`
	Kernel analyze.KernelState `json:"kernel"`
}

// newFindings returns the command by which fix reads a recording: in a process
// of its own, which is locked in and can change nothing.
func newFindings(io streams) *cobra.Command {
	return &cobra.Command{
		Use: "findings FILE", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			engine := newEngine(0)
			out := recorded{}
			if err := judge(engine, replay(cmd.Context(), 0, args, io)); err != nil {
				out.Error = oneLine(err)
				return json.NewEncoder(io.out).Encode(out)
			}
			for _, h := range engine.State.Hosts {
				if h.KernelSeen {
					out.Hosts = append(out.Hosts, recordedHost{h.Origin, h.Kernel()})
				}
			}
			out.Findings = engine.Findings()
			return json.NewEncoder(io.out).Encode(out)
		},
	}
}

// readRecorded has another process read a recording.
func readRecorded(ctx context.Context, path string, io streams) (r recorded, err error) {
	program, err := os.Executable()
	if err != nil {
		return r, fmt.Errorf("read %s: %w", path, err)
	}
	args := []string{"findings"}
	if io.verbose != nil && *io.verbose {
		args = append(args, "--verbose")
	}
	cmd := exec.CommandContext(ctx, program, append(args, "--", path)...)
	cmd.Stdin, cmd.Stderr = io.in, io.err
	document, err := cmd.Output()
	if ctx.Err() != nil {
		return r, errInterrupted
	}
	if err == nil {
		err = json.Unmarshal(document, &r)
	}
	switch {
	case err != nil:
		return r, fmt.Errorf("read %s: %w", path, err)
	case r.Error != "":
		return r, errors.New(r.Error)
	}
	return r, nil
}
