package rules

var ikeNoProposalDoc = Doc{
	Symptom: "The connection does not come up, at once and each time: the initiator logs NO_PROPOSAL_CHOSEN. Pings to the peer vanish.",
	Cause: "The two ends have no set of algorithms in common: of what one offers (encryption, integrity, pseudorandom function, " +
		"Diffie-Hellman group; in IKEv1 the authentication method as well) the other takes none. The same may happen to the IKE SA and to the " +
		"CHILD SA, each with proposals of its own; with a CHILD SA also at its first rekeying only, where the group for perfect forward secrecy " +
		"differs, for the first CHILD SA makes no use of it. strongSwan answers NO_PROPOSAL_CHOSEN too where no connection is configured for the " +
		"peer's address. INVALID_KE_PAYLOAD asks for another group; a healthy initiator comes back with it at once.",
	Recognised: "For the IKE SA the answer is in the clear: NO_PROPOSAL_CHOSEN, and no other answer within 2 s, or INVALID_KE_PAYLOAD, and no " +
		"request with that group within 5 s (12 s, and likely only, where the initiator itself was not recorded: what it sends may be lost). What the responder accepts is shown where it was seen: in what it offers itself, in what it once " +
		"chose, or by its daemon's word. Certain where those do not meet; else likely, for a missing connection looks the same. For a CHILD SA " +
		"the answer is encrypted: certain by the word of a daemon; likely where the rekeying of a CHILD SA that works is refused twice. One " +
		"refused with IKE_AUTH looks like one whose selectors do not fit (ike-ts-unacceptable).",
	Remedy: "Give both ends a proposal in common: in swanctl.conf proposals of the connection for the IKE SA, esp_proposals of the child " +
		"for the CHILD SA; in libreswan's ipsec.conf ike= and esp=. The log of the end that refuses has both lists.",
	Sources: []string{
		"RFC 7296 section 2.7 (negotiation), section 1.2 and 1.3 (INVALID_KE_PAYLOAD), section 2.21.1 (errors before authentication)",
		"RFC 2408 section 3.14.1 (NO-PROPOSAL-CHOSEN), RFC 2409 appendix A (what IKEv1 negotiates)",
		"swanctl.conf(5): proposals, esp_proposals; ipsec.conf(5) of libreswan: ike, esp",
		"strongSwan src/libcharon/sa/ikev2/tasks/ike_init.c (no IKE config: NO_PROPOSAL_CHOSEN), child_create.c (no group with the first CHILD SA)",
	},
}
