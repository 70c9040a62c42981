package analyze

import (
	"net/netip"

	"ipsecdiag/analyze/ike"
)

// Word is what an IKE daemon told of itself: what it holds when it was asked,
// or what it said in passing. It holds no keys and no secrets.
type Word struct {
	Daemon  string `json:"daemon"`            // StrongSwan or Libreswan
	Version string `json:"version,omitempty"` // as the daemon gives it
	Via     string `json:"via"`               // how it was asked: "vici" or "whack"
	// Whole is set where Connections and SAs are the beginning of all that there
	// are: what was known before is over. Without it they are new, or changed,
	// or the rest of a list that was too long for one event.
	Whole       bool         `json:"whole,omitempty"`
	Connections []Connection `json:"connections,omitempty"`
	SAs         []DaemonSA   `json:"sas,omitempty"`
	// Gone are the IDs of IKE SAs that are no more.
	Gone []string `json:"gone,omitempty"`
	// Saying is a line of its log, or what its counters show.
	Saying *Saying `json:"saying,omitempty"`
	// Silent says why nothing more can be learnt from it, until it is heard
	// again: it was stopped, does not answer, must not be asked.
	Silent string `json:"silent,omitempty"`
}

// The daemons that can be asked.
const (
	StrongSwan = "strongSwan"
	Libreswan  = "libreswan"
)

// Connection is a connection that a daemon is configured with, as far as it
// tells who may speak to whom. Addresses are as they were configured: one
// address, a network, a range, a name, %any.
type Connection struct {
	Name        string   `json:"name"`
	IKE         string   `json:"ike,omitempty"` // IKEv1, IKEv2, or IKEv1/2 for both
	LocalAddrs  []string `json:"local_addrs,omitempty"`
	RemoteAddrs []string `json:"remote_addrs,omitempty"`
	LocalID     string   `json:"local_id,omitempty"`
	RemoteID    string   `json:"remote_id,omitempty"`
	LocalAuth   string   `json:"local_auth,omitempty"` // class of authentication: "pre-shared key", "public key"
	RemoteAuth  string   `json:"remote_auth,omitempty"`
	Children    []Child  `json:"children,omitempty"` // CHILD SAs that it may make
}

// Child is a CHILD SA as it is configured.
type Child struct {
	Name     string   `json:"name"`
	Mode     string   `json:"mode,omitempty"` // TRANSPORT, TUNNEL …
	LocalTS  []string `json:"local_ts,omitempty"`
	RemoteTS []string `json:"remote_ts,omitempty"`
}

// DaemonSA is an IKE SA as its daemon sees it.
type DaemonSA struct {
	ID           string         `json:"id"`             // the daemon's number for it, unique while it runs
	Connection   string         `json:"conn,omitempty"` // name of the connection
	Major        uint8          `json:"major,omitempty"`
	State        string         `json:"state,omitempty"` // the daemon's word: ESTABLISHED, CONNECTING, STATE_V2_PARENT_I1
	Initiator    bool           `json:"initiator,omitempty"`
	Local        netip.AddrPort `json:"local,omitzero"`
	Remote       netip.AddrPort `json:"remote,omitzero"`
	LocalID      string         `json:"local_id,omitempty"`
	RemoteID     string         `json:"remote_id,omitempty"`
	InitiatorSPI ike.SPI        `json:"spi_i,omitzero"`
	ResponderSPI ike.SPI        `json:"spi_r,omitzero"`
	Children     []DaemonChild  `json:"children,omitempty"`
}

// DaemonChild is a CHILD SA as its daemon sees it.
type DaemonChild struct {
	ID       string   `json:"id,omitempty"`
	Name     string   `json:"name,omitempty"` // of the child or, for libreswan, the connection
	State    string   `json:"state,omitempty"`
	Mode     string   `json:"mode,omitempty"`
	ReqID    uint32   `json:"reqid,omitempty"`
	SPIIn    uint32   `json:"spi_in,omitempty"`
	SPIOut   uint32   `json:"spi_out,omitempty"`
	LocalTS  []string `json:"local_ts,omitempty"`
	RemoteTS []string `json:"remote_ts,omitempty"`
}

// Saying is something notable that a daemon said, classified. Line is a
// stranger's text: the daemon quotes its peers.
type Saying struct {
	Topic Topic `json:"topic"`
	// FromPeer is set where the daemon passes on what the peer told it, under
	// the protection of their IKE SA or before there is one.
	FromPeer bool `json:"from_peer,omitempty"`
	// Count is how often it was said, where the daemon tells only that: libreswan
	// by its counters. 0 is once.
	Count uint64 `json:"count,omitempty"`
	// N is the number of the retransmission, or of the attempt.
	N          int            `json:"n,omitempty"`
	Connection string         `json:"conn,omitempty"` // empty where the daemon had chosen none yet
	Child      string         `json:"child,omitempty"`
	SA         string         `json:"sa,omitempty"` // the daemon's number for the IKE SA: DaemonSA.ID
	SPI        ike.SPI        `json:"spi,omitzero"` // its initiator SPI, where it is known
	Local      netip.AddrPort `json:"local,omitzero"`
	Remote     netip.AddrPort `json:"remote,omitzero"`
	Line       string         `json:"line"` // as the daemon wrote it, cut to a bounded length
}

// Topic says what a saying is about.
type Topic string

// The topics. Those of failure come first.
const (
	// SaidAuthFailed: the peer's authentication does not hold, or the peer says
	// so of ours (AUTHENTICATION_FAILED, RFC 7296 section 2.21).
	SaidAuthFailed Topic = "authentication failed"
	// SaidNoSecret: there is no key, or no trusted certificate, for these
	// identities.
	SaidNoSecret Topic = "no secret"
	// SaidIdentity: the peer's identity is not the one that is wanted.
	SaidIdentity Topic = "identity differs"
	// SaidCertificate: a certificate is expired, not trusted, or does not verify.
	SaidCertificate Topic = "certificate refused"
	// SaidUnreadable: what the peer sent does not decrypt: in IKEv1's main mode
	// this is what a wrong pre-shared key looks like (RFC 2409 section 5.4).
	SaidUnreadable Topic = "cannot be decrypted"
	// SaidNoConnection: no connection is configured for that peer.
	SaidNoConnection Topic = "no connection fits"
	// SaidNoProposal: no proposal is acceptable (NO_PROPOSAL_CHOSEN), of the IKE
	// SA, or where Child is set or the line speaks of one, of a CHILD SA.
	SaidNoProposal Topic = "no proposal chosen"
	// SaidProposals: what was received, or what is configured. strongSwan logs
	// both where they do not meet: the line begins with "received proposals" or
	// "configured proposals".
	SaidProposals Topic = "proposals"
	// SaidInvalidKE: another Diffie-Hellman group is wanted (INVALID_KE_PAYLOAD).
	SaidInvalidKE Topic = "other group wanted"
	// SaidTSUnacceptable: the traffic selectors do not fit (TS_UNACCEPTABLE,
	// RFC 7296 section 2.9; INVALID_ID_INFORMATION in IKEv1).
	SaidTSUnacceptable Topic = "selectors unacceptable"
	// SaidChildFailed: the IKE SA stands and the CHILD SA does not.
	SaidChildFailed Topic = "no CHILD SA"
	// SaidNotify is another error that was notified.
	SaidNotify Topic = "error notified"
	// SaidNotResponding: given up, the peer does not answer.
	SaidNotResponding Topic = "peer does not respond"
	// SaidDPDFailed: an IKE SA that stood is given up: dead peer detection had no
	// answer.
	SaidDPDFailed Topic = "peer is dead"
	// SaidKernel: the kernel refused an SA or a policy, or its ACQUIRE could not
	// be served.
	SaidKernel Topic = "kernel refused"

	// SaidRetransmit: a request is sent again, for the Nth time.
	SaidRetransmit Topic = "retransmit"
	// SaidDPD: the peer is asked whether it is still there.
	SaidDPD Topic = "dead peer detection"
	// SaidInitiating: an IKE SA is begun, by this end or, with FromPeer, by the
	// peer.
	SaidInitiating Topic = "initiating"
	// SaidEstablished: an IKE SA stands.
	SaidEstablished Topic = "IKE SA established"
	// SaidChildEstablished: a CHILD SA stands.
	SaidChildEstablished Topic = "CHILD SA established"
	// SaidRekeyed: an IKE SA or a CHILD SA has taken the place of another.
	SaidRekeyed Topic = "rekeyed"
	// SaidDeleting: an IKE SA or a CHILD SA is deleted, by this end or, with
	// FromPeer, by the peer.
	SaidDeleting Topic = "deleting"
)

// Failure reports whether a saying on that topic tells that something failed.
func (t Topic) Failure() bool {
	switch t {
	case SaidAuthFailed, SaidNoSecret, SaidIdentity, SaidCertificate, SaidUnreadable, SaidNoConnection,
		SaidNoProposal, SaidTSUnacceptable, SaidChildFailed, SaidNotify, SaidNotResponding, SaidDPDFailed, SaidKernel:
		return true
	}
	return false
}
