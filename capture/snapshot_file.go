package capture

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"ipsecdiag/analyze"
)

// snapshotVersion is the version of a snapshot's JSON. Fields are only ever
// added within a version.
const snapshotVersion = 1

// maxSnapshot bounds the JSON of a snapshot, bytes: 10,000 policies are 5 MB.
const maxSnapshot = 256 << 20

// snapshotDocument is the JSON of `ipsecdiag snapshot`.
type snapshotDocument struct {
	Version int            `json:"version"`
	Time    time.Time      `json:"time"`
	Origin  analyze.Origin `json:"origin"`
	analyze.KernelState
}

// WriteSnapshot writes a snapshot as JSON that ReadStates reads.
func WriteSnapshot(w io.Writer, s *analyze.Snapshot) error {
	return analyze.WriteJSON(w, snapshotDocument{snapshotVersion, s.Time.UTC(), s.Origin, s.KernelState}, true)
}

// ErrNotSnapshot is returned for JSON that is no snapshot.
var ErrNotSnapshot = errors.New("is JSON, but not what ipsecdiag snapshot prints")

func readSnapshot(r io.Reader) (*analyze.Snapshot, error) {
	limited := &io.LimitedReader{R: r, N: maxSnapshot}
	var d snapshotDocument
	err := json.NewDecoder(limited).Decode(&d)
	switch {
	case err != nil && limited.N <= 0:
		return nil, fmt.Errorf("is longer than %d MiB", maxSnapshot>>20)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrNotSnapshot, err)
	case d.Version > snapshotVersion:
		return nil, ErrNewer
	case d.Version < 1 || d.Time.IsZero():
		return nil, ErrNotSnapshot
	}
	return &analyze.Snapshot{
		Header:      analyze.Header{Time: d.Time.UTC(), Origin: d.Origin.Kernel()},
		KernelState: d.KernelState,
	}, nil
}
