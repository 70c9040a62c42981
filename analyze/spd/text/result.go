package text

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"ipsecdiag/analyze/spd"
)

// Bounds of what is read.
const (
	maxInput    = 64 << 20 // bytes of one file; 10,000 policies with -s are 7 MB
	maxConf     = 2 << 20  // bytes of a setkey.conf, whose commands are carried out one by one
	maxLine     = 64 << 10 // bytes of one line
	maxProblems = 100      // problems that are kept, of each sort
)

// File is one input: its name, for messages, and what it holds.
type File struct {
	Name string
	Data []byte
}

// Options say what the text leaves open. The zero value is usable.
type Options struct {
	// Location is the time zone of clock readings, which the tools print
	// without one. Nil means UTC.
	Location *time.Location
	// Devices are known indexes of interfaces, which the tools print by name.
	// Other names get the next free numbers.
	Devices map[string]int
}

// location returns the time zone of clock readings.
func (o Options) location() *time.Location {
	if o.Location == nil {
		return time.UTC
	}
	return o.Location
}

// Pos is a line of a file. Line 0 means the file as a whole.
type Pos struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
}

// String renders p as file:line.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Problem is a line that cannot be taken as it stands, and why. It quotes
// nothing of the line.
type Problem struct {
	Pos
	What string `json:"what"`
	// Incomplete is set where something is left out because of it: a policy, an
	// SA, a command.
	Incomplete bool `json:"incomplete,omitempty"`
}

// Error renders p as file:line: what.
func (p Problem) Error() string { return p.Pos.String() + ": " + p.What }

// Problems is a bounded list of problems.
type Problems struct {
	List []Problem `json:"list,omitempty"`
	More int       `json:"more,omitempty"` // how many more there were
}

// add notes that something is left out, note that it is not.
func (p *Problems) add(at Pos, what string)  { p.put(Problem{at, what, true}) }
func (p *Problems) note(at Pos, what string) { p.put(Problem{at, what, false}) }

func (p *Problems) put(x Problem) {
	if len(p.List) >= maxProblems {
		p.More++
		return
	}
	p.List = append(p.List, x)
}

// Source says what a file was taken for.
type Source struct {
	Name string
	Kind Kind
}

// Result is what the files say together.
type Result struct {
	Sources []Source
	// DB holds the policies in order of age, the oldest first.
	DB spd.Database
	// Keys of the SAs for which the text holds them.
	Keys map[spd.SAKey]Keys
	// Secrets are the names of the files in which keys stand.
	Secrets map[string]bool
	// Devices are the indexes that stand for interface names in DB.
	Devices map[string]int
	// Errors are the lines that could not be read.
	Errors Problems
	// Warnings are lines that were read, and that do not do what they say.
	Warnings Problems
	// Taken is when it was so, by the host's own clock; zero where that is not
	// known.
	Taken time.Time

	policies map[spd.Identity]placed
	sas      map[spd.SAKey]Pos
}

// placed is a policy and the line at which it begins.
type placed struct {
	spd.Policy
	at Pos
}

// FromDatabase returns what is known of a host from another source than text, so
// that it can be compared with one: name stands for all places in it.
func FromDatabase(name string, db spd.Database, taken time.Time) Result {
	return Result{Sources: []Source{{Name: name}}, DB: db, Taken: taken}
}

// PolicyAt returns the line at which p begins; all of r where it is not known,
// as for socket policies.
func (r *Result) PolicyAt(p *spd.Policy) Pos {
	if q, ok := r.policies[p.Identity()]; ok {
		return q.at
	}
	return r.whole()
}

// SAAt returns the line at which the SA begins.
func (r *Result) SAAt(s *spd.SA) Pos {
	if at, ok := r.sas[s.Key()]; ok {
		return at
	}
	return r.whole()
}

// whole returns the position that stands for all of r.
func (r *Result) whole() Pos {
	if len(r.Sources) == 0 {
		return Pos{File: "(nothing)"}
	}
	return Pos{File: r.Sources[0].Name}
}

// addPolicy adds p as the youngest policy, unless one with its identity is
// there, which the kernel refuses (xfrm_policy_insert, EEXIST).
func (r *Result) addPolicy(p spd.Policy, at Pos) {
	if p.Socket {
		r.DB.Policies = append(r.DB.Policies, p)
		return
	}
	if first, ok := r.policies[p.Identity()]; ok {
		if !reflect.DeepEqual(first.Policy, p) { // the same dump twice is no fault
			r.Warnings.add(at, "the policy is refused by the kernel: one with its selector stands already, from "+first.at.String())
		}
		return
	}
	r.policies[p.Identity()] = placed{p, at}
	r.DB.Policies = append(r.DB.Policies, p)
}

// addSA adds an SA with its keys, unless there is one with its identity.
func (r *Result) addSA(s spd.SA, k Keys, at Pos) {
	if s.SPI != 0 {
		if first, ok := r.sas[s.Key()]; ok {
			r.Warnings.add(at, "the SA is refused by the kernel: one with its destination, protocol and SPI stands already, from "+first.String())
			return
		}
		r.sas[s.Key()] = at
		if k.any() {
			r.Keys[s.Key()] = k
			r.Secrets[at.File] = true
		}
	}
	r.DB.SAs = append(r.DB.SAs, s)
}

func (r *Result) deletePolicy(id spd.Identity) bool {
	delete(r.policies, id)
	return r.DB.DeletePolicy(id)
}

// deleteSAs removes the SAs that match.
func (r *Result) deleteSAs(match func(*spd.SA) bool) {
	r.DB.SAs = slices.DeleteFunc(r.DB.SAs, func(s spd.SA) bool {
		if !match(&s) {
			return false
		}
		delete(r.sas, s.Key())
		delete(r.Keys, s.Key())
		return true
	})
}

// device returns the index that stands for an interface name.
func (r *Result) device(name string) int {
	if i, ok := r.Devices[name]; ok {
		return i
	}
	next := 1
	for _, i := range r.Devices {
		next = max(next, i+1)
	}
	r.Devices[name] = next
	return next
}
