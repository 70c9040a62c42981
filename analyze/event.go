package analyze

import (
	"net/netip"
	"time"

	"ipsecdiag/analyze/spd"
)

// Event is one thing that was seen on the wire or in a kernel. The set of
// events is closed: Frame, Flow, Clear, Snapshot, Acquire, Expire, PolicyChange,
// SAChange, NeighborChange, Counters, Daemon, Lost, Tick and
// Alignment.
//
// Events are handed on by pointer and must not be changed by who receives them.
// The bytes of a Frame belong to the receiver.
type Event interface {
	// Head returns the part that all events share. Sources fill it in, the
	// sequencer completes it.
	Head() *Header
	event()
}

// Header is what every event carries.
type Header struct {
	// Time is the wall clock of the host that saw it, UTC.
	Time time.Time
	// Mono is the time since the recording began on a clock that never jumps;
	// durations are differences of Mono.
	Mono time.Duration
	// Seq is the event's place in the stream, from 1; the sequencer gives it.
	Seq uint64
	// Number is the place of the event's block among the packets of its file as
	// tcpdump's and Wireshark's "frame number" count it, from 1; 0 where
	// there is no file.
	Number uint64
	// Origin says where it was seen.
	Origin Origin
}

// Head returns h itself, so that embedding Header satisfies Event's first half.
func (h *Header) Head() *Header { return h }

func (h *Header) event() {}

// Origin says where an event was seen.
type Origin struct {
	Host      string `json:"host,omitempty"`      // host name; for a foreign capture the file's base name
	Netns     string `json:"netns,omitempty"`     // name of the network namespace where it was given
	Interface string `json:"interface,omitempty"` // empty for kernel events
}

// String renders the origin as host, host/interface or host[netns]/interface.
func (o Origin) String() string {
	s := o.Host
	if o.Netns != "" {
		s += "[" + o.Netns + "]"
	}
	if o.Interface != "" {
		s += "/" + o.Interface
	}
	return s
}

// Kernel returns the origin without the interface: one network stack.
func (o Origin) Kernel() Origin { return Origin{Host: o.Host, Netns: o.Netns} }

// LinkType is the link-layer header type of a capture
// (https://www.tcpdump.org/linktypes.html). It needs 16 bits.
type LinkType uint16

// The link types that can be decoded.
const (
	LinkNull     LinkType = 0   // BSD loopback: host-order address family, 4 bytes
	LinkEthernet LinkType = 1   // Ethernet, with 802.1Q and 802.1ad tags
	LinkRawBSD   LinkType = 12  // raw IP, LINKTYPE_RAW as some systems wrote it (DLT_RAW)
	LinkRawOBSD  LinkType = 14  // raw IP, DLT_RAW of OpenBSD
	LinkRaw      LinkType = 101 // raw IP
	LinkLoop     LinkType = 108 // OpenBSD loopback: network-order address family
	LinkSLL      LinkType = 113 // Linux cooked capture v1
	LinkIPv4     LinkType = 228 // raw IPv4
	LinkIPv6     LinkType = 229 // raw IPv6
	LinkSLL2     LinkType = 276 // Linux cooked capture v2
)

// Direction is a frame's direction as the capturing host saw it (the values of
// pcapng's epb_flags).
type Direction uint8

// The directions.
const (
	DirUnknown Direction = 0
	DirIn      Direction = 1
	DirOut     Direction = 2
)

// String returns "in", "out" or "unknown".
func (d Direction) String() string {
	switch d {
	case DirIn:
		return "in"
	case DirOut:
		return "out"
	}
	return "unknown"
}

// Frame is one captured frame that the state needs to see whole: control
// traffic, and the first frames of each SPI.
type Frame struct {
	Header    `json:"-"`
	Link      LinkType  `json:"link"`
	Direction Direction `json:"dir"`
	OrigLen   int       `json:"orig_len"` // length on the wire, bytes
	Data      []byte    `json:"data"`     // captured bytes, at most OrigLen

	ahead ahead // see ReadAhead; gone when the frame was folded
}

// FlowKey identifies the ESP or AH packets between two addresses under one SPI.
type FlowKey struct {
	Src   netip.Addr `json:"src"`
	Dst   netip.Addr `json:"dst"`
	Proto uint8      `json:"proto"` // spd.ProtoESP or spd.ProtoAH
	SPI   uint32     `json:"spi"`
	// SrcPort and DstPort are the UDP ports of encapsulated ESP (RFC 3948),
	// 0 for plain ESP and AH.
	SrcPort uint16 `json:"sport,omitempty"`
	DstPort uint16 `json:"dport,omitempty"`
}

// Flow is what one FlowKey carried in one interval. All ESP and AH volume
// reaches the state in this form, whoever counted it. The header's time is the
// interval's end.
type Flow struct {
	Header    `json:"-"`
	Key       FlowKey   `json:"key"`
	Direction Direction `json:"dir"`
	Start     time.Time `json:"start"` // of the first packet in the interval
	End       time.Time `json:"end"`   // of the last packet
	Packets   uint64    `json:"packets"`
	Bytes     uint64    `json:"bytes"`     // on the wire, link layer included
	FirstSeq  uint32    `json:"first_seq"` // sequence number of the first packet
	LastSeq   uint32    `json:"last_seq"`  // of the last packet
	MinSeq    uint32    `json:"min_seq"`   // smallest and largest in the interval
	MaxSeq    uint32    `json:"max_seq"`
	// Longest is the length of the longest packet, on the wire, link layer
	// included; 0 where whoever counted did not tell.
	Longest uint32 `json:"longest,omitempty"`
}

// ClearKey identifies packets that went in the clear. For ICMP and ICMPv6 SrcPort
// is the type and DstPort the code, as in spd.Flow.
type ClearKey struct {
	Src     netip.Addr `json:"src"`
	Dst     netip.Addr `json:"dst"`
	Proto   uint8      `json:"proto"`
	SrcPort uint16     `json:"sport,omitempty"`
	DstPort uint16     `json:"dport,omitempty"`
}

// Clear is what one ClearKey carried in one interval, of packets between hosts
// that policies are about (Host.Guards). They are counted live only: what a file
// holds is not told from what the tap shows after decryption. The header's time is
// the interval's end.
type Clear struct {
	Header    `json:"-"`
	Key       ClearKey  `json:"key"`
	Direction Direction `json:"dir"`
	Start     time.Time `json:"start"` // of the first packet in the interval
	End       time.Time `json:"end"`   // of the last packet
	// Packets are those that were looked at; where there were very many, there
	// were more (Some).
	Packets uint64 `json:"packets"`
	Some    bool   `json:"some,omitempty"`
	// Was is what the packets were before this host's NAT changed them, nil where it
	// did not or where that is not known.
	Was *ClearKey `json:"was,omitempty"`
}

// Snapshot is the kernel's IPsec state at one moment. Large ones are split in
// recordings; the state sees them whole.
type Snapshot struct {
	Header `json:"-"`
	KernelState
	// Notes are on the files that it was read from. A kernel gives none.
	Notes []Note `json:"notes,omitempty"`
}

// KernelState is everything that bears on IPsec in one network namespace.
type KernelState struct {
	Release   string            `json:"release"`  // uname -r
	Policies  []spd.Policy      `json:"policies"` // oldest first
	Defaults  spd.Defaults      `json:"defaults"`
	SAs       []spd.SA          `json:"sas"`
	Neighbors []Neighbor        `json:"neighbors"`
	Links     []Link            `json:"links"`
	Addresses []Address         `json:"addresses"`
	Routes    []Route           `json:"routes"`
	Counters  map[string]uint64 `json:"counters"`          // xfrm_stat and ICMPv6 counters by the kernel's names
	Sysctls   map[string]string `json:"sysctls"`           // net.core.xfrm_* and the like, by full name
	Listeners []Listener        `json:"listeners"`         // who is in the ACQUIRE group
	Missing   []string          `json:"missing,omitempty"` // parts that could not be read, with the reason
}

// The parts of a KernelState, as they begin an entry of Missing: "policies: the
// reason". Without the first two nothing can be said of a host's traffic.
const (
	PartPolicies  = "policies"
	PartSAs       = "SAs"
	PartDefaults  = "default actions"
	PartNeighbors = "neighbour table"
	PartLinks     = "links"
	PartAddresses = "addresses"
	PartRoutes    = "routes"
	PartCounters  = "counters"
	PartSettings  = "settings"
	PartListeners = "listeners for ACQUIRE"
	// PartSockets are the policies of single sockets, which `ip xfrm policy list
	// nosock` and configuration files leave out.
	PartSockets = "socket policies"
	// PartClock is the time at which it was so: a text does not tell how old it
	// is, and the header's time is the latest that it names.
	PartClock = "time"
)

// UntoldByText is the reason in Missing for what no text of policies and SAs
// tells.
const UntoldByText = "a text does not tell"

// Neighbor is an entry of the neighbour table (struct ndmsg).
type Neighbor struct {
	Addr     netip.Addr `json:"addr"`
	IfIndex  int        `json:"ifindex"`
	LinkAddr string     `json:"lladdr,omitempty"` // empty where unknown
	State    string     `json:"state"`            // INCOMPLETE, REACHABLE, STALE, DELAY, PROBE, FAILED, NOARP, PERMANENT, NONE
	Router   bool       `json:"router,omitempty"`
}

// Link is a network interface.
type Link struct {
	Index    int    `json:"index"`
	Name     string `json:"name"`
	Kind     string `json:"kind,omitempty"` // veth, vlan, bond, xfrm …
	LinkAddr string `json:"lladdr,omitempty"`
	MTU      int    `json:"mtu"`
	Up       bool   `json:"up"`
	Master   int    `json:"master,omitempty"`
	Parent   int    `json:"parent,omitempty"` // lower device of a VLAN and its like
	IfID     uint32 `json:"if_id,omitempty"`  // of an xfrm interface
}

// Address is an address of this host.
type Address struct {
	Prefix    netip.Prefix `json:"prefix"` // the address with its prefix length
	IfIndex   int          `json:"ifindex"`
	Tentative bool         `json:"tentative,omitempty"` // duplicate address detection is not done
	DADFailed bool         `json:"dad_failed,omitempty"`
}

// Route is an entry of the main routing table.
type Route struct {
	Dst     netip.Prefix `json:"dst"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
	IfIndex int          `json:"ifindex"`
	Metric  uint32       `json:"metric,omitempty"`
}

// Listener is a socket that gets ACQUIREs: a netlink socket in the group
// XFRMNLGRP_ACQUIRE, or a PF_KEY socket.
type Listener struct {
	Via  string `json:"via"`           // "netlink" or "pfkey"
	PID  int    `json:"pid,omitempty"` // 0 where the owner is not known
	Name string `json:"name,omitempty"`
	// Monitor is set where the listener is known to be no IKE daemon, such as
	// `ip xfrm monitor`.
	Monitor bool `json:"monitor,omitempty"`
}

// Acquire is the kernel's request for an SA (XFRM_MSG_ACQUIRE).
type Acquire struct {
	Header   `json:"-"`
	Src      netip.Addr   `json:"src"` // template's addresses: the ends of the SA
	Dst      netip.Addr   `json:"dst"`
	Proto    uint8        `json:"proto"`
	Selector spd.Selector `json:"selector"` // of the packet that needs the SA
	Policy   spd.Policy   `json:"policy"`
	Sequence uint32       `json:"sequence"`
}

// Expire is a soft or hard expiry of an SA or a policy (XFRM_MSG_EXPIRE,
// XFRM_MSG_POLEXPIRE).
type Expire struct {
	Header `json:"-"`
	Hard   bool        `json:"hard"`
	SA     *spd.SA     `json:"sa,omitempty"`
	Policy *spd.Policy `json:"policy,omitempty"`
}

// Change says what became of an object.
type Change string

// The changes.
const (
	Added   Change = "added"
	Updated Change = "updated"
	Deleted Change = "deleted"
	Flushed Change = "flushed" // all of one kind; the object names the kind only
)

// PolicyChange is a change of the SPD.
type PolicyChange struct {
	Header `json:"-"`
	Change Change     `json:"change"`
	Policy spd.Policy `json:"policy"`
	// Defaults is set where the default actions changed.
	Defaults *spd.Defaults `json:"defaults,omitempty"`
}

// SAChange is a change of the SAD.
type SAChange struct {
	Header `json:"-"`
	Change Change `json:"change"`
	SA     spd.SA `json:"sa"`
}

// NeighborChange is a change of the neighbour table. The kernel tells of
// STALE, PROBE, REACHABLE and FAILED; INCOMPLETE is found by dumping.
type NeighborChange struct {
	Header   `json:"-"`
	Change   Change   `json:"change"`
	Neighbor Neighbor `json:"neighbor"`
}

// Counters holds the counters that changed since the last event of its kind or
// the last snapshot, with their new values.
type Counters struct {
	Header `json:"-"`
	Values map[string]uint64 `json:"values"`
}

// Daemon says who listens for ACQUIREs now; it comes when that changes. Where
// Word is set, it says what an IKE daemon told of itself instead, and nothing of
// the listeners.
type Daemon struct {
	Header    `json:"-"`
	Listeners []Listener `json:"listeners"`
	Word      *Word      `json:"word,omitempty"`
}

// Lost says that events are missing here: a netlink overrun, frames that the
// kernel dropped, state that was evicted, a file cut short.
type Lost struct {
	Header `json:"-"`
	What   string `json:"what"`            // what was lost, in words
	Count  uint64 `json:"count,omitempty"` // how many, 0 where unknown
}

// Tick marks a whole second of event time. The sequencer makes ticks; they are
// not recorded.
type Tick struct {
	Header `json:"-"`
}
