package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"ipsecdiag/analyze"
	"ipsecdiag/capture"
	"ipsecdiag/capture/confine"
	"ipsecdiag/capture/daemon"
	"ipsecdiag/capture/keeper"
	"ipsecdiag/capture/kernel"
	"ipsecdiag/capture/netns"
)

// keepConfig is what the keeper of a watch is told.
type keepConfig struct {
	Netns   string             `json:"netns"`
	Host    string             `json:"host"`
	Acquire kernel.AcquireMode `json:"acquire"`
	Vici    string             `json:"vici"`
	Whack   string             `json:"whack"`
	// Ring is where the files of a ring go, so many of them; empty: there is none.
	Ring string `json:"ring"`
	Keep int    `json:"keep"`
	// Records says that recordings may be begun in the present directory.
	Records bool `json:"records"`
}

// startKeeper starts the process that keeps CAP_NET_ADMIN, beside this one.
func (w *watcher) startKeeper() error {
	program, err := os.Executable()
	if err != nil {
		program = "/proc/self/exe"
	}
	c := keepConfig{Netns: w.netns, Host: w.host, Acquire: w.acquire, Vici: w.vici, Whack: w.whack, Records: w.fullScreen(w.io)}
	if w.ring.on() {
		c.Ring, c.Keep = w.record, w.ring.keep
	}
	config, err := json.Marshal(c)
	if err != nil {
		return err
	}
	cmd := exec.Command(program, "keep")
	// It waits for the kernel nearly always: more processors are more threads to wake.
	cmd.Env = append(os.Environ(), netns.Variable+"="+w.netns, "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	err = netns.Do(w.netns, func() error { // it is born in the namespace
		w.keeper, err = keeper.Start(cmd, config)
		return err
	})
	if err != nil {
		return err
	}
	if w.ring.on() {
		w.recording.create = w.keeper.NextFile
	}
	w.io.verbosely("the kernel is read by " + w.keeper.State)
	return nil
}

// newKeep returns the command that a watch executes as its keeper.
func newKeep() *cobra.Command {
	return &cobra.Command{
		Use: "keep", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			link, config, err := keeper.Connect()
			if err != nil {
				return err
			}
			s, err := prepareKeeper(config)
			if err != nil {
				link.Fail(err)
				return nil
			}
			return link.Serve(s)
		},
	}
}

// keeperGCPercent keeps the heap of the keeper small: it holds little, and for a
// short time.
const keeperGCPercent = 25

// prepareKeeper does what needs more than CAP_NET_ADMIN, and gives the rest up.
func prepareKeeper(config []byte) (s keeper.Service, err error) {
	debug.SetGCPercent(keeperGCPercent)
	var c keepConfig
	if err := json.Unmarshal(config, &c); err != nil {
		return s, err
	}
	if err := netns.Enter(c.Netns); err != nil {
		return s, err
	}
	o := kernel.Options{Netns: c.Netns, Host: c.Host, Acquire: c.Acquire}
	o.Owners = kernel.FindOwners(o)
	reach := daemon.Direct(daemon.Options{Netns: c.Netns, Host: c.Host, Vici: c.Vici, Whack: c.Whack})
	files := c.prepareFiles()
	state, err := confine.Process(confine.Options{
		Keep: []confine.Capability{confine.NetAdmin}, Calls: confine.Reserved, WriteBelow: files.below,
	})
	if err != nil {
		return s, err
	}
	kept()
	debug.FreeOSMemory() // it will never need as much again
	return keeper.Service{
		State: state.String(),
		Reach: reach,
		Events: func(ctx context.Context, warn func(string)) iter.Seq2[analyze.Event, error] {
			o.Warn = warn
			return kernel.Watch(ctx, o)
		},
		Tracked:  func() (*os.File, error) { return kernel.OpenTracked(c.Netns) },
		NextFile: files.next, NewFile: files.new,
	}, nil
}

// keptFiles makes the files of recordings, one at a time, whoever asks for more.
type keptFiles struct {
	mu    sync.Mutex
	begun int // recordings without a ring

	ring  ringFiles
	host  string
	below []string // directories of such files
	// Who may make files there, and why nobody may.
	inRing, here       confine.Files
	ringError, noError error
}

func (c *keepConfig) prepareFiles() *keptFiles {
	f := &keptFiles{ring: ringFiles{path: c.Ring, ring: ring{keep: c.Keep}}, host: c.Host, ringError: errNoFile, noError: errNoFile}
	if c.Ring != "" {
		dir := filepath.Dir(c.Ring)
		f.inRing, f.ringError = confine.FilesIn(dir)
		f.below = append(f.below, dir)
	}
	if c.Records {
		f.here, f.noError = confine.FilesIn(".")
		f.below = append(f.below, ".")
	}
	return f
}

var errNoFile = fmt.Errorf("no recording was asked for when watch began")

// next makes the ring's next file.
func (f *keptFiles) next() (name string, file *os.File, err error) {
	if f.ringError != nil {
		return "", nil, f.ringError
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	err = f.inRing.Do(func() error {
		name, file, err = f.ring.next()
		return err
	})
	return name, file, err
}

// maxBegun bounds the recordings that a watch begins besides that of -w: the other
// process, if somebody takes it, is not to fill the directory with files.
const maxBegun = 100

// new makes a file of a name that none has.
func (f *keptFiles) new() (name string, file *os.File, err error) {
	if f.noError != nil {
		return "", nil, f.noError
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.begun >= maxBegun {
		return "", nil, fmt.Errorf("this watch has begun %d recordings, which is all that it may", maxBegun)
	}
	f.begun++
	err = f.here.Do(func() error {
		if name, err = newRecordingName(f.host, time.Now()); err != nil {
			return err
		}
		file, err = capture.CreateRecording(name)
		return err
	})
	return name, file, err
}
