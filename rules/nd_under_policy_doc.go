package rules

var ndUnderPolicyDoc = Doc{
	Symptom: "None yet, or pings that stop after a reboot: two hosts on one link speak IPsec over IPv6 and it works, until one of them has " +
		"lost the other's link-layer address.",
	Cause: "Linux asks its IPsec policies about neighbour discovery as about any packet. A policy from host to host catches the " +
		"advertisement that answers the first solicitation, on its way out at one host and on its way in at the other; the solicitation " +
		"(to a multicast address), the probes of a known neighbour and their answers (from and to link-local addresses) and duplicate " +
		"address detection pass. A policy for ::/0 catches all of them: a known neighbour goes from PROBE to FAILED within 3 s, and " +
		"duplicate address detection finds nothing because nothing leaves. While there is no SA, what is caught is lost, and IKE cannot " +
		"make one without the link-layer address. IPv4 is not affected: ARP is under no policy.",
	Recognised: "The policies, addresses, routes and neighbours of a host are looked at, without traffic: for every peer on the same link " +
		"(a connected route or a neighbour entry) each packet of neighbour discovery is looked up. An error for such a peer; a " +
		"warning, and likely only, where it cannot be told whether the peer is on the same link, or asks at all, since this host's own " +
		"entry for it is permanent; for information where the two have different /64 prefixes besides. A peer behind a router is left out, so " +
		"is what two permanent neighbour entries make needless. For information only where SAs made by hand, without a lifetime, carry it. Silent where a bypass wins for all of them.",
	Remedy: "Let ICMPv6 types 135 and 136 pass in both directions on both hosts, at a better priority. With strongSwan, pass shunts do " +
		"that; libreswan installs such bypasses by itself.",
	Sources: []string{
		"RFC 4861 section 7.2 (address resolution), section 7.3 (neighbour unreachability detection)",
		"RFC 3756 section 3 (neighbour discovery and IPsec: the bootstrapping problem)",
		"Linux net/ipv6/ndisc.c: ndisc_send_skb, ndisc_solicit; net/ipv6/icmp.c: icmpv6_rcv",
		"Linux net/xfrm/xfrm_policy.c: xfrm_lookup_with_ifid, __xfrm_policy_check",
	},
}
