// Package keeper splits a watch into two processes. One reads what strangers have
// sent and holds no privilege; the other, the keeper, holds CAP_NET_ADMIN, reads
// nothing that a stranger has sent, and hands on what the kernel tells: events as
// they are recorded, one JSON line each, in which there are no keys.
//
// The first asks the keeper for what only that may open, by two bytes: what, and
// a number for the answer. Nothing else of it is read. Answers carry file
// descriptors: of what whack prints and of the table of tracked connections, both
// unread, of new files for recordings, of which the keeper chooses the names, and of
// connections to strongSwan. On those the keeper stands between: what the daemon
// says passes unread, and to the daemon passes what daemon.Relay knows as a
// question. Either process ends when the other one does.
package keeper

// What is asked for.
const (
	askEvents    = 'e' // begin to tell events
	askVici      = 'v'
	askTracked   = 'c' // the table of tracked connections
	askNextFile  = 'n' // the ring's next
	askNewFile   = 'w' // one of a name that no file has
	firstWhack   = '0' // the first of whackQuestions, and so on
	requestBytes = 2
)

// whackQuestions are those that whack may be asked.
var whackQuestions = []string{"--status", "--showstates", "--globalstatus"}

// What a line of the keeper begins with.
const (
	lineState = 'S' // what is in force for it; the first line
	lineEvent = 'E'
	lineWarn  = 'W'
	lineError = 'X' // why no more events come
)
