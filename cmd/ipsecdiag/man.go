//go:build man

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// This file is for whoever packages the program: one that is built with the tag man
// writes its manual pages (make man). What it needs for that stays out of others.

func init() { additional = append(additional, newMan) }

// newMan returns the command that writes them.
func newMan(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the manual pages of all commands",
		Long:   "Writes a manual page for each command, of section 8, into a directory.",
		Hidden: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("man needs one directory to write to")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(_ *cobra.Command, args []string) error { return writeMan(root, args[0]) },
	}
}

// writeMan writes the pages. They bear the time of the commit, so that the same
// commit gives the same pages.
func writeMan(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write manual pages: %w", err)
	}
	date := commitTime()
	header := &doc.GenManHeader{
		Section: "8", Date: &date, Source: "ipsecdiag " + buildVersion(), Manual: "ipsecdiag",
	}
	root.DisableAutoGenTag = true
	if err := doc.GenManTree(root, header, dir); err != nil {
		return fmt.Errorf("write manual pages: %w", err)
	}
	return nil
}

// commitTime is when the program's commit was made, 1970 where that is not known.
func commitTime() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Unix(0, 0).UTC()
	}
	for _, s := range info.Settings {
		if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
			return t
		}
	}
	return time.Unix(0, 0).UTC()
}
