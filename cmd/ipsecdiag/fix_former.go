package main

import (
	"fmt"
	"io/fs"
	"os"

	"ipsecdiag/rules/remedy/apply"
)

// formerFile is a file that --force overwrites: the peer's keys of what was
// applied before, say. It is kept until the plan stands.
type formerFile struct {
	content []byte
	mode    fs.FileMode
}

// formerFiles reads the plain files that are about to be overwritten. Nothing is
// overwritten where one cannot be read.
func (o *exportOptions) formerFiles(files []outFile) (map[string]formerFile, error) {
	former := map[string]formerFile{}
	for _, f := range files {
		info, err := os.Lstat(f.path)
		if err != nil || !info.Mode().IsRegular() || !o.force {
			continue
		}
		b, err := os.ReadFile(f.path)
		if err != nil {
			return nil, fmt.Errorf("overwrite %s: %w", f.path, err)
		}
		former[f.path] = formerFile{b, info.Mode().Perm()}
	}
	return former, nil
}

// dropThem deletes what was written for a plan that came to nothing, keys that
// nobody has, and puts back what it was written over.
func (r *fixRun) dropThem(former map[string]formerFile) {
	for _, name := range r.result.Files {
		f, overwritten := former[name]
		switch {
		case overwritten:
			if err := apply.WriteFile(name, f.content, f.mode, true); err != nil {
				r.io.say("put back what was there: " + oneLine(err))
			} else {
				r.io.say("put the former " + name + " back: the new one belongs to what was not applied")
			}
		case os.Remove(name) == nil:
			r.io.say("deleted " + name + " again: it belongs to what was not applied")
		}
	}
	r.result.Files = nil
}

// forget clears the contents, which may hold keys.
func forget(former map[string]formerFile) {
	for _, f := range former {
		clear(f.content)
	}
}
