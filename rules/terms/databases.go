package terms

var databaseTerms = []*Term{
	{
		Name: "SPD", Also: []string{"security policy database", "policy", "IPsec policy", "dir"}, Short: "the policies that say which packets are to be protected",
		Text: `Each policy has a direction, a selector (which packets), a priority and an action: protect them with a template, let them
pass in the clear, or block them. "ip xfrm policy" shows them. For each packet one policy decides: the one with the lowest
priority number, and between equal ones the older one; kernels have differed in that, so that it is better not relied on.

There are three directions in Linux: out for what the host sends, in for what is for itself, fwd for what it passes on.`,
		See: []string{"selector", "template", "priority", "bypass", "default policy"}, Sources: []string{"RFC 4301 section 4.4.1", "xfrm_policy_lookup", "ip-xfrm(8)"},
	},
	{
		Name: "selector", Short: "which packets a policy or an SA is for",
		Text: `Source and destination as networks, a protocol, and ports. For ICMP and ICMPv6 the kernel keeps the type in the place of
the source port and the code in that of the destination port, so that "proto ipv6-icmp type 136" is a selector too.`,
		See: []string{"SPD", "NA"}, Sources: []string{"RFC 4301 section 4.4.1.1", "struct xfrm_selector"},
	},
	{
		Name: "template", Short: "what a policy wants of the SA that protects its packets",
		Text: `The protocol (ESP, AH), the mode, and where it is given the ends of a tunnel, a reqid and an SPI. An SA that does not fit
all of it is not used: going out there is no SA then (XfrmOutNoStates), coming in the packet is dropped (XfrmInTmplMismatch). With
"level use" the template is a wish: without an SA the packet goes in the clear.`,
		See: []string{"SPD", "reqid", "XfrmOutNoStates", "XfrmInTmplMismatch"}, Sources: []string{"struct xfrm_tmpl", "xfrm_tmpl_resolve"},
	},
	{
		Name: "priority", Also: []string{"policy priority"}, Short: "which of several policies decides: the lowest number",
		Text: `A policy that ip xfrm installs without a priority has 0, the best there is: no later one can beat it. setkey gives 2147483648
(0x80000000) unless told otherwise, so that there the order of the lines decides. strongSwan gives a trap policy between two hosts
268928, and one less when its SA is there; its pass policies have at most 200000.`,
		See: []string{"SPD", "bypass"}, Sources: []string{"xfrm_policy_insert", "xfrm_policy_lookup_bytype"},
	},
	{
		Name: "reqid", Also: []string{"request id"}, Short: "a number that ties SAs to the policy that asked for them",
		Text: `A template with a reqid takes only SAs that have the same one. IKE daemons give each connection its own; policies and SAs
made by hand need numbers that no daemon uses.`,
		See: []string{"template"}, Sources: []string{"struct xfrm_tmpl"},
	},
	{
		Name: "bypass", Also: []string{"pass policy", "passthrough", "shunt"}, Short: "a policy that lets packets go in the clear",
		Text: `It has the action allow and no template, and must be better (of a lower priority number) than the policy whose packets it
is to spare. A bypass for neighbour discovery needs the ICMPv6 types 135 and 136, directions out and in, on both hosts. One for
all of ICMPv6 sends ping and its errors in the clear too.`,
		See: []string{"priority", "neighbour discovery", "nd-deadlock"}, Sources: []string{"RFC 4301 section 4.4.1"},
	},
	{
		Name: "block", Also: []string{"discard"}, Short: "a policy that drops packets",
		Text: `Going out, the application gets EPERM at once. XfrmOutPolBlock and XfrmInPolBlock count it, but only for a policy, not
for the default.`,
		See: []string{"default policy", "XfrmOutPolBlock", "XfrmInPolBlock", "EPERM"}, Sources: []string{"XFRM_POLICY_BLOCK"},
	},
	{
		Name: "default policy", Also: []string{"setdefault", "XFRM_MSG_SETDEFAULT"}, Short: "what becomes of packets that no policy selects",
		Text: `They pass, unless "ip xfrm policy setdefault" says block for a direction. No counter counts what is blocked on the way out
so; the application gets EPERM.`,
		See: []string{"SPD", "XfrmInNoPols", "EPERM"}, Sources: []string{"xfrm_default_pol_set", "ip-xfrm(8)"},
	},
	{
		Name: "trap policy", Also: []string{"trap", "auto=route", "start_action = trap"}, Short: "a policy that stands before its SA and asks for it",
		Text: `With it the first packet makes the kernel ask the IKE daemon for an SA (an ACQUIRE). Until the SA is there, such packets
are lost or wait. Between two hosts it also catches the kernel's own neighbour advertisement.`,
		See: []string{"ACQUIRE", "nd-deadlock"}, Sources: []string{"swanctl.conf(5)", "ipsec.conf(5)"},
	},
	{
		Name: "socket policy", Also: []string{"IP_XFRM_POLICY", "IPV6_XFRM_POLICY"}, Short: "a policy of one socket, before those of the host",
		Text: `IKE daemons set one on their sockets, so that IKE is not caught by the policies that IKE is to serve. It does not cover
neighbour discovery, which the kernel sends by itself.`,
		See: []string{"IKE", "neighbour discovery"}, Sources: []string{"IP_XFRM_POLICY", "IPV6_XFRM_POLICY", "xfrm_sk_policy_lookup"},
	},
	{
		Name: "mark", Also: []string{"if_id", "xfrm interface", "vti"}, Short: "a number on a packet that a policy or an SA can ask for",
		Text: `A policy with a mark or an if_id sees only packets that have it: those that a firewall rule marked, or that are routed
through the xfrm interface with that number. A bypass with a mark does not spare packets without.`,
		See: []string{"SPD", "bypass"}, Sources: []string{"xfrm_policy_match", "ip-link(8)"},
	},
	{
		Name: "SA", Also: []string{"security association", "IPsec SA", "Child SA"}, Short: "keys and algorithms for one direction between two hosts",
		Text: `For traffic both ways there are two, and each is found by its destination, protocol and SPI. "ip xfrm state" shows them,
with the keys; ipsecdiag never shows or stores keys. IKE makes them in pairs; made by hand they have no rekeying, and no real
protection against replay after a restart.`,
		See: []string{"SAD", "SPI", "larval SA", "IKE"}, Sources: []string{"RFC 4301 section 4.1", "struct xfrm_state"},
	},
	{
		Name: "reserved SPI", Also: []string{"ALLOCSPI", "XFRM_MSG_ALLOCSPI"}, Short: "an SA that has its SPI and not yet its keys",
		Text: `An IKE daemon reserves the SPI that it tells the peer before the keys are agreed on. It looks like a larval SA with an
SPI, and is healthy: IKE is at work. It goes like one where IKE fails.`,
		See: []string{"SA", "larval SA"}, Sources: []string{"xfrm_alloc_spi"},
	},
	{
		Name: "SAD", Also: []string{"security association database"}, Short: "the SAs that a host has",
		Text: `Policies say what is to be protected, SAs how. A policy without an SA that fits loses packets; an SA without a policy
carries nothing.`,
		See: []string{"SA", "SPD"}, Sources: []string{"RFC 4301 section 4.4.2"},
	},
	{
		Name: "SPI", Also: []string{"security parameters index"}, Short: "the number by which the receiver finds the SA",
		Text: `It stands in clear at the beginning of each ESP packet. The receiver chose it, so it has a meaning at that end only; an SPI that
it does not know counts as XfrmInNoStates. The SPIs of IKE, of 64 bits, are other ones: the initiator's tells one attempt at IKE
from another.`,
		See: []string{"SA", "ESP", "XfrmInNoStates"}, Sources: []string{"RFC 4303 section 2.1", "RFC 7296 section 3.1"},
	},
	{
		Name: "rekeying", Also: []string{"lifetime", "soft lifetime", "hard lifetime", "EXPIRE"}, Short: "a new SA takes the place of an old one in time",
		Text: `An SA has a soft and a hard limit, in seconds, bytes or packets. At the soft one the kernel tells the daemon (an EXPIRE), which
makes a new SA; at the hard one the kernel deletes it. Where the new one does not come in time, packets are lost
(XfrmOutNoStates, and at the other end XfrmInNoStates).`,
		See: []string{"SA", "CREATE_CHILD_SA", "quick mode"}, Sources: []string{"xfrm_timer_handler", "RFC 7296 section 2.8"},
	},
}
