package confine

import (
	"fmt"

	"github.com/landlock-lsm/go-landlock/landlock"
	landlocked "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// restrictFiles takes files, and for a sealed process the network too, by
// Landlock. It returns the version of the kernel's Landlock, and what is missing.
func restrictFiles(o Options) (abi int, missing []string) {
	if o.Calls == AllCalls {
		return 0, nil
	}
	abi, err := landlocked.LandlockGetABIVersion()
	if err != nil || abi < 1 {
		return 0, []string{"Landlock: this kernel has none, or it is switched off"}
	}
	if o.Calls == Sealed {
		err = landlock.V11.BestEffort().Restrict()
	} else {
		err = landlock.V7.BestEffort().RestrictPaths(
			landlock.RODirs("/"), landlock.RWFiles("/dev/null").IgnoreIfMissing(), landlock.RWDirs(o.WriteBelow...).IgnoreIfMissing(),
		)
	}
	if err != nil {
		return 0, []string{fmt.Sprintf("Landlock: %v", err)}
	}
	return abi, nil
}
