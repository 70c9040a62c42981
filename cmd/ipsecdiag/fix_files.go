package main

import (
	"path/filepath"

	"ipsecdiag/rules/remedy"
)

// directories are those into which fix is to write files.
func (o *exportOptions) directories() (dirs []string) {
	if o.export != "" {
		dirs = append(dirs, o.output)
	}
	if o.peerScript != "" {
		dirs = append(dirs, filepath.Dir(o.peerScript))
	}
	return dirs
}

// The methods of exportOptions that use files, by who may.

func (r *fixRun) exported(plan *remedy.Plan, keys remedy.Keyring) (x exported, err error) {
	err = r.files.Do(func() error {
		x, err = r.exportOptions.exported(plan, keys)
		return err
	})
	return x, err
}

func (r *fixRun) write(files []outFile) (written []string, err error) {
	err = r.files.Do(func() error {
		written, err = r.exportOptions.write(files)
		return err
	})
	return written, err
}

func (r *fixRun) formerFiles(files []outFile) (former map[string]formerFile, err error) {
	err = r.files.Do(func() error {
		former, err = r.exportOptions.formerFiles(files)
		return err
	})
	return former, err
}

func (r *fixRun) dropFiles(former map[string]formerFile) {
	_ = r.files.Do(func() error { // it says itself what goes wrong
		r.dropThem(former)
		return nil
	})
}
