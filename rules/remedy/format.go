package remedy

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Format is a form of permanent configuration.
type Format string

// The formats.
const (
	FormatIP      Format = "ip"      // file for ip -batch, and a script by its first line
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

// Side is an end of the pair.
type Side string

// The sides.
const (
	SideLocal Side = "local" // this host
	SidePeer  Side = "peer"  // the other: IN becomes OUT, SRC becomes DST
)

// File is one file of an export. It prints nothing of its content: that may
// hold keys.
type File struct {
	Name   string // without directory
	Dir    string // where it belongs
	Secret bool   // holds keys: to be made with mode 0400
	write  func(io.Writer) error
}

// Write writes the content.
func (f *File) Write(w io.Writer) error { return f.write(w) }

// Exported is an export.
type Exported struct {
	Files []File
	Notes []string // what the format leaves out, and what to do with the files
}

// Export writes a plan as permanent configuration for one side. What the format
// has no words for is a *Refusal that names it.
func Export(f Format, side Side, plan *Plan, keys Keyring) (Exported, error) {
	if plan.Empty() {
		return Exported{}, refuse(BadValue, "there is nothing to export: the plan has no steps")
	}
	e := &export{plan: plan, keys: keys, side: side}
	if side == SidePeer {
		mirrored, err := Mirror(plan)
		if err != nil {
			return Exported{}, err
		}
		e.plan = &mirrored
	}
	for _, s := range plan.Steps {
		if s.Op == AddSA && (!keys[s.Keys.Auth].Known() || (s.SA.Enc != nil && !keys[s.Keys.Enc].Known())) {
			return Exported{}, refuse(MissingKey, "the keys of the SA %s are not there", s.SA)
		}
	}
	var err error
	switch f {
	case FormatIP:
		err = e.ip()
	case FormatSetkey:
		err = e.setkey()
	case FormatIfcfg:
		err = e.ifcfg()
	case FormatSwanctl:
		err = e.swanctl()
	case FormatSystemd:
		err = e.systemd()
	default:
		err = refuse(BadValue, "unknown format %q: ip, setkey, ifcfg, swanctl or systemd", f)
	}
	return e.out, err
}

// export is one export.
type export struct {
	plan *Plan // of the side
	keys Keyring
	side Side
	out  Exported
}

// add adds a file with that content.
func (e *export) add(name, dir string, secret bool, content string) {
	e.out.Files = append(e.out.Files, File{Name: name, Dir: dir, Secret: secret, write: func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	}})
}

// has reports whether the plan has a step of that kind.
func (e *export) has(op Op) bool {
	return slices.ContainsFunc(e.plan.Steps, func(s Step) bool { return s.Op == op })
}

// name is what the files of the export are called after.
func (e *export) name() string {
	name := "ipsecdiag-" + string(e.plan.Action)
	if peer := e.plan.Params["peer"]; peer != "" {
		name += "-" + strings.Map(func(r rune) rune {
			if strings.ContainsRune("0123456789abcdef", r) {
				return r
			}
			return '-'
		}, peer)
	}
	return name
}

const keyWarning = "# Whoever reads the keys in here reads the traffic: mode 0400, owner root, on both hosts.\n"

// head is the comment at the beginning of each file.
func (e *export) head() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# ipsecdiag fix %s: %s\n", e.plan.Action, e.plan.Title)
	if local := e.plan.Params["local"]; local != "" {
		fmt.Fprintf(&b, "# For the host with the address %s.\n", local)
	} else if e.side == SidePeer {
		b.WriteString("# For the peer.\n")
	}
	if e.has(AddSA) {
		b.WriteString(keyWarning)
	}
	return b.String()
}
