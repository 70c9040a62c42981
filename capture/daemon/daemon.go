// Package daemon asks the IKE daemons of this host what they know: strongSwan
// by its vici socket, libreswan by its program whack. It only ever asks: no
// command that it sends changes anything. What comes of it are Daemon events
// with a Word: connections, IKE and CHILD SAs, and what the daemon says that is
// notable. It holds no keys: a line of the log is handed on only where it is
// known what it says.
//
// Asking is not quite without effect. strongSwan serves list-sas by asking the
// kernel for the use of each SA, and writes each line of its log once more, to
// us; libreswan does nothing else while it answers. So both are asked when
// something has happened, no sooner than twenty times as long after the last
// answer as it took, and what they send is read at once or thrown away. Neither
// one's SAs, timers or packets change.
package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"ipsecdiag/analyze"
)

// None is the path of a daemon that must not be asked.
const None = "none"

// Options tell which daemons are asked. The zero value asks those that are
// found in the present network namespace.
type Options struct {
	Host  string // name of this host
	Netns string // network namespace in which daemons are looked for; empty: the present one
	// Vici is the path of strongSwan's vici socket, Whack that of libreswan's
	// control socket. Empty: what listens in the namespace is found by itself
	// (charon.vici, pluto.ctl), and asked where it belongs to root. None: it is
	// left alone.
	Vici, Whack string
	// Warn is called with warnings of one line.
	Warn func(string)
	// Reach is how the daemons are reached; nil: by this process.
	Reach Reach
}

// Reach reaches daemons and hands on what they send unread: a stranger's names
// and identities are in it. Its errors are ErrNotThere where none is found.
type Reach interface {
	// Vici returns a new connection to strongSwan's vici socket.
	Vici() (net.Conn, error)
	// Whack asks libreswan one question (--status, say) and returns the answer.
	Whack(ctx context.Context, question string) (io.ReadCloser, error)
}

// ErrNotThere says that no daemon of a kind was found.
var ErrNotThere = errors.New("no such daemon is there")

// Bounds on time.
const (
	lookEvery   = time.Second      // for a daemon that is not there
	retryFirst  = 2 * time.Second  // after a daemon that did not answer
	retryMost   = 30 * time.Second // at the latest, while it does not
	answerTime  = 15 * time.Second // in which an answer must come: a host may be busy
	askSettle   = 200 * time.Millisecond
	askEvery    = 2 * time.Second // at most, while things happen
	askShare    = 20              // times as long as the last answer took
	askAtLatest = 60 * time.Second
)

// pause returns how long after an answer the daemon may be asked again, from
// how long the answer took.
func pause(took time.Duration) time.Duration {
	return min(max(askEvery, askShare*took), askAtLatest)
}

// Bounds on what a daemon may tell.
const (
	maxText        = 256  // bytes of a name, an identity, an address
	maxLine        = 1024 // bytes of a line of its log
	maxList        = 8    // traffic selectors, addresses
	maxChildren    = 16   // of one connection or IKE SA
	maxConnections = 4096
	maxSAs         = 4096
	maxKnown       = 4096     // IKE SAs whose addresses are remembered
	maxEventBytes  = 64 << 10 // of the JSON of one event, about
)

// header makes an event's header: now, and this host.
func (o *Options) header() analyze.Header {
	return analyze.Header{Time: time.Now().UTC(), Origin: analyze.Origin{Host: o.Host, Netns: o.Netns}}
}
