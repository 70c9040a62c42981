package terms

var discoveryTerms = []*Term{
	{
		Name: "neighbour discovery", Also: []string{"neighbor discovery", "ND", "NDP"}, Short: "how an IPv6 host finds the link-layer address of another",
		Text: `The asker sends a neighbour solicitation (NS, ICMPv6 type 135) to a multicast address that the target listens to, the target
answers with a neighbour advertisement (NA, type 136) to the asker. Until then no other packet can be sent to it.

These are IPv6 packets like others, and Linux applies IPsec policies to them: to the advertisement above all, since it goes
from one host's address to the other's. ARP, which does the same for IPv4, is no IP and not caught.`,
		See: []string{"NS", "NA", "ARP", "bypass", "nd-deadlock"}, Sources: []string{"RFC 4861", "ndisc_send_skb", "xfrm_lookup"},
	},
	{
		Name: "NS", Also: []string{"neighbour solicitation", "neighbor solicitation", "type 135"}, Short: "who has this address? (ICMPv6 type 135)",
		Text: `The first ones go to the target's solicited-node multicast address, one a second, three for each attempt. When an entry is
known and only to be confirmed (NUD), they go to the target itself.`,
		See: []string{"NA", "solicited-node address", "NUD"}, Sources: []string{"RFC 4861 section 4.3"},
	},
	{
		Name: "NA", Also: []string{"neighbour advertisement", "neighbor advertisement", "advertisement", "type 136"}, Short: "this address is here (ICMPv6 type 136)",
		Text: `The answer to a solicitation, to the asker's address. A policy between the two hosts catches it on its way out, and on its
way in where it comes in the clear.`,
		See: []string{"NS", "bypass", "nd-deadlock"}, Sources: []string{"RFC 4861 section 4.4", "ndisc_send_na"},
	},
	{
		Name: "solicited-node address", Also: []string{"solicited-node multicast"}, Short: "the multicast address to which solicitations for a host go",
		Text:    `ff02::1:ff and the last 24 bits of the host's address: for fd00::2 it is ff02::1:ff00:2. A policy between two hosts does not match it, one for ::/0 does.`,
		See:     []string{"NS"},
		Sources: []string{"RFC 4291 section 2.7.1"},
	},
	{
		Name: "RS", Also: []string{"RA", "router solicitation", "router advertisement"}, Short: "how a host finds its router (ICMPv6 types 133 and 134)",
		Text: `Policies for ::/0 catch them as well.`, See: []string{"neighbour discovery"}, Sources: []string{"RFC 4861 sections 4.1 and 4.2"},
	},
	{
		Name: "DAD", Also: []string{"duplicate address detection", "tentative"}, Short: "a host asks whether anybody has the address it wants",
		Text: `A solicitation from :: for its own address. Caught by a policy for ::/0 it never leaves, and the address is taken though nothing
was on the wire.`,
		See: []string{"NS"}, Sources: []string{"RFC 4862 section 5.4"},
	},
	{
		Name: "ARP", Short: "how an IPv4 host finds the link-layer address of another",
		Text: `It is no IP packet, and IPsec policies do not apply to it: the deadlock of neighbour discovery and IKE does not exist with
IPv4.`,
		See: []string{"neighbour discovery"}, Sources: []string{"RFC 826"},
	},
	{
		Name: "NUD", Also: []string{"neighbour unreachability detection", "neighbour entry", "neighbour state", "neighbour table"},
		Short: "how the kernel knows whether a neighbour still answers",
		Text: `"ip neigh" shows each neighbour with its state:
- INCOMPLETE: asked for the first time, no answer yet
- REACHABLE: answered or heard from lately
- STALE: known, not confirmed lately; good until it is used
- DELAY, PROBE: used while stale, being asked
- FAILED: nobody answered
- PERMANENT, NOARP: set by hand, or none needed`,
		See: []string{"neighbour discovery", "FAILED", "INCOMPLETE", "STALE"}, Sources: []string{"RFC 4861 section 7.3", "ip-neighbour(8)"},
	},
	{
		Name: "INCOMPLETE", Short: "a neighbour was asked for and has not answered yet",
		Text: `Packets for it wait, a few of them. After three solicitations, one a second, the entry is FAILED and they are dropped.`,
		See:  []string{"NUD", "FAILED", "nd-no-answer"}, Sources: []string{"RFC 4861 section 7.3.2"},
	},
	{
		Name: "FAILED", Also: []string{"neighbour FAILED"}, Short: "a neighbour was asked for and did not answer",
		Text: `The application gets "No route to host" (EHOSTUNREACH), and the next packet begins anew. The host is off, or its answer is
caught by a policy or a firewall.`,
		See: []string{"NUD", "nd-deadlock", "nd-no-answer"}, Sources: []string{"RFC 4861 section 7.3.3"},
	},
	{
		Name: "REACHABLE", Also: []string{"PERMANENT", "NOARP"}, Short: "a neighbour's address is known and was confirmed lately",
		Text: `For about 30 s after each confirmation; then it is STALE. PERMANENT is set by hand, NOARP needs no address.`, See: []string{"NUD"},
		Sources: []string{"RFC 4861 section 7.3.2"},
	},
	{
		Name: "STALE", Short: "a neighbour's address is known and was not confirmed lately",
		Text: `That is no fault: the address is used, and confirmed when it is.`, See: []string{"NUD", "PROBE"}, Sources: []string{"RFC 4861 section 7.3.2"},
	},
	{
		Name: "PROBE", Also: []string{"DELAY"}, Short: "a stale neighbour is in use and is being asked",
		Text: `By unicast solicitations, one a second; after three without an answer it is FAILED.`, See: []string{"NUD", "NS"}, Sources: []string{"RFC 4861 section 7.3.2"},
	},
}
