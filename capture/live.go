package capture

import "errors"

// Any stands for all interfaces in LiveOptions.Interfaces.
const Any = "any"

// ErrNeedsLinux is returned by Live on other systems.
var ErrNeedsLinux = errors.New("live capture needs Linux")

// LiveOptions say what Live listens to.
type LiveOptions struct {
	// Interfaces are names; Any among them stands for all, also those that
	// come later.
	Interfaces []string
	// Netns is the name or path of a network namespace, empty for the current.
	Netns string
	// Host is the origin's host.
	Host string
	// Warn gets what a person should know; it may be nil.
	Warn func(string)
	// Started is called once the filter is in place and frames are received;
	// it may be nil.
	Started func()
	// Counting is called before Started. An empty string says that ESP and AH
	// are counted in the kernel; otherwise each of their frames is looked at,
	// for the reason given. It may be nil.
	Counting func(why string)

	// Flows is how many flows of ESP and AH are counted apart, 65,536 if zero; of
	// more those that were silent for the longest are told of early.
	Flows int

	// For tests: do not count in the kernel; room for so many keys there.
	frameByFrame bool
	countedKeys  int
}
