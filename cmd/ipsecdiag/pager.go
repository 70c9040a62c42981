package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"ipsecdiag/rules/report"
)

// page writes text through a pager where output is a terminal, and plainly
// elsewhere.
func (s streams) page(write func(io.Writer, report.Options) error) error {
	o := textOptions(s.out)
	pager := s.pager()
	if pager == nil {
		return write(s.out, o)
	}
	cmd := exec.Command(pager[0], pager[1:]...)
	cmd.Stdout, cmd.Stderr = s.out, s.err
	if os.Getenv("LESS") == "" {
		cmd.Env = append(os.Environ(), "LESS=FRX")
	}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil { // $PAGER names what is not there
		return write(s.out, o)
	}
	signal.Ignore(os.Interrupt) // the pager decides what Ctrl-C means
	defer signal.Reset(os.Interrupt)
	err = errors.Join(write(in, o), in.Close(), cmd.Wait())
	if errors.Is(err, syscall.EPIPE) { // it was left before the end
		return nil
	}
	return err
}

// pager returns the command of the pager with its arguments, nil where there is
// none to be used. It is run as it is: no shell reads it.
func (s streams) pager() []string {
	if !isTerminal(s.out) || !isTerminal(s.in) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	command, set := os.LookupEnv("PAGER")
	words := strings.Fields(command)
	switch {
	case !set:
		words = []string{"less", "-FRX"}
	case len(words) == 0 || words[0] == "cat":
		return nil
	}
	if _, err := exec.LookPath(words[0]); err != nil {
		return nil
	}
	return words
}
