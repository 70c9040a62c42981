package terms

var outcomeTerms = []*Term{
	{
		Name: "EAGAIN", Also: []string{"Resource temporarily unavailable"}, Short: "what an application gets when the queue for an SA is full",
		Text: `Only with net.core.xfrm_larval_drop = 0: packets that wait for an SA are queued, up to 101 for each policy, and then sending
fails with EAGAIN, even on a blocking socket. With 1, the default, they are lost without an error.`,
		See: []string{"net.core.xfrm_larval_drop", "acquire-stall"}, Sources: []string{"xdst_queue_output"},
	},
	{
		Name: "EPERM", Also: []string{"Operation not permitted"}, Short: "what an application gets when a policy blocks its packet",
		Text: `At once, from a policy with the action block or from the default policy.`, See: []string{"block", "default policy"},
		Sources: []string{"xfrm_lookup_with_ifid"},
	},
	{
		Name: "certain", Also: []string{"likely", "confidence"}, Short: "how sure a finding is",
		Text: `Certain: what was seen admits no other explanation; mostly because the host's own kernel was seen. Likely: it fits, and
something else that could not be seen would look the same; the finding then says what to watch to be certain.`,
		Sources: []string{"ipsecdiag"},
	},
	{
		Name: "open", Also: []string{"resolved", "stale finding", "state of a finding"}, Short: "where a finding is in its life",
		Text: `Open: it holds now. Resolved: what was missing was seen, or the cause is gone. Stale: nothing has confirmed or refuted it for
two minutes. It counts towards the exit status if it was open at some time and no other finding explains it.`,
		Sources: []string{"ipsecdiag"},
	},
	{
		Name: "recording", Also: []string{"pcapng"}, Short: "the file of watch -w: packets and the kernel's events together",
		Text: `One pcapng file: tcpdump and Wireshark open it; "ipsecdiag analyze" says of it what was said while it was made. It holds no
keys.`,
		Sources: []string{"ipsecdiag"},
	},
}
