package kernel

// Privileges are the capabilities that live observation needs.
type Privileges struct {
	NetAdmin bool // CAP_NET_ADMIN: XFRM checks it on every request (xfrm_user_rcv_msg)
	NetRaw   bool // CAP_NET_RAW: AF_PACKET sockets (packet_create)
}

// noNetAdmin is what the lack of CAP_NET_ADMIN means for Watch.
const noNetAdmin = "CAP_NET_ADMIN is missing: policies, SAs and ACQUIREs cannot be read; " +
	"still shown: wire, neighbour table, counters"

const noNetRaw = "CAP_NET_RAW is missing: the wire cannot be read; " +
	"still shown: policies, SAs, ACQUIREs, neighbour table, counters"

const noneOfBoth = "CAP_NET_RAW and CAP_NET_ADMIN are missing: neither the wire nor policies, " +
	"SAs and ACQUIREs can be read; still shown: neighbour table, counters"

// Missing says in one sentence which capabilities are missing, what cannot be
// seen without them and what still can; "" where none is missing.
func (p Privileges) Missing() string {
	switch {
	case p.NetAdmin && p.NetRaw:
		return ""
	case p.NetRaw:
		return noNetAdmin
	case p.NetAdmin:
		return noNetRaw
	}
	return noneOfBoth
}
