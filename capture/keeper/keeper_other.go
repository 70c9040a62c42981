//go:build !linux

package keeper

import (
	"context"
	"io"
	"iter"
	"net"
	"os"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/kernel"
)

// Keeper is for Linux.
type Keeper struct{ State string }

// The methods of a Keeper return kernel.ErrNeedsLinux.

func (*Keeper) Events(ctx context.Context, _ func(string)) iter.Seq2[analyze.Event, error] {
	return kernel.Watch(ctx, kernel.Options{})
}
func (*Keeper) Vici() (net.Conn, error) { return nil, kernel.ErrNeedsLinux }
func (*Keeper) Whack(context.Context, string) (io.ReadCloser, error) {
	return nil, kernel.ErrNeedsLinux
}
func (*Keeper) Tracked() (*os.File, error)          { return nil, kernel.ErrNeedsLinux }
func (*Keeper) NextFile() (string, *os.File, error) { return "", nil, kernel.ErrNeedsLinux }
func (*Keeper) NewFile() (string, *os.File, error)  { return "", nil, kernel.ErrNeedsLinux }
func (*Keeper) Close()                              {}
