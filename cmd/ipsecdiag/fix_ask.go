package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"ipsecdiag/rules/report"
)

// errDeclined ends a run to which somebody has said no.
var errDeclined = errors.New("nothing was changed")

// ask has somebody at a terminal agree.
func (r *fixRun) ask(ctx context.Context, steps int) error {
	if r.yes {
		return nil
	}
	if !isTerminal(r.io.in) {
		return errors.New("nothing was changed: there is no terminal to ask; --yes does it without asking, --dry-run only shows it")
	}
	what := "this"
	if steps > 1 {
		what = fmt.Sprintf("these %d steps", steps)
	}
	where := r.result.Host
	if r.netns != "" {
		where += ", namespace " + r.netns
	}
	fmt.Fprintf(r.io.err, "\nApply %s on %s? [y/N] ", what, report.Clean(where))
	line := make(chan string, 1) // a read of a terminal cannot be interrupted
	go func() {
		s, _ := bufio.NewReader(r.io.in).ReadString('\n')
		line <- s
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(r.io.err)
		return errDeclined
	case s := <-line:
		switch strings.ToLower(strings.TrimSpace(s)) {
		case "y", "yes":
			return nil
		}
		return errDeclined
	}
}
