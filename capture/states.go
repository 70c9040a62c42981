package capture

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd/text"
)

// StateOptions are what ReadStates needs besides paths. All of it may be left
// out.
type StateOptions struct {
	// Stdin is read for the path "-"; os.Stdin if nil.
	Stdin io.Reader
	// Warn is called with warnings of one line.
	Warn func(string)
	// Location is the time zone of clock readings in texts. Nil means that of
	// this host.
	Location *time.Location
}

// States are the kernel states that files hold.
type States struct {
	// Paths are the files, as they were given.
	Paths []string
	// Snapshots are one for each host. All texts together are one host.
	Snapshots []*analyze.Snapshot
	// Text is what the texts say, nil where no file is a text. It holds keys,
	// for comparisons alone.
	Text *text.Result
	// Texts are the files of Text.
	Texts []TextFile
}

// TextFile is a text that was read.
type TextFile struct {
	Name string      // as it was given, "stdin" for standard input
	Mode fs.FileMode // 0 where it is no regular file
	UID  int         // of its owner, -1 where that is not known
}

// ErrNoState is returned for a capture in which no kernel was seen.
var ErrNoState = errors.New("holds no policies and SAs: it was not recorded by ipsecdiag watch with CAP_NET_ADMIN")

// ErrNotState is returned for a text in which no line is known.
var ErrNotState = errors.New("is neither a snapshot nor a recording, nor the output of ip xfrm or setkey, nor a setkey.conf, nor an ifcfg file")

// StateFiles are files that are open, and of which nothing was read yet.
type StateFiles struct {
	paths []string
	files []*opened
}

// OpenStates opens files for Read. Its errors are FileErrors.
func OpenStates(paths []string, stdin io.Reader) (*StateFiles, error) {
	if err := checkPaths(paths); err != nil {
		return nil, err
	}
	s := &StateFiles{paths: paths}
	for _, path := range paths {
		o, err := open(path, stdin)
		if err != nil {
			s.close()
			return nil, err
		}
		s.files = append(s.files, o)
	}
	return s, nil
}

func (s *StateFiles) close() {
	for _, o := range s.files {
		o.close()
	}
}

// ReadStates is OpenStates and Read.
func ReadStates(ctx context.Context, paths []string, o StateOptions) (*States, error) {
	files, err := OpenStates(paths, o.Stdin)
	if err != nil {
		return nil, err
	}
	return files.Read(ctx, o)
}

// Read reads what files tell of kernels: snapshots (ipsecdiag snapshot),
// recordings (watch -w: the state at their end), and texts (ip xfrm, setkey,
// ifcfg-ipsecN; see package text), each plain or compressed. Errors are
// FileErrors; lines of texts that cannot be read are in Text.Errors. The files
// are closed then.
func (s *StateFiles) Read(ctx context.Context, o StateOptions) (*States, error) {
	defer s.close()
	if o.Location == nil {
		o.Location = time.Local
	}
	r := stateReader{StateOptions: o, States: States{Paths: s.paths}, names: hostNames(s.paths)}
	for i, f := range s.files {
		if err := r.read(ctx, i, f); err != nil {
			return nil, fileError(f.path, err)
		}
	}
	r.parse()
	return &r.States, nil
}

// stateReader reads files into States.
type stateReader struct {
	StateOptions
	States
	names []string // of hosts, for each path
	files []text.File
	hosts []string  // names of those that are texts
	time  time.Time // of the youngest text
}

// read reads one file, whatever it is.
func (r *stateReader) read(ctx context.Context, i int, o *opened) error {
	plain, err := o.decompress(&countingReader{r: o.raw, count: func(int) {}})
	if err != nil {
		return err
	}
	b := bufio.NewReaderSize(plain, 64<<10)
	head, err := b.Peek(4096)
	if err != nil && err != io.EOF {
		return err
	}
	switch {
	case isCapture(head):
		return r.recording(ctx, b)
	case bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{")):
		s, err := readSnapshot(b)
		if err == nil {
			r.Snapshots = append(r.Snapshots, s)
		}
		return err
	}
	return r.text(i, o, b)
}

// isCapture reports whether a file begins as pcap or pcapng does.
func isCapture(head []byte) bool {
	_, err := newRecordReader(&input{buf: head, end: len(head), err: io.EOF})
	return len(head) > 0 && !errors.Is(err, ErrNotCapture)
}

// recording folds the kernel's events of a recording.
func (r *stateReader) recording(ctx context.Context, b io.Reader) error {
	state := analyze.NewState(analyze.Limits{})
	var end analyze.Header
	for e, err := range Files(ctx, []string{stdinPath}, FileOptions{Stdin: b, Warn: r.Warn}) {
		if fe, ok := errors.AsType[*FileError](err); ok {
			return fe.Err
		}
		if err != nil {
			return err
		}
		end = *e.Head()
		switch e.(type) {
		case *analyze.Snapshot, *analyze.PolicyChange, *analyze.SAChange, *analyze.Expire,
			*analyze.NeighborChange, *analyze.Counters, *analyze.Daemon:
			state.Apply(e)
		}
	}
	found := false
	for _, h := range state.Hosts {
		if h.Generation == 0 {
			continue
		}
		found = true
		r.Snapshots = append(r.Snapshots, &analyze.Snapshot{
			Header: analyze.Header{Time: end.Time, Origin: h.Origin}, KernelState: h.Kernel(),
		})
	}
	if !found {
		return ErrNoState
	}
	return nil
}

// maxText bounds one text, bytes. Package text has bounds of its own.
const maxText = 64 << 20

// text keeps a text until all are read: several tell of one host.
func (r *stateReader) text(i int, o *opened, b io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(b, maxText+1))
	switch {
	case err != nil:
		return err
	case len(data) > maxText:
		return fmt.Errorf("is longer than %d MiB", maxText>>20)
	}
	if text.Detect(data) == text.KindUnknown {
		return ErrNotState
	}
	f := TextFile{Name: o.path, UID: -1}
	if o.path == stdinPath {
		f.Name = "stdin"
	}
	made := time.Now()
	if o.info != nil && o.info.Mode().IsRegular() {
		f.Mode, f.UID, made = o.info.Mode(), owner(o.info), o.info.ModTime()
	}
	if made.After(r.time) {
		r.time = made
	}
	r.Texts = append(r.Texts, f)
	r.files = append(r.files, text.File{Name: f.Name, Data: data})
	r.hosts = append(r.hosts, r.names[i])
	return nil
}

// parse makes one host's state of all texts.
func (r *stateReader) parse() {
	if len(r.files) == 0 {
		return
	}
	result := text.Parse(text.Options{Location: r.Location}, r.files...)
	r.Text = &result
	s := &analyze.Snapshot{KernelState: textState(&result)}
	s.Origin.Host = commonName(r.hosts)
	s.Time = lastNamed(&s.KernelState)
	if s.Time.IsZero() {
		s.Time = r.time.UTC()
	}
	r.Snapshots = append(r.Snapshots, s)
	r.inspect()
}
