package timeline

import (
	"net/netip"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// Kind is what an item is.
type Kind uint8

// The kinds. Those up to ICMPError went over the wire, the others happened in a
// kernel, the last in an IKE daemon.
const (
	NS         Kind = iota + 1 // neighbour solicitation (RFC 4861 section 4.3)
	NA                         // neighbour advertisement (RFC 4861 section 4.4)
	ARPRequest                 // RFC 826
	ARPReply
	IKE       // an IKE message
	ESP       // a run of ESP or AH packets under one SPI
	ICMPError // ICMP or ICMPv6 error that quotes IPsec (RFC 792, RFC 4443)

	Acquire  // XFRM_MSG_ACQUIRE
	Larval   // a larval SA was made (xfrm_state_find)
	SA       // an SA was added, updated, deleted
	Expire   // an SA or a policy expired
	Neighbor // a neighbour entry changed its state
	Policy   // a policy was added, updated, deleted
	Counter  // counters of lost packets rose
	Daemon   // who listens for ACQUIREs has changed
	Lost     // events are missing
	Snapshot // the state was read whole
	Said     // an IKE daemon said something
)

// OnWire reports whether things of that kind went over the wire.
func (k Kind) OnWire() bool { return k >= NS && k <= ICMPError }

// Item is one thing that happened, as one observer saw it.
type Item struct {
	Kind Kind
	// N counts the items of its track from 1: where it jumps, some were not
	// kept.
	N  uint64
	At analyze.Sighting
	// Event is what was seen. For ESP it is a Flow that sums up the run.
	Event analyze.Event
	// From and To are the ends of the pair between which it went, or for which
	// a kernel asked: zero for what concerns a host as a whole.
	From, To netip.Addr
	// IKE is the IKE message without UDP header and marker, put together from
	// its fragments.
	IKE []byte
	// Same is equal for all sightings of one packet, and for packets that were
	// sent again unchanged; 0 where that cannot be said.
	Same uint64
	// Fate is what the observer's own policies do with a packet that this item
	// brings about or brings in, where that is not to let it pass: with the
	// answer to an NS, with an NA that came in the clear, with the NS that a
	// neighbour entry without an address makes it send.
	Fate *Fate
	// Neighbor is, for a message that came in, the state of the observer's
	// neighbour entry for the sender: without a link-layer address it cannot
	// answer. Empty where it is not known.
	Neighbor string
	// Heard tells of an Acquire whether an IKE daemon listened.
	Heard bool
	// Rises says by how much each counter rose.
	Rises []Rise

	pinned bool
}

// Fate is a packet's end in the policies of a host.
type Fate struct {
	Direction spd.Direction
	Policy    *spd.Policy // that catches it; nil where the default blocks it
	Sure      bool        // no policy of equal priority would do otherwise
}

// Rise is a counter's rise since it was polled before.
type Rise struct {
	Counter string
	By      uint64
}

// itemCost is about how much memory an item takes, bytes, without a frame's own.
const itemCost = 512

func (i *Item) cost() int {
	if f, ok := i.Event.(*analyze.Frame); ok {
		return itemCost + len(f.Data)
	}
	return itemCost
}
