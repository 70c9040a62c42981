package terms

// counter makes a term of a counter in /proc/net/xfrm_stat.
func counter(name, short, text string, see ...string) *Term {
	return &Term{
		Name: name, Short: short, Text: text, See: append(see, "counters"),
		Sources: []string{"/proc/net/xfrm_stat", "include/uapi/linux/snmp.h", "Documentation/networking/xfrm_proc.rst"},
	}
}

var counterTerms = []*Term{
	{
		Name: "counters", Also: []string{"xfrm_stat", "/proc/net/xfrm_stat", "XfrmStat"}, Short: "what the kernel counts of packets that IPsec dropped",
		Text: `They stand in /proc/net/xfrm_stat, one set for each network namespace, and tell neither the peer nor the policy: of a host
with several peers a rise may belong to any. XfrmIn… are packets that came, XfrmOut… such as were to go. Newer kernels have more of
them.`,
		See: []string{"XfrmOutNoStates", "XfrmInNoStates", "XfrmInTmplMismatch"}, Sources: []string{"net/xfrm/xfrm_proc.c"},
	},
	counter("XfrmOutNoStates", "a policy caught a packet that was to go, and no SA carried it",
		`IKE has not delivered the SA, or none fits the policy's template. One packet may be counted more than once. It is the surest
sign that traffic waits for an SA: neighbour advertisements that a policy caught are counted here too.`, "acquire-stall", "nd-deadlock", "template"),
	counter("XfrmInNoStates", "a packet came whose SA this host does not have",
		`The peer uses an SPI that is unknown here: this host has restarted and the peer not noticed, the SA has expired here first, or the
peer's packets come to the wrong host.`, "SPI", "rekeying", "esp-unknown-spi"),
	counter("XfrmInTmplMismatch", "a packet came in a way that the policy does not want",
		`A policy of direction in (or fwd) wants IPsec, and the packet came in the clear, or under an SA that does not fit the template
(another reqid or mode). A neighbour advertisement in the clear counts here where only the other end has a bypass.`, "template", "bypass", "nd-deadlock"),
	counter("XfrmInStateProtoError", "a packet came and could not be decrypted or verified",
		`Mostly the keys or algorithms of the two ends differ; else it was damaged, or the ends cut the integrity value to different lengths
(96 and 128 bits with HMAC-SHA-256).`, "SA", "ESP", "esp-bad-key"),
	counter("XfrmInStateModeError", "a packet came in transport mode for a tunnel, or the reverse",
		`The ends disagree on the mode.`, "transport mode", "tunnel mode"),
	counter("XfrmInStateSeqError", "a packet came whose sequence number was seen, or is too old",
		`A replay, a packet that was overtaken by more than the window, or a peer with keys set by hand that has restarted and counts
from 1 again.`, "sequence number", "esp-replay"),
	counter("XfrmInStateExpired", "a packet came for an SA whose lifetime is over", `The peer still uses it.`, "rekeying"),
	counter("XfrmOutStateExpired", "a packet was to go under an SA whose lifetime is over", `No new SA came in time.`, "rekeying"),
	counter("XfrmInStateMismatch", "a packet came that does not fit its SA",
		`With UDP encapsulation for an SA without, or the reverse (NAT traversal); or what was inside does not fit the SA's selector.`, "NAT traversal", "selector", "esp-encap-mismatch"),
	counter("XfrmInStateInvalid", "a packet came for an SA that is not valid", `It is being set up or deleted.`, "SA"),
	counter("XfrmOutStateInvalid", "a packet was to go under an SA that is not valid", `It is being set up or deleted.`, "SA"),
	counter("XfrmInNoPols", "a packet was decrypted and no policy lets it in",
		`There is an SA and no policy of direction in (or fwd) for what was inside; or the default policy blocks.`, "SPD", "default policy"),
	counter("XfrmInPolBlock", "a packet came that a policy blocks", `A policy with the action block; the default policy is not counted here.`, "block"),
	counter("XfrmOutPolBlock", "a packet was to go that a policy blocks", `A policy with the action block; the default policy is not counted here. The application gets EPERM.`, "block", "EPERM"),
	counter("XfrmInPolError", "looking up the policy for a packet that came failed", `Mostly for lack of memory.`),
	counter("XfrmOutPolError", "looking up the policy for a packet that was to go failed", `Mostly for lack of memory.`),
	counter("XfrmOutPolDead", "a packet was to go by a policy that is deleted", `Not counted by recent kernels.`),
	counter("XfrmOutBundleGenError", "the way of a packet that was to go could not be put together",
		`For example there is no route to the other end of the tunnel.`, "tunnel mode"),
	counter("XfrmOutBundleCheckError", "the way of a packet that was to go is no longer valid", `Not counted by recent kernels.`),
	counter("XfrmOutStateProtoError", "a packet could not be encrypted", `An error of the algorithm or of the card that does it.`, "packet offload"),
	counter("XfrmOutStateModeError", "a packet could not be put into its mode", `Mostly it is too long for the tunnel.`, "tunnel mode"),
	counter("XfrmOutStateSeqError", "the sequence numbers of an SA are used up", `A rekeying did not come in time.`, "sequence number", "rekeying"),
	counter("XfrmOutStateDirError", "an SA made for coming packets was to be used for going ones", `Recent kernels let an SA be made for one direction.`, "SA"),
	counter("XfrmInStateDirError", "an SA made for going packets was to be used for coming ones", `Recent kernels let an SA be made for one direction.`, "SA"),
	counter("XfrmAcquireError", "a packet came for a larval SA", `The peer has the SA already, and this host not yet: it will try again.`, "larval SA"),
	counter("XfrmFwdHdrError", "a packet to be passed on could not be read", `Its header is damaged.`),
	counter("XfrmInError", "a packet came and failed in a way that has no counter of its own", ``),
	counter("XfrmInBufferError", "there was no memory for a packet that came", ``),
	counter("XfrmInHdrError", "a packet came whose header cannot be read", `It is damaged or cut short.`),
	counter("XfrmOutError", "a packet was to go and failed in a way that has no counter of its own", ``),
	counter("XfrmOutNoQueueSpace", "there was no room to queue a packet that waits", ``, "net.core.xfrm_larval_drop"),
	counter("XfrmInIptfsError", "a packet of an IP-TFS tunnel could not be read", ``),
}
