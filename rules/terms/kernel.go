package terms

var kernelTerms = []*Term{
	{
		Name: "XFRM", Also: []string{"transform", "ip xfrm"}, Short: "Linux's implementation of IPsec",
		Text: `Its databases are shown by "ip xfrm policy" and "ip xfrm state", its counters stand in /proc/net/xfrm_stat. IKE daemons speak
to it by netlink, older ones by PF_KEY.`,
		See: []string{"SPD", "SAD", "PF_KEY"}, Sources: []string{"net/xfrm", "ip-xfrm(8)"},
	},
	{
		Name: "ACQUIRE", Short: "the kernel asks for an SA that a packet needs",
		Text: `When a policy wants a packet protected and no SA fits, the kernel tells all who listen for ACQUIREs: this packet (its
selector), this policy. An IKE daemon then begins IKE. Where nobody listens, nothing is asked, and the packet is lost all the same.

With the ACQUIRE the kernel makes a larval SA, and while that lives it asks no second time for the same thing, whatever other
packets need it. So one missing ACQUIRE proves nothing.

A program that listens changes what it observes: with it the kernel makes larval SAs, without it does not. ipsecdiag listens only
while an IKE daemon does, unless --acquire says otherwise.`,
		See: []string{"larval SA", "acquire-stall", "PF_KEY"}, Sources: []string{"XFRM_MSG_ACQUIRE", "xfrm_state_find", "km_query"},
	},
	{
		Name: "larval SA", Also: []string{"larval", "acquiring SA"}, Short: "the place that the kernel keeps for an SA it has asked for",
		Text: `It is made with an ACQUIRE, has SPI 0 and no algorithms, and carries nothing. It goes when the SA comes, or after
net.core.xfrm_acq_expires seconds. "ip xfrm state" shows it.

While it stands, further packets for the same SA are dropped or queued (net.core.xfrm_larval_drop) without another ACQUIRE. One
that lingers beside SAs that work is harmless.`,
		See: []string{"ACQUIRE", "net.core.xfrm_larval_drop", "net.core.xfrm_acq_expires"}, Sources: []string{"xfrm_state_find", "XFRM_STATE_ACQ"},
	},
	{
		Name: "net.core.xfrm_larval_drop", Also: []string{"larval_drop", "xfrm_larval_drop"}, Short: "whether packets that wait for an SA are dropped or queued",
		Text: `With 1, the default, an application's packets are dropped without an error until the SA is there: ping and UDP seem to
succeed, TCP tries again after a second. With 0 they are queued, up to 101 for each policy; when the queue is full, sending
gives EAGAIN ("Resource temporarily unavailable") even on a blocking socket.

The kernel's own packets, neighbour advertisements among them, are never queued.`,
		See: []string{"larval SA", "EAGAIN", "first-packet-lost"}, Sources: []string{"xfrm_lookup_with_ifid", "xdst_queue_output"},
	},
	{
		Name: "net.core.xfrm_acq_expires", Also: []string{"acq_expires", "xfrm_acq_expires"}, Short: "how many seconds a larval SA lives",
		Text: `30 by default; strongSwan sets 165. For that long the kernel does not ask again for the same SA, so that a daemon that is
started late may wait for it.`,
		See: []string{"larval SA", "ACQUIRE"}, Sources: []string{"xfrm_state_find", "sysctl_xfrm_acq_expires"},
	},
	{
		Name: "PF_KEY", Also: []string{"pfkey", "PF_KEYv2"}, Short: "the older way for daemons to speak to the kernel's IPsec",
		Text: `racoon and setkey use it, the others netlink. Who listens by PF_KEY gets ACQUIREs too.`,
		See:  []string{"XFRM", "ACQUIRE"}, Sources: []string{"RFC 2367", "net/key/af_key.c"},
	},
	{
		Name: "setkey", Also: []string{"racoon", "ipsec-tools"}, Short: "commands and daemon of ipsec-tools",
		Text: `setkey writes policies and SAs from a file; racoon is the IKE daemon beside it. Its policies all have one priority unless told
otherwise, so that the order of the lines decides: "none" lines come first.`,
		See: []string{"priority", "bypass"}, Sources: []string{"setkey(8)", "racoon.conf(5)"},
	},
	{
		Name: "CAP_NET_ADMIN", Also: []string{"CAP_NET_RAW", "capability"}, Short: "the right to read the kernel's policies and SAs",
		Text: `CAP_NET_ADMIN is needed for everything of XFRM, reading too; CAP_NET_RAW to see the wire. root has both. To give them to the
program: setcap cap_net_raw,cap_net_admin+ep ipsecdiag`,
		Sources: []string{"capabilities(7)", "xfrm_user_rcv_msg"},
	},
	{
		Name: "network namespace", Also: []string{"netns"}, Short: "a network stack of its own inside one kernel",
		Text: `It has its own interfaces, policies, SAs, neighbours and counters; containers have one each. --netns NAME looks into one that
"ip netns" knows.`,
		Sources: []string{"ip-netns(8)", "network_namespaces(7)"},
	},
	{
		Name: "packet offload", Also: []string{"offload", "crypto offload"}, Short: "the network card does the work of IPsec",
		Text: `With packet offload the interface's tap shows packets in plaintext on the way out, though on the wire they are ESP. The
same holds for xfrm and vti interfaces.`,
		Sources: []string{"Documentation/networking/xfrm_device.rst"},
	},
}
