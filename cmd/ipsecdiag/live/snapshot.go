package live

import (
	"net/netip"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/rules"
	"ipsecdiag/rules/report"
	"ipsecdiag/rules/report/ladder"
)

// Snapshot is what the view shows at one moment. Nobody changes it after Take
// returned it.
type Snapshot struct {
	Now      time.Time     // event time
	Elapsed  time.Duration // event time since the first event
	Summary  report.Summary
	Findings []rules.Finding           // in the order of rules.Engine.Findings
	Rows     []Row                     // worst first
	Hidden   int                       // pairs that are not in Rows for lack of room
	Focus    analyze.PairKey           // the pair that is looked at closely; zero for none
	Ladder   *ladder.Ladder            // of that pair, with what repeats folded
	Decisive map[string]*ladder.Ladder // of its findings, by their id
	Status   Status
}

// Status is what goes on beside the network: it is filled in by whoever runs the
// view.
type Status struct {
	Recording string   // file that is being written, "" where none is
	Notes     []string // warnings and the like, the latest last
	Ended     string   // why nothing more comes; "" while something may
}

// Row is one line of the list: a pair, or a host that a finding is about.
type Row struct {
	Subject  string          // as rules.Finding.Subject
	Pair     analyze.PairKey // zero where the subject is no pair
	From, To netip.Addr      // the pair, the observer's own end first where one is
	Seen     []string        // the observers

	Neighbor, IKE, SAs, Lost Cell
	Out, In                  Traffic // ESP and AH, from From to To and back

	Findings []int // places in Snapshot.Findings, worst first
	standing standing
	involved bool   // IKE, ESP, an SA or the need for one was seen
	order    uint64 // in which the pairs were first seen
}

// Cell is one short statement, with how it is to be taken.
type Cell struct {
	Text string
	Tone Tone
}

// Tone says how good a thing is. It is never told by colour alone.
type Tone uint8

// The tones, ascending.
const (
	Plain Tone = iota
	Good
	Doubtful
	Bad
)

// Traffic is what went one way.
type Traffic struct {
	Packets, Bytes uint64  // in all
	PacketRate     float64 // packets a second, lately
	ByteRate       float64 // bytes a second, lately
}

// standing orders rows and gives them their mark.
type standing uint8

// The standings, the worst last.
const (
	quiet    standing = iota // nothing is known to work or to fail
	works                    // IPsec carries traffic, or could
	remarked                 // an open finding that is worth knowing
	over                     // a warning or an error that is over
	warned                   // open, or not confirmed lately
	failing
)

// worst returns the finding of the row that matters most, nil if it has none.
func (s *Snapshot) worst(r *Row) *rules.Finding {
	if len(r.Findings) == 0 {
		return nil
	}
	return &s.Findings[r.Findings[0]]
}

// row returns the row of that subject, nil if there is none.
func (s *Snapshot) row(subject string) *Row {
	for i := range s.Rows {
		if s.Rows[i].Subject == subject {
			return &s.Rows[i]
		}
	}
	return nil
}
