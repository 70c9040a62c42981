package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"ipsecdiag/capture"
	"ipsecdiag/capture/scrub"
)

type scrubOptions struct {
	output string
	secret string
}

const scrubLong = `Makes a copy of a recording or capture that can be shown to strangers. Addresses
are replaced, those of one network by others of one network; MAC addresses, names
of hosts and interfaces, identities and certificates get stand-ins; encrypted bytes
and payload are overwritten or cut off; frames that are no business of IPsec are left
out. What ipsecdiag finds in it stays the same. Times, packet sizes, SPIs and the
versions of software stay too.

The stand-ins follow from a secret, another one each time. To scrub the recordings
of both ends so that they fit together, give both the same --secret FILE: it is made,
readable to its owner only, if it is not there. Whoever has it can test a guess.`

func newScrub(io streams) *cobra.Command {
	var o scrubOptions
	cmd := &cobra.Command{
		Use:   "scrub FILE -o FILE",
		Short: "Copy a recording without what names your network",
		Long:  scrubLong,
		Args:  oneFile,
		RunE:  func(cmd *cobra.Command, args []string) error { return runScrub(cmd.Context(), o, args[0], io) },
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "write to this `FILE`, readable to its owner only")
	cmd.Flags().StringVar(&o.secret, "secret", "", "take the secret from this `FILE`, or make it")
	return cmd
}

// oneFile accepts one argument.
func oneFile(cmd *cobra.Command, args []string) error {
	if err := needsFile(cmd, args); err != nil {
		return err
	}
	if len(args) > 1 {
		return errors.New("scrub takes one file at a time; for two that belong together use one --secret FILE")
	}
	return nil
}

func runScrub(ctx context.Context, o scrubOptions, path string, io streams) error {
	if o.output == "" {
		return errors.New("where to? name the file with -o FILE")
	}
	if sameFile(path, o.output) {
		return fmt.Errorf("%s would be overwritten while it is read: name another file with -o", o.output)
	}
	secret, err := scrubSecret(o.secret)
	if err != nil {
		return err
	}
	out, err := capture.ReserveRecording(o.output)
	if err != nil {
		return err
	}
	s := scrub.New(secret)
	if err := scrubTo(ctx, s, path, out, io); err != nil {
		return err
	}
	if s.Left > 0 {
		io.say(fmt.Sprintf("%d frames were left out: nothing is known of their kind", s.Left))
	}
	return nil
}

func scrubTo(ctx context.Context, s *scrub.Scrubber, path string, out *capture.Output, streams streams) error {
	err := s.Copy(buildVersion(), replay(ctx, 0, []string{path}, streams), func() (io.Writer, error) { return out.Begin() })
	if errors.Is(err, scrub.ErrNothing) {
		return fmt.Errorf("%s: %w in it; nothing is written", path, err)
	}
	return errors.Join(err, out.Close())
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// scrubSecret returns the secret in a file, a new one where it names none.
func scrubSecret(path string) (*scrub.Secret, error) {
	if path == "" {
		return scrub.NewSecret(), nil
	}
	file, err := capture.OpenFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return makeSecret(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 1<<10))
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	s, err := scrub.ParseSecret(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("read the secret from %s: %w", path, err)
	}
	return s, nil
}

func makeSecret(path string) (*scrub.Secret, error) {
	s := scrub.NewSecret()
	f, err := capture.CreateSecret(path)
	if err != nil {
		return nil, fmt.Errorf("make the secret: %w", err)
	}
	_, err = f.WriteString(s.Reveal() + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("make the secret: %w", err)
	}
	return s, nil
}
