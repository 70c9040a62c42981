package terms

var protocolTerms = []*Term{
	{
		Name: "IPsec", Short: "protection of IP packets between two hosts or networks",
		Text: `IPsec protects packets below TCP and UDP, so that applications need not know of it. Each host decides by its
policies (the SPD) which packets are to be protected, and protects them under security associations (the SAD). Packets travel
as ESP, rarely as AH. The keys come from IKE, or are put in by hand.`,
		See: []string{"SPD", "SAD", "ESP", "IKE"}, Sources: []string{"RFC 4301"},
	},
	{
		Name: "ESP", Also: []string{"Encapsulating Security Payload"}, Short: "the packet format that encrypts and authenticates",
		Text: `Encapsulating Security Payload is IP protocol 50. A packet begins with the SPI, which tells the receiver the SA, and a
sequence number, by which it refuses replays; the rest is encrypted. Behind a NAT it travels inside UDP, port 4500.`,
		See: []string{"SPI", "sequence number", "NAT traversal"}, Sources: []string{"RFC 4303", "RFC 3948"},
	},
	{
		Name: "AH", Also: []string{"Authentication Header"}, Short: "the packet format that authenticates and does not encrypt",
		Text: `Authentication Header is IP protocol 51. It protects the packet with most of its IP header, and hides nothing. It
cannot pass a NAT, which changes what it protects. ESP without encryption does nearly the same.`,
		See: []string{"ESP"}, Sources: []string{"RFC 4302"},
	},
	{
		Name: "ICMP", Also: []string{"ICMPv6", "port unreachable", "packet too big"}, Short: "the messages by which hosts and routers tell of errors, and ping",
		Text: `An error quotes the beginning of the packet that it is about: no route, port unreachable, protocol unreachable (ESP is not
known there), prohibited by an administrator, too big. Firewalls often drop them, and then nothing tells why packets vanish.`,
		See: []string{"ESP", "neighbour discovery"}, Sources: []string{"RFC 792", "RFC 4443"},
	},
	{
		Name: "IPComp", Also: []string{"IP payload compression"}, Short: "compression before encryption",
		Text:    `IPComp is IP protocol 108. It goes inside ESP, since what is encrypted cannot be compressed any more.`,
		Sources: []string{"RFC 3173"},
	},
	{
		Name: "IKE", Also: []string{"IKEv1", "IKEv2", "ISAKMP", "Internet Key Exchange"}, Short: "the protocol by which two daemons agree on SAs",
		Text: `Two daemons (strongSwan's charon, libreswan's pluto, racoon) speak it over UDP, port 500, and port 4500 where there is a
NAT. They authenticate each other, agree on algorithms and keys, and give the kernel its SAs.

IKEv2 needs two exchanges for that, IKE_SA_INIT and IKE_AUTH. IKEv1 needs main mode (or aggressive mode) and then quick mode.
The two do not understand each other.

IKE itself is sent in the clear by the kernel's rules: a daemon has its own sockets bypass the policies. But the neighbour
discovery that its packets need is the kernel's business, and no daemon's bypass covers it.`,
		See: []string{"IKE_SA_INIT", "IKE_AUTH", "main mode", "nd-deadlock"}, Sources: []string{"RFC 7296", "RFC 2409", "RFC 2408"},
	},
	{
		Name: "NAT traversal", Also: []string{"NAT-T", "NAT_DETECTION", "UDP encapsulation"}, Short: "IPsec through a NAT, inside UDP port 4500",
		Text: `In the first messages both ends send hashes of the addresses that they use (NAT_DETECTION_SOURCE_IP and
NAT_DETECTION_DESTINATION_IP). Where a hash does not fit what arrived, there is a NAT, and everything goes on inside UDP, port
4500: IKE behind four zero bytes (the non-ESP marker), ESP without. Both ends must agree: an SA with and one without
encapsulation do not fit, and XfrmInStateMismatch counts that.`,
		See: []string{"ESP", "XfrmInStateMismatch"}, Sources: []string{"RFC 3948", "RFC 7296 section 2.23", "RFC 3947"},
	},
	{
		Name: "transport mode", Short: "only what the packet carries is protected, its header stays",
		Text: `For traffic between two hosts: the addresses of the packet are those of the SA. Both ends must have the same mode
(XfrmInStateModeError).`,
		See: []string{"tunnel mode"}, Sources: []string{"RFC 4301 section 4.1"},
	},
	{
		Name: "tunnel mode", Short: "the whole packet is protected, inside a new one",
		Text: `For traffic between networks: two gateways have the SA, and the packets of the hosts behind them go inside. The
template of the policy names the gateways, its selector the networks.`,
		See: []string{"transport mode", "template", "selector"}, Sources: []string{"RFC 4301 section 4.1"},
	},
	{
		Name: "sequence number", Also: []string{"replay window", "anti-replay", "ESN", "extended sequence number"},
		Short: "counts the packets of an SA, so that none is taken twice",
		Text: `Each ESP or AH packet has the next number, from 1. The receiver keeps a window of numbers that it has seen and refuses
what is in it already, or behind it (XfrmInStateSeqError). Gaps between the numbers that an observer sees are packets that were
lost before they came there, or that were overtaken.

With extended sequence numbers (ESN) the count has 64 bits, and only the lower 32 are in the packet. Both ends must agree.`,
		See: []string{"XfrmInStateSeqError"}, Sources: []string{"RFC 4303 section 3.4.3", "xfrm_replay_check"},
	},
}
