package remedy

import "fmt"

// Reason says in one word, for programs, why a plan is refused.
type Reason string

// The reasons.
const (
	NoKernel     Reason = "no-kernel"      // the policies and SAs could not be read
	BadAddress   Reason = "bad-address"    // not usable as the address of a host: unspecified, loopback …
	Families     Reason = "families"       // IPv4 and IPv6 in one pair
	NotLocal     Reason = "not-local"      // the local address is not on this host
	PeerIsLocal  Reason = "peer-is-local"  // the peer is this host
	Multicast    Reason = "multicast"      // the peer is a group
	BadSPI       Reason = "bad-spi"        // below 0x100 (RFC 4303 section 2.1), or twice the same
	SPIInUse     Reason = "spi-in-use"     // an SA with that destination, protocol and SPI stands
	KeyLength    Reason = "key-length"     // wrong length for the algorithm
	MissingKey   Reason = "missing-key"    // keys were given, and not all of them
	Algorithm    Reason = "algorithm"      // unknown
	CounterMode  Reason = "counter-mode"   // must not be used with manual keys
	PolicyExists Reason = "policy-exists"  // a policy with the same selector that does not fit
	DaemonOwns   Reason = "daemon-owns"    // an IKE daemon made the policy, or serves the pair
	NoRoom       Reason = "no-room"        // no priority wins
	BadValue     Reason = "bad-value"      // an argument that cannot be used
	NoNeighbour  Reason = "no-neighbour"   // not on a link of this host
	Inexpressive Reason = "cannot-express" // the format has no words for it
)

// Refusal is the error that says why nothing will be done. Test for it with
// errors.As.
type Refusal struct {
	Reason Reason `json:"reason"`
	Text   string `json:"text"` // one line
	// Instead is what to do instead, such as configuration of the daemon; lines,
	// or empty.
	Instead string `json:"instead,omitempty"`
}

// Error returns the one line.
func (r *Refusal) Error() string { return r.Text }

func refuse(why Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: why, Text: fmt.Sprintf(format, args...)}
}
