package capture

import (
	"fmt"
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/spd/text"
)

// inspect notes what is wrong with the texts themselves.
func (s *States) inspect() {
	k := s.Snapshots[len(s.Snapshots)-1]
	for _, d := range text.KeyLengths(*s.Text) {
		k.Notes = append(k.Notes, analyze.Note{
			Kind: analyze.NoteKeyLength, Files: []string{d.Local.File}, At: d.Local.String(), Text: d.Text, Sure: true,
		})
	}
	for _, w := range s.Text.Warnings.List {
		k.Notes = append(k.Notes, analyze.Note{
			Kind: analyze.NoteNoEffect, Files: []string{w.File}, At: w.Pos.String(), Text: w.What, Sure: true,
		})
	}
	for _, f := range s.Texts {
		if s.Text.Secrets[f.Name] && f.Mode.Perm()&0o077 != 0 {
			k.Notes = append(k.Notes, analyze.Note{
				Kind: analyze.NoteKeyMode, Files: []string{f.Name}, Sure: true,
				Text: fmt.Sprintf("%s holds keys and has mode %04o", f.Name, f.Mode.Perm()),
			})
		}
	}
}

// Compare notes on the first host how the files of two ends do not mirror each
// other. Each end must be one host.
func Compare(local, peer *States) error {
	a, err := local.result()
	if err != nil {
		return err
	}
	b, err := peer.result()
	if err != nil {
		return err
	}
	files := []string{strings.Join(local.Paths, " + "), strings.Join(peer.Paths, " + ")}
	k := local.Snapshots[0]
	lengths := slices.Concat(text.KeyLengths(*a), text.KeyLengths(*b))
	for _, d := range text.Mirror(*a, *b) {
		said := func(l text.Difference) bool { return strings.HasPrefix(d.Text, l.Text) }
		if slices.ContainsFunc(lengths, said) {
			continue // inspect has noted it
		}
		k.Notes = append(k.Notes, analyze.Note{
			Kind: analyze.NoteMirror, Files: files, Text: d.Text, Sure: configured(a) && configured(b),
		})
	}
	return nil
}

// result returns what is to be compared of one end.
func (s *States) result() (*text.Result, error) {
	if len(s.Snapshots) != 1 {
		return nil, fmt.Errorf("one host is compared with one other, and %s tell of %d", strings.Join(s.Paths, ", "), len(s.Snapshots))
	}
	k := s.Snapshots[0]
	if s.Text != nil {
		return s.Text, nil
	}
	db := spd.Database{Policies: k.Policies, SAs: k.SAs, Defaults: k.Defaults}
	r := text.FromDatabase(s.Paths[0], db, k.Time)
	return &r, nil
}

// configured reports whether texts say what is to be, not what was at some time.
func configured(r *text.Result) bool {
	for _, s := range r.Sources {
		switch s.Kind {
		case text.KindSetkeyConf, text.KindIfcfg, text.KindIfcfgKeys:
		default:
			return false
		}
	}
	return len(r.Sources) > 0
}

// Unread returns the lines of the texts that could not be read, each as
// file:line: why, and whether anything is left out because of one.
func (s *States) Unread() (lines []string, incomplete bool) {
	if s.Text == nil {
		return nil, false
	}
	for _, e := range s.Text.Errors.List {
		lines = append(lines, e.Error())
		incomplete = incomplete || e.Incomplete
	}
	if n := s.Text.Errors.More; n > 0 {
		lines, incomplete = append(lines, fmt.Sprintf("and %d lines more", n)), true
	}
	return lines, incomplete
}

// Distinguish gives the hosts of two ends the names of their files where their
// own are the same.
func Distinguish(local, peer *States) {
	for _, a := range local.Snapshots {
		for _, b := range peer.Snapshots {
			if a.Origin == b.Origin {
				a.Origin = analyze.Origin{Host: local.Paths[0]}
				b.Origin = analyze.Origin{Host: peer.Paths[0]}
			}
		}
	}
}
