package capture

import (
	"errors"

	"ipsecdiag/analyze"
)

// maxEventJSON bounds an event in one journal block, bytes. Wireshark refuses
// blocks above 256 KiB (WTAP_MAX_PACKET_SIZE_STANDARD).
const maxEventJSON = 200 << 10

// maxSnapshotEntries bounds the entries of all lists of a Snapshot that is put
// together again from its parts.
const maxSnapshotEntries = 200_000

// errSnapshotTooLarge is returned where one thing in a snapshot does not fit
// into a block.
var errSnapshotTooLarge = errors.New("an entry of the snapshot is too large for a block")

// splitSnapshot returns a Snapshot as events in JSON, each small enough for a
// block. The first holds all that is no list.
func splitSnapshot(s *analyze.Snapshot) ([][]byte, error) {
	blob, err := analyze.EncodeEvent(s)
	if err != nil {
		return nil, err
	}
	if len(blob) <= maxEventJSON {
		return [][]byte{blob}, nil
	}
	if listed(&s.KernelState) < 2 {
		return nil, errSnapshotTooLarge
	}
	left, right := halves(s)
	first, err := splitSnapshot(left)
	if err != nil {
		return nil, err
	}
	second, err := splitSnapshot(right)
	if err != nil {
		return nil, err
	}
	return append(first, second...), nil
}

// listed returns the length of the longest list.
func listed(k *analyze.KernelState) int {
	return max(len(k.Policies), len(k.SAs), len(k.Neighbors), len(k.Links),
		len(k.Addresses), len(k.Routes), len(k.Listeners))
}

// entries returns the length of all lists.
func entries(k *analyze.KernelState) int {
	return len(k.Policies) + len(k.SAs) + len(k.Neighbors) + len(k.Links) +
		len(k.Addresses) + len(k.Routes) + len(k.Listeners)
}

// halves splits every list of a snapshot in two.
func halves(s *analyze.Snapshot) (left, right *analyze.Snapshot) {
	l, r := *s, analyze.Snapshot{Header: s.Header}
	l.Policies, r.Policies = halve(s.Policies)
	l.SAs, r.SAs = halve(s.SAs)
	l.Neighbors, r.Neighbors = halve(s.Neighbors)
	l.Links, r.Links = halve(s.Links)
	l.Addresses, r.Addresses = halve(s.Addresses)
	l.Routes, r.Routes = halve(s.Routes)
	l.Listeners, r.Listeners = halve(s.Listeners)
	return &l, &r
}

func halve[T any](list []T) (left, right []T) {
	n := (len(list) + 1) / 2
	return list[:n], list[n:]
}

// snapshotParts puts a Snapshot together again.
type snapshotParts struct {
	whole *analyze.Snapshot
	next  recordedPart // the one to come
}

// pending reports whether parts are missing.
func (p *snapshotParts) pending() bool { return p.whole != nil }

// fits reports whether a part is the one that is to come now.
func (p *snapshotParts) fits(s *analyze.Snapshot, part recordedPart) bool {
	if p.whole == nil {
		return part.Index == 1 && part.Of > 1
	}
	return part == p.next && entries(&p.whole.KernelState)+entries(&s.KernelState) <= maxSnapshotEntries
}

// add takes a part that fits. It returns the Snapshot once that is complete.
func (p *snapshotParts) add(s *analyze.Snapshot, part recordedPart) *analyze.Snapshot {
	if p.whole == nil {
		p.whole = s
	} else {
		join(&p.whole.KernelState, &s.KernelState)
	}
	p.next = recordedPart{Index: part.Index + 1, Of: part.Of}
	if part.Index < part.Of {
		return nil
	}
	whole := p.whole
	*p = snapshotParts{}
	return whole
}

// join appends the lists of a later part.
func join(k, more *analyze.KernelState) {
	k.Policies = append(k.Policies, more.Policies...)
	k.SAs = append(k.SAs, more.SAs...)
	k.Neighbors = append(k.Neighbors, more.Neighbors...)
	k.Links = append(k.Links, more.Links...)
	k.Addresses = append(k.Addresses, more.Addresses...)
	k.Routes = append(k.Routes, more.Routes...)
	k.Listeners = append(k.Listeners, more.Listeners...)
}
