package terms

var exchangeTerms = []*Term{
	{
		Name: "IKE_SA_INIT", Also: []string{"INIT"}, Short: "the first exchange of IKEv2: algorithms, Diffie-Hellman, nonces",
		Text: `One request and one response, both in the clear, so that a capture shows what was offered and chosen. An answer may ask for
another group (INVALID_KE_PAYLOAD) or a cookie (COOKIE), and the request comes again with it. No answer at all: the request or the
answer is lost, nobody listens, or the peer's policies or neighbour discovery hold the answer.`,
		See: []string{"IKE", "IKE_AUTH", "retransmission", "nd-deadlock"}, Sources: []string{"RFC 7296 section 1.2"},
	},
	{
		Name: "IKE_AUTH", Also: []string{"AUTH"}, Short: "the second exchange of IKEv2: who is who, and the first SAs",
		Text: `It is encrypted, so that a capture shows its size and whether it was answered, not what is in it. The reason of a failure
stands in the daemons' logs.`,
		See: []string{"IKE_SA_INIT", "AUTHENTICATION_FAILED", "TS_UNACCEPTABLE"}, Sources: []string{"RFC 7296 section 1.2"},
	},
	{
		Name: "CREATE_CHILD_SA", Also: []string{"CHILD"}, Short: "the exchange of IKEv2 for further SAs and for rekeying",
		Text: `Under an IKE SA that stands. Encrypted.`, See: []string{"rekeying", "IKE_AUTH"}, Sources: []string{"RFC 7296 section 1.3"},
	},
	{
		Name: "INFORMATIONAL", Also: []string{"INFO", "DPD", "dead peer detection"}, Short: "the exchange for news: deletions, errors, and whether the peer lives",
		Text: `An empty one is a question whether the peer is still there (dead peer detection); one that gets no answer after all its
retransmissions makes the daemon drop the SAs.`,
		See: []string{"retransmission"}, Sources: []string{"RFC 7296 section 1.4", "RFC 3706"},
	},
	{
		Name: "main mode", Also: []string{"MAIN", "Identity Protection", "phase 1", "aggressive mode", "AGGR"}, Short: "the first phase of IKEv1, which makes the IKE SA",
		Text: `Six messages, the last two encrypted: algorithms; Diffie-Hellman and nonces; identities. Aggressive mode does the same in three
messages and hides the identities less.`,
		See: []string{"IKE", "quick mode"}, Sources: []string{"RFC 2409 section 5"},
	},
	{
		Name: "quick mode", Also: []string{"QUICK", "phase 2"}, Short: "the second phase of IKEv1, which makes the SAs for traffic",
		Text: `Three encrypted messages under the IKE SA of the first phase.`, See: []string{"main mode"}, Sources: []string{"RFC 2409 section 5.5"},
	},
	{
		Name: "retransmission", Also: []string{"retransmit"}, Short: "a request is sent again until it is answered",
		Text: `IKE runs over UDP, so each request is repeated, unchanged, in growing pauses. strongSwan sends after 4, 7, 13, 23 and 42 s
and gives up after 165 s. Applications see nothing of that but silence.`,
		See: []string{"IKE"}, Sources: []string{"RFC 7296 section 2.1"},
	},
	{
		Name: "proposal", Also: []string{"cipher suite", "transforms"}, Short: "the algorithms that one end offers",
		Text: `One of each kind is chosen: encryption, integrity (unless the encryption includes it), pseudo-random function,
Diffie-Hellman group. Where nothing offered is acceptable, the answer is NO_PROPOSAL_CHOSEN.`,
		See: []string{"NO_PROPOSAL_CHOSEN", "INVALID_KE_PAYLOAD"}, Sources: []string{"RFC 7296 section 3.3"},
	},
	{
		Name: "NO_PROPOSAL_CHOSEN", Short: "nothing that was offered is acceptable to the other end",
		Text: `The two configurations have no set of algorithms in common, for IKE itself (answer to IKE_SA_INIT or main mode) or for the
traffic (IKE_AUTH, CREATE_CHILD_SA, quick mode).`,
		See: []string{"proposal"}, Sources: []string{"RFC 7296 section 3.10.1"},
	},
	{
		Name: "INVALID_MAJOR_VERSION", Short: "the other end does not speak that version of IKE",
		Text: `The answer says in its header which version it does speak. Many daemons drop a message of a version that they are not
configured for, or answer NO_PROPOSAL_CHOSEN instead.`,
		See: []string{"ike-version-mismatch"}, Sources: []string{"RFC 7296 section 2.5"},
	},
	{
		Name: "MOBIKE", Short: "moves an IKE SA and its SAs to another address",
		Text: `An initiator that speaks it moves to UDP port 4500 even where there is no NAT, for there may be one after its next move.`,
		See:  []string{"ike-natt-blocked"}, Sources: []string{"RFC 4555"},
	},
	{
		Name: "IKE fragmentation", Also: []string{"FRAGMENTATION", "IKEV2_FRAGMENTATION_SUPPORTED"}, Short: "large IKE messages are cut up by IKE, not by IP",
		Text: `Certificates make IKE_AUTH larger than a packet. Where IP cuts it up, firewalls and NAT often drop the pieces; where both ends
announce fragmentation in their first messages, each piece is an IKE message of its own that passes like any other.`,
		See: []string{"ike-fragments-lost"}, Sources: []string{"RFC 7383"},
	},
	{
		Name: "INVALID_SPI", Short: "the other end has no SA for the SPI that came",
		Text: `It has lost the SA, by a restart mostly. It may say so in the clear, since there may be no IKE SA left either; most daemons
say nothing, and drop.`,
		See: []string{"SPI", "esp-unknown-spi"}, Sources: []string{"RFC 7296 section 1.5"},
	},
	{
		Name: "INVALID_KE_PAYLOAD", Short: "the other end wants another Diffie-Hellman group",
		Text: `It names the group, and the initiator begins again with it. Once is usual; again and again means that the two ends do not
agree.`,
		See: []string{"proposal"}, Sources: []string{"RFC 7296 section 1.3"},
	},
	{
		Name: "AUTHENTICATION_FAILED", Short: "the other end does not believe who this one is",
		Text: `A wrong pre-shared key or certificate, or an identity that it has no configuration for. It is told inside IKE_AUTH, encrypted:
the log of the end that refused says why.`,
		See: []string{"IKE_AUTH"}, Sources: []string{"RFC 7296 section 2.21"},
	},
	{
		Name: "TS_UNACCEPTABLE", Also: []string{"INVALID_ID_INFORMATION", "traffic selector", "TSi", "TSr"}, Short: "the two ends do not agree which traffic is to be protected",
		Text: `Each end says by traffic selectors which addresses, protocols and ports it means (TSi the initiator's, TSr the
responder's). The answer may narrow them; where nothing is left, this is the error.`,
		See: []string{"selector", "IKE_AUTH"}, Sources: []string{"RFC 7296 section 2.9"},
	},
}
