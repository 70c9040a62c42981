package rules

var acquireStallDoc = Doc{
	Symptom: "A host's packets to a peer vanish: pings without answer, connects that hang, or EAGAIN (Resource temporarily unavailable).",
	Cause: "An IPsec policy wants the packets protected, and there is no SA. The kernel asks for one (ACQUIRE) if an IKE daemon listens, " +
		"and meanwhile drops the packets, or with net.core.xfrm_larval_drop = 0 queues up to 101 of them for each policy. One of four things " +
		"is the matter: nobody listens for ACQUIREs; a daemon listens and sends nothing; it sends IKE and gets no answer; or IKE goes on " +
		"and comes to nothing.",
	Recognised: "From the kernel: an ACQUIRE or a larval SA for the pair, or XfrmOutNoStates rising while an outbound policy has no SA, and " +
		"no SA after 3 s (nobody listens), 10 s (no IKE on the wire), three unanswered requests over 5 s, or 30 s of IKE. A larval SA that " +
		"lingers beside a usable SA is no stall. From the wire alone, where one side's IKE requests stay unanswered, it is likely.",
	Remedy: "Start the IKE daemon, read its log, or run ipsecdiag watch on the peer to see whether the requests arrive. If a finding " +
		"above this one explains it, mend that one.",
	Sources: []string{
		"RFC 4301 section 4.4.1 (SPD: PROTECT), RFC 7296 section 2.1 (retransmission)",
		"Linux net/xfrm/xfrm_state.c: xfrm_state_find (larval SA, ACQUIRE)",
		"Linux net/xfrm/xfrm_policy.c: xfrm_lookup_with_ifid (XfrmOutNoStates), xdst_queue_output (queue)",
		"strongswan.conf(5): charon.retransmit_timeout, retransmit_base, half_open_timeout",
	},
}
