package remedy

import (
	"slices"
)

// Format is a form of permanent configuration.
type Format string

// The formats.
const (
	FormatIP      Format = "ip"      // script of ip xfrm commands
	FormatSetkey  Format = "setkey"  // setkey.conf
	FormatIfcfg   Format = "ifcfg"   // ifcfg-ipsecN and keys-ipsecN
	FormatSwanctl Format = "swanctl" // pass shunts for swanctl.conf
	FormatSystemd Format = "systemd" // a unit, with what it runs
)

// Formats are all formats.
var Formats = []Format{FormatIP, FormatSetkey, FormatIfcfg, FormatSwanctl, FormatSystemd}

// cutsSHA256 reports whether one of the formats goes through PF_KEY, where the
// length of the authenticator cannot be said.
func cutsSHA256(all []Format) bool {
	return slices.Contains(all, FormatSetkey) || slices.Contains(all, FormatIfcfg)
}
