//go:build !linux

package main

import (
	"github.com/spf13/cobra"

	"ipsecdiag/capture/kernel"
)

func (w *watcher) startKeeper() error { return kernel.ErrNeedsLinux }

func newKeep() *cobra.Command {
	return &cobra.Command{Use: "keep", Hidden: true, RunE: func(*cobra.Command, []string) error { return kernel.ErrNeedsLinux }}
}
