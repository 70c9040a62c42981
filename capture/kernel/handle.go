package kernel

// Handle reads and changes the kernel of one network namespace, one object at a
// time. Each request is a socket of its own, and a thread in the namespace: but
// for what OpenProbes opens, a handle holds nothing open. It may be used by
// several goroutines.
//
// Its errors name what was to be done to which object, and say in words what
// the kernel's errno means there; errors.Is finds the errno.
type Handle struct {
	o      Options
	probes map[int]int // raw sockets of OpenProbes, by their protocol
}

// NewHandle returns a handle for o.Netns. It opens nothing yet.
func NewHandle(o Options) *Handle { return &Handle{o: o.withDefaults()} }

// The settings that can be written.
const (
	SysctlLarvalDrop = "net.core.xfrm_larval_drop" // 1: drop what has no SA yet; 0: queue it
	SysctlAcqExpires = "net.core.xfrm_acq_expires" // life of a larval SA, seconds
)

var writableSysctls = []string{SysctlLarvalDrop, SysctlAcqExpires}
