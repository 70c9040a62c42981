package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ipsecdiag/rules/remedy"
	"ipsecdiag/rules/remedy/apply"
)

// exportOptions say which files are written with a plan.
type exportOptions struct {
	peerScript string
	export     string
	side       string
	output     string
	force      bool
}

func exportFlags(cmd *cobra.Command, o *exportOptions) {
	f := cmd.Flags()
	f.StringVar(&o.peerScript, "peer-script", "", "write what the peer must run to this `FILE`")
	f.StringVar(&o.export, "export", "", "write permanent configuration, in this `FORMAT`:\nip, setkey, ifcfg, swanctl or systemd")
	f.StringVar(&o.side, "side", string(remedy.SideLocal), "whose configuration: `local` or peer")
	f.StringVarP(&o.output, "output", "o", ".", "write it into this `DIR`")
	f.BoolVar(&o.force, "force", false, "overwrite files that are there")
	var formats []string
	for _, x := range remedy.Formats {
		formats = append(formats, string(x))
	}
	completeFlag(cmd, "export", formats)
	completeFlag(cmd, "side", []string{string(remedy.SideLocal), string(remedy.SidePeer)})
}

// wanted reports whether files are asked for.
func (o *exportOptions) wanted() bool { return o.peerScript != "" || o.export != "" }

// formats are those that a plan has to have words for.
func (o *exportOptions) formats() []remedy.Format {
	if o.export == "" {
		return nil
	}
	return []remedy.Format{remedy.Format(o.export)}
}

// outFile is one file to be written.
type outFile struct {
	path string
	remedy.File
}

// exported is what is to be written with a plan.
type exported struct {
	files []outFile
	notes []string
}

// exported makes the files of a plan without writing them yet, and refuses what
// cannot be said or would be overwritten.
func (o *exportOptions) exported(plan *remedy.Plan, keys remedy.Keyring) (x exported, err error) {
	if o.export != "" {
		if !slices.Contains([]remedy.Side{remedy.SideLocal, remedy.SidePeer}, remedy.Side(o.side)) {
			return x, fmt.Errorf("--side %q: there are local and peer", o.side)
		}
		e, err := remedy.Export(remedy.Format(o.export), remedy.Side(o.side), plan, keys)
		if err != nil {
			return x, err
		}
		x.notes = e.Notes
		for _, f := range e.Files {
			x.files = append(x.files, outFile{filepath.Join(o.output, f.Name), f})
		}
	}
	if o.peerScript != "" {
		e, err := remedy.Export(remedy.FormatIP, remedy.SidePeer, plan, keys)
		if err != nil {
			return x, err
		}
		for _, f := range e.Files {
			x.files = append(x.files, outFile{o.peerScript, f})
		}
		x.notes = append(x.notes, fmt.Sprintf("take %s to the peer by a safe way, and run there: ip -batch %s", o.peerScript, filepath.Base(o.peerScript)))
	}
	return x, o.clear(x.files)
}

// clear refuses to overwrite without --force, and directories that are not
// there.
func (o *exportOptions) clear(files []outFile) error {
	for _, f := range files {
		if _, err := os.Stat(filepath.Dir(f.path)); err != nil {
			return fmt.Errorf("write %s: %w", f.path, err)
		}
		if _, err := os.Lstat(f.path); err == nil && !o.force {
			return fmt.Errorf("%s exists already; --force overwrites it", f.path)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// The modes of exported files.
const (
	secretMode = 0o400
	publicMode = 0o644
)

// write writes the files, and names those that it has written.
func (o *exportOptions) write(files []outFile) (written []string, err error) {
	for _, f := range files {
		var b bytes.Buffer
		if err := f.Write(&b); err != nil {
			return written, err
		}
		mode := fs.FileMode(publicMode)
		if f.Secret {
			mode = secretMode
		}
		err := apply.WriteFile(f.path, b.Bytes(), mode, o.force)
		clear(b.Bytes())
		if err != nil {
			return written, err
		}
		written = append(written, f.path)
	}
	return written, nil
}

// tellFiles says what was written, or would be.
func (r *fixRun) tellFiles(x exported, verb string) {
	if len(x.files) == 0 {
		return
	}
	var names []string
	for _, f := range x.files {
		name := f.path
		if f.Secret {
			name += " (holds keys)"
		}
		names = append(names, name)
	}
	r.gap()
	r.tell(verb + " " + strings.Join(names, ", ") + ".")
	for _, n := range x.notes {
		r.tell(strings.ToUpper(n[:1]) + n[1:] + ".")
	}
}

// exportStanding writes the files of what was applied before: the plan and the
// keys are those of the journal.
func (r *fixRun) exportStanding(ctx context.Context, p *remedy.Plan) error {
	e, _, err := r.journal.Standing(ctx, r.kernel, func(e *apply.Entry) bool { return e.Applies(p.Action, p.Params) })
	if err != nil {
		return err
	}
	if e == nil {
		return errors.New("nothing to export: what stands was not applied by ipsecdiag fix with these arguments")
	}
	var keys remedy.Keyring
	if e.KeyFile != "" {
		if keys, err = apply.ReadKeys(e.KeyFile); err != nil {
			return err
		}
	}
	x, err := r.exported(&e.Plan, keys)
	if err != nil {
		return err
	}
	if r.dryRun {
		r.tellFiles(x, "Would write")
		return nil
	}
	r.result.ID = e.ID
	r.result.Files, err = r.write(x.files)
	if err == nil {
		r.tellFiles(x, "Wrote")
	}
	return err
}
