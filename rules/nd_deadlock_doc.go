package rules

var ndDeadlockDoc = Doc{
	Symptom: "Two hosts on one link are to speak IPsec over IPv6, and nothing passes: pings are silently lost, connects hang, IKE " +
		"retransmits until it gives up. It often worked until a reboot, or until the neighbour entry was lost.",
	Cause: "Linux applies IPsec policies to neighbour discovery as to any packet; only packets to multicast addresses escape a " +
		"host-to-host policy. Host A asks by multicast for B's link-layer address. B's neighbour advertisement goes to A's unicast " +
		"address, so B's outbound policy catches it and wants an SA. There is none: B drops the advertisement and starts IKE with A. A " +
		"cannot answer, because it still waits for the advertisement. With policies for ::/0 even A's own solicitation is caught, and the " +
		"wire stays empty. With a bypass on one host only, the advertisement leaves B and is dropped by A's inbound policy.",
	Recognised: "Certain on the host that is asked: the solicitation came in, no advertisement went out, its policies say that the " +
		"advertisement must be protected, no SA exists, and XfrmOutNoStates rises. Certain on the asking host where its own kernel is at " +
		"fault: its solicitation is caught (the neighbour entry is INCOMPLETE or FAILED, nothing is on the wire, XfrmOutNoStates rises), or " +
		"the advertisement arrives and XfrmInTmplMismatch rises. An ACQUIRE or a larval SA for ICMPv6 type 135 or 136 is shown where there " +
		"is one, and not needed: another packet's larval SA suppresses it. From the wire alone it is likely: solicitations for B stay " +
		"unanswered while B itself starts IKE with the host that asks; or A, with which there is to be IPsec, is answered and asks again at " +
		"once, three times and more, and sends nothing to B. Resolved when an advertisement passes and the asking ends, or when the policies that " +
		"caught it let it pass.",
	Remedy: "On both hosts, ipsecdiag fix nd-bypass: it lets ICMPv6 types 135 and 136 pass in both directions, by policies whose priority " +
		"number is smaller than that of the policy that catches them. A policy with priority 0 cannot be beaten; it is given another number " +
		"first. To have it for good, see --export; with strongSwan that is pass shunts for [ipv6-icmp/135] and [ipv6-icmp/136]. libreswan " +
		"installs such bypasses by itself.",
	Sources: []string{
		"RFC 4861 section 7.2 (address resolution), section 10 (timers)",
		"RFC 4301 section 5 (processing of all traffic, IPsec boundary)",
		"RFC 3756 section 3 (neighbour discovery and IPsec: the bootstrapping problem)",
		"Linux net/ipv6/ndisc.c: ndisc_send_skb; net/ipv6/icmp.c: icmpv6_rcv",
		"Linux net/xfrm/xfrm_policy.c: xfrm_lookup_with_ifid, __xfrm_policy_check",
	},
}
