package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ipsecdiag/analyze/lazy"
)

// ring says how a long recording is split: into files of a size, a length of
// time or both, of which the latest so many are kept. Its zero value is one
// file without end.
type ring struct {
	keep  int
	bytes int64         // of one file, 0: no bound
	every time.Duration // that one file covers, 0: no bound
}

// Set reads "10x100MB", "24x1h" or "24x1h,100MB".
func (r *ring) Set(text string) error {
	count, limits, ok := strings.Cut(text, "x")
	keep, err := strconv.Atoi(count)
	if !ok || err != nil || keep < 2 || keep > 100_000 {
		return errors.New("10x100MB keeps ten files of 100 MB, 24x1h those of a day; at least 2 files")
	}
	to := ring{keep: keep}
	for _, limit := range strings.Split(limits, ",") {
		if err := to.limit(limit); err != nil {
			return err
		}
	}
	*r = to
	return nil
}

// limit reads a size or a time.
func (r *ring) limit(text string) error {
	if d, err := time.ParseDuration(text); err == nil {
		if d < time.Second {
			return fmt.Errorf("%s: at least 1s for a file", text)
		}
		r.every = d
		return nil
	}
	size, ok := parseSize(text)
	if !ok || size < 1<<16 {
		return fmt.Errorf("%q is neither a time (1h) nor a size of at least 64KiB (100MB, 1GiB)", text)
	}
	r.bytes = size
	return nil
}

var sizePattern = lazy.Regexp(`^(\d{1,15})(?:([kMGT])(i?))?B?$`)

// parseSize reads 100MB, 100M, 64KiB and their like.
func parseSize(text string) (int64, bool) {
	m := sizePattern().FindStringSubmatch(strings.Replace(text, "K", "k", 1))
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	unit := int64(1000)
	if m[3] == "i" {
		unit = 1024
	}
	power := 0
	if m[2] != "" {
		power = strings.Index("kMGT", m[2]) + 1
	}
	for range power {
		if n > math.MaxInt64/unit {
			return 0, false
		}
		n *= unit
	}
	return n, err == nil
}

// String satisfies pflag.Value.
func (r *ring) String() string {
	if r.keep == 0 {
		return ""
	}
	var limits []string
	if r.every > 0 {
		limits = append(limits, r.every.String())
	}
	if r.bytes > 0 {
		limits = append(limits, strconv.FormatInt(r.bytes, 10)+"B")
	}
	return fmt.Sprintf("%dx%s", r.keep, strings.Join(limits, ","))
}

// Type satisfies pflag.Value.
func (r *ring) Type() string { return "NxSIZE" }

// on reports whether the recording is split.
func (r *ring) on() bool { return r.keep > 0 }

// full reports whether a file that holds so much, begun so long ago, is to be
// followed by the next.
func (r *ring) full(bytes int64, age time.Duration) bool {
	return r.on() && (r.bytes > 0 && bytes >= r.bytes || r.every > 0 && age >= r.every)
}

// ringTime is how a file's name tells when it was begun.
const ringTime = "20060102T150405.000Z"

// name returns the name of the file that begins at a time: lo.pcapng becomes
// lo-20060102T150405.000Z.pcapng.
func (r *ring) name(path string, at time.Time) string {
	if !r.on() {
		return path
	}
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "-" + at.UTC().Format(ringTime) + ext
}

// pattern is what matches all files in a shell.
func (r *ring) pattern(path string) string {
	if !r.on() {
		return path
	}
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "-*" + ext
}

// trim removes the oldest files of the ring, those of earlier runs included, so
// that with the one to come as many are there as are to be kept. made are those of
// this run, the oldest first: where the clock was set back, their names do not tell.
func (r *ring) trim(path string, made []string) error {
	if !r.on() {
		return nil
	}
	names, err := r.files(path)
	if err != nil {
		return err
	}
	earlier := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(made, n) })
	made = slices.DeleteFunc(slices.Clone(made), func(n string) bool { return !slices.Contains(names, n) })
	names = append(earlier, made...)
	var errs []error
	for len(names) >= r.keep {
		errs = append(errs, os.Remove(names[0]))
		names = names[1:]
	}
	return errors.Join(errs...)
}

// files returns the ring's files in the order of their names.
func (r *ring) files(path string) ([]string, error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("look for the ring's files: %w", err)
	}
	ext := filepath.Ext(base)
	var names []string
	for _, e := range entries {
		at, ok := strings.CutPrefix(e.Name(), strings.TrimSuffix(base, ext)+"-")
		if !ok || !e.Type().IsRegular() {
			continue
		}
		if _, err := time.Parse(ringTime, strings.TrimSuffix(at, ext)); err == nil && strings.HasSuffix(at, ext) {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(names)
	return names, nil
}
