//go:build !linux

package capture

import "time"

// sleptTime is not known on systems on which nothing is watched.
func sleptTime() time.Duration { return 0 }
