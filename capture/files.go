package capture

import (
	"context"
	"errors"
	"io"
	"iter"
	"path/filepath"
	"sync"
	"time"

	"ipsecdiag/analyze"
)

// FileOptions are what Files needs besides paths. All of it may be left out.
type FileOptions struct {
	// Stdin is read for the path "-"; os.Stdin if nil.
	Stdin io.Reader
	// Warn is called with warnings of one line: a file cut short, records that
	// this program does not know. It and Progress are called by other
	// goroutines, one at a time, and not any more when the range loop has ended,
	// unless the context ended it.
	Warn func(string)
	// Progress is called at most ten times a second with the bytes that were
	// read, as they lie in the files; total is 0 where it is not known.
	Progress func(done, total int64)
	// Opened is called once all files are open and before anything is read of
	// them. Its error ends the stream.
	Opened func() error
	// Flows is how many flows of ESP and AH are counted apart at a time, of all files
	// together; 65,536 of each file if zero. Beyond that the one that was silent for
	// the longest is told of at once, and begins anew when it goes on.
	Flows int
}

// Files reads capture files and recordings, merges them by time, and yields
// one sequenced stream. Where there are several, their clocks are compared by the
// packets that more than one of them saw, and all times are the first one's; an
// Alignment comes first and tells of it. For that they are read twice. All files are opened before the first event. An error
// is the last thing it yields: a FileError, which wraps ErrDirectory, ErrEmpty,
// ErrNotCapture, ErrNewer, a LinkTypeError or the system's reason, or the
// context's error.
//
// Frames of a foreign capture that nobody asks for are dropped, and ESP and AH
// come as flows; see foreign. A recording gives what was recorded.
func Files(ctx context.Context, paths []string, opt FileOptions) iter.Seq2[analyze.Event, error] {
	return func(yield func(analyze.Event, error) bool) {
		files, err := openAll(paths, opt)
		if err != nil {
			yield(nil, err)
			return
		}
		defer files.close()
		alignment, err := files.align(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		s := stamper{yield: yield}
		end := int64(0)
		for it, err := range files.merged(ctx) {
			switch {
			case err != nil:
				yield(nil, err)
				return
			case it.event == nil:
				end = max(end, it.at)
			case alignment != nil && !s.first(alignment, it):
				return
			case !s.event(it.event, it.at):
				return
			}
		}
		s.end(end)
		s.atLeastOnce()
	}
}

// fileSet is the files of one run.
type fileSet []*fileSource

func openAll(paths []string, opt FileOptions) (files fileSet, err error) {
	if err := checkPaths(paths); err != nil {
		return nil, err
	}
	meter := &progress{report: opt.Progress}
	warn := func(text string) {
		if opt.Warn != nil {
			meter.mu.Lock()
			defer meter.mu.Unlock()
			opt.Warn(text)
		}
	}
	hosts := hostNames(paths)
	for i, path := range paths {
		o, err := open(path, opt.Stdin)
		if err != nil {
			files.close()
			return nil, err
		}
		files = append(files, &fileSource{opened: o, host: hosts[i], warn: warn, count: meter.add, among: len(paths) > 1, flows: opt.flows(len(paths))})
	}
	if err := files.recognize(opt.Opened); err != nil {
		files.close()
		return nil, err
	}
	total := files.size()
	if len(files) > 1 {
		total *= 2 // they are read for their clocks first
	}
	meter.expect(total)
	return files, nil
}

// flows is how many flows of one file are counted apart.
func (o *FileOptions) flows(files int) int {
	if o.Flows == 0 {
		return 0
	}
	return max(o.Flows/files, 1)
}

// recognize calls opened, and finds out what the files are.
func (files fileSet) recognize(opened func() error) error {
	if opened != nil {
		if err := opened(); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := f.recognize(f.count); err != nil {
			return err
		}
	}
	return nil
}

// hostNames gives each foreign capture a host's name: its base name, or where
// two files share that, the path.
func hostNames(paths []string) []string {
	count := map[string]int{}
	for _, p := range paths {
		count[filepath.Base(p)]++
	}
	names := make([]string, len(paths))
	for i, p := range paths {
		switch base := filepath.Base(p); {
		case p == stdinPath:
			names[i] = "stdin"
		case count[base] > 1:
			names[i] = p
		default:
			names[i] = base
		}
	}
	return names
}

// size returns the files' size together, 0 where one is not known.
func (files fileSet) size() (total int64) {
	for _, f := range files {
		if f.size == 0 {
			return 0
		}
		total += f.size
	}
	return total
}

func (files fileSet) close() {
	for _, f := range files {
		f.close()
	}
}

// merged yields the files' items in the order of time, those of equal times in
// the order of the files. Each file's own order is kept.
func (files fileSet) merged(ctx context.Context) iter.Seq2[item, error] {
	if len(files) == 1 {
		return files[0].ahead(ctx)
	}
	return func(yield func(item, error) bool) {
		m := merge{ctx: ctx}
		defer m.stop()
		for _, f := range files {
			if err := m.begin(f); err != nil {
				yield(item{}, err)
				return
			}
		}
		for it, err := range m.ordered() {
			if !yield(it, err) || err != nil {
				return
			}
		}
	}
}

// checkPaths refuses no path at all, and standard input twice.
func checkPaths(paths []string) error {
	stdins := 0
	for _, p := range paths {
		if p == stdinPath {
			stdins++
		}
	}
	switch {
	case len(paths) == 0:
		return errors.New("no capture file was given")
	case stdins > 1:
		return &FileError{Path: stdinPath, Err: errors.New("can be read only once")}
	}
	return nil
}

// progress reports how much was read.
type progress struct {
	report      func(done, total int64)
	done, total int64
	next        time.Time
	mu          sync.Mutex // files are read side by side
}

// progressInterval is how often progress is reported at most.
const progressInterval = 100 * time.Millisecond

// expect says how much there is to be read.
func (p *progress) expect(total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = total
}

func (p *progress) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += int64(n)
	if p.report == nil {
		return
	}
	if now := time.Now(); !now.Before(p.next) {
		p.next = now.Add(progressInterval)
		p.report(p.done, p.total)
	}
}
