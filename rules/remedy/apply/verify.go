package apply

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// Prober is a kernel that can be asked by packets as well. *kernel.Handle of
// package capture/kernel satisfies it.
type Prober interface {
	Snapshot(context.Context) (*analyze.Snapshot, error)
	// Solicit and Echo send one packet and report whether it was answered in
	// time. That a policy stops it is no error.
	Solicit(ctx context.Context, src, peer netip.Addr, ifindex int, within time.Duration) (bool, error)
	Echo(ctx context.Context, src, dst netip.Addr, within time.Duration) (bool, error)
	// ProbeNeighbor has the kernel solicit an address that it does not know.
	ProbeNeighbor(context.Context, analyze.Neighbor) error
}

// End is one of the two ends of a link.
type End string

// The ends.
const (
	Local   End = "local"
	Peer    End = "peer"
	Unknown End = ""
)

// Proof is whether something that was hoped for holds.
type Proof struct {
	Subject string `json:"subject"`
	Holds   bool   `json:"holds"`
	Text    string `json:"text"`
	// Wrong is the end at which something is still wrong, where that is known.
	Wrong End `json:"wrong,omitempty"`
}

// How often a question is asked.
const (
	tries = 3
	// Patience is how long an answer may take.
	Patience = time.Second
)

// VerifyND asks peer for its link-layer address. The policies of this host let
// neighbour discovery pass, as the caller has made sure.
func VerifyND(ctx context.Context, p Prober, src, peer netip.Addr, ifindex int) (Proof, error) {
	proof := Proof{Subject: "neighbour discovery with " + peer.String()}
	for range tries {
		if err := p.ProbeNeighbor(ctx, analyze.Neighbor{Addr: peer.WithZone(""), IfIndex: ifindex}); err != nil {
			return proof, err
		}
		answered, err := p.Solicit(ctx, src, peer, ifindex, Patience)
		if err != nil {
			return proof, err
		}
		if answered {
			proof.Holds = true
			proof.Text = fmt.Sprintf("%s has answered a solicitation%s", peer, neighbourText(ctx, p, peer))
			return proof, nil
		}
	}
	proof.Wrong = Peer
	proof.Text = fmt.Sprintf("%s has answered none of %d solicitations, which this host's policies let pass: its own policies catch "+
		"its advertisement, so that it needs the same remedy, or it is not there", peer, tries)
	return proof, nil
}

// neighbourText says what the kernel knows of the neighbour now.
func neighbourText(ctx context.Context, p Prober, peer netip.Addr) string {
	s, err := p.Snapshot(ctx)
	if err != nil {
		return ""
	}
	for _, n := range s.Neighbors {
		if n.Addr == peer.WithZone("") && n.LinkAddr != "" {
			return fmt.Sprintf("; the kernel has %s %s", n.LinkAddr, n.State)
		}
	}
	return ""
}

// carried is what the SAs between two hosts have carried, in packets, and what
// the kernel could not take in.
type carried struct {
	out, in  uint64
	counters map[string]uint64
}

func countCarried(ctx context.Context, p Prober, local, peer netip.Addr) (carried, error) {
	s, err := p.Snapshot(ctx)
	if err != nil {
		return carried{}, err
	}
	c := carried{counters: s.Counters}
	for i := range s.SAs {
		sa := &s.SAs[i]
		if sa.Proto != spd.ProtoESP && sa.Proto != spd.ProtoAH {
			continue
		}
		switch {
		case sa.Src == local && sa.Dst == peer:
			c.out += sa.Used.Packets
		case sa.Src == peer && sa.Dst == local:
			c.in += sa.Used.Packets
		}
	}
	return c, nil
}

// VerifySAs pings peer and looks whether the SAs carry it, out and in.
func VerifySAs(ctx context.Context, p Prober, local, peer netip.Addr) (Proof, error) {
	proof := Proof{Subject: fmt.Sprintf("traffic between %s and %s under its SAs", local, peer)}
	before, err := countCarried(ctx, p, local, peer)
	if err != nil {
		return proof, err
	}
	var after carried
	for range tries {
		answered, err := p.Echo(ctx, local, peer, Patience)
		if err != nil {
			return proof, err
		}
		if after, err = countCarried(ctx, p, local, peer); err != nil {
			return proof, err
		}
		if answered && after.out > before.out && after.in > before.in {
			proof.Holds = true
			proof.Text = "ping is answered, and the SAs' counters move in both directions"
			return proof, nil
		}
	}
	proof.Wrong, proof.Text = whatFailed(before, after, peer)
	return proof, nil
}

// whatFailed says which end is still wrong, from what moved and what did not.
func whatFailed(before, after carried, peer netip.Addr) (End, string) {
	rose := func(counter string) bool { return after.counters[counter] > before.counters[counter] }
	switch {
	case after.out == before.out:
		return Local, "nothing went out under the SAs: another policy catches it, or there is no route"
	case after.in > before.in:
		return Unknown, fmt.Sprintf("the SAs carry packets in both directions, but %s does not answer ping, by its firewall perhaps", peer)
	case rose("XfrmInStateProtoError"):
		return Peer, fmt.Sprintf("ESP or AH goes out, and what %s sends cannot be verified (XfrmInStateProtoError): keys or algorithms differ", peer)
	case rose("XfrmInNoStates"):
		return Peer, fmt.Sprintf("ESP or AH goes out, and what comes in has an SPI that this host does not know (XfrmInNoStates): "+
			"%s has other SPIs", peer)
	case rose("XfrmInTmplMismatch"):
		return Peer, fmt.Sprintf("ESP or AH goes out, and what comes in is in the clear or not as the policy wants it (XfrmInTmplMismatch): "+
			"%s has no policies, or other ones", peer)
	}
	return Peer, fmt.Sprintf("ESP or AH goes out and nothing comes back: %s has not got its part yet, or is not there", peer)
}
