// Command ipsecdiag tells why IPsec between two hosts does not come up, from
// what happens on the wire and in the kernel.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"ipsecdiag/rules/report"
)

func main() {
	os.Exit(run(os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// run carries out a command line and returns its exit status.
func run(args []string, io streams) int {
	// A closed pipe is an error of the write that finds it, not a signal, so
	// that a recording is ended properly all the same.
	signal.Ignore(syscall.SIGPIPE)
	ignoreFileSize()
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup ignores it
		ends = append(ends, syscall.SIGHUP) // the line to the terminal broke
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends the program at once
	root := newRoot(io)
	root.SetArgs(args)
	return exitStatus(root.ExecuteContext(ctx), io)
}

// The exit statuses.
const (
	statusFine  = 0 // nothing of severity warning or worse
	statusFound = 1 // at least one such finding that no other explains
	statusError = 2 // the work could not be done
	// statusUnread is what a shell says of a program that SIGPIPE has ended: whoever
	// read has seen enough.
	statusUnread = 128 + 13
)

// errFound ends a command that did its work and found something.
var errFound = errors.New("something is wrong")

// exitStatus says on standard error, in one line, why the work could not be
// done.
func exitStatus(err error, io streams) int {
	switch {
	case err == nil:
		return statusFine
	case errors.Is(err, errFound):
		return statusFound
	case errors.Is(err, syscall.EPIPE):
		return statusUnread
	}
	io.say(oneLine(err))
	return statusError
}

// oneLine folds an error of several lines, as errors.Join makes, into one.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
}

// say prints one line on standard error. It may quote what was captured.
func (io streams) say(text string) {
	fmt.Fprintln(io.err, "ipsecdiag:", report.Clean(text))
}
