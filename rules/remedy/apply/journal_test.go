//go:build unix

package apply

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ipsecdiag/rules/remedy"
)

func TestTheJournalIsItsOwnersAlone(t *testing.T) {
	k, j := newFake(), testJournal(t)
	if entries, err := j.List(); err != nil || entries != nil {
		t.Errorf("without a directory: %v, %v", entries, err)
	}
	mustApply(t, j, k)
	for name, want := range map[string]fs.FileMode{
		j.dir: 0o700 | fs.ModeDir, j.file(1): 0o600, j.KeyFile(1): 0o400,
	} {
		info, err := os.Stat(name)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	if err := os.Chmod(j.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := j.List(); err == nil || !strings.Contains(err.Error(), "is open to others (mode 0755)") {
		t.Errorf("error %v", err)
	}
	if _, err := j.Apply(t.Context(), k, k.testPlan(), Options{}); err == nil {
		t.Error("applied with a journal that is open to others")
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	k, j := newFake(), testJournal(t)
	mustApply(t, j, k)
	away := filepath.Join(fastDir(t), "away") // on the same file system
	if err := errors.Join(os.Rename(j.file(1), away), os.Symlink(away, j.file(1))); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Get(1); err == nil || !strings.Contains(err.Error(), "is not a plain file") {
		t.Errorf("read through a link: %v", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(j.dir, link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{link, link + "/"} {
		if _, err := OpenJournal(dir, "boot-1").List(); err == nil {
			t.Errorf("%s: a link was taken for the directory", dir)
		}
	}
	if err := errors.Join(os.Remove(j.file(1)), os.Link(away, j.file(1))); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Get(1); err == nil {
		t.Error("a file with a second name was read")
	}
}

// TestALineCutShort: what was not written whole was not acted upon.
func TestALineCutShort(t *testing.T) {
	k, j := newFake(), testJournal(t)
	before := k.picture()
	mustApply(t, j, k)
	whole, err := os.ReadFile(j.file(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(j.file(1), append(whole, `{"record":"undone","time":"2026`...), 0o600); err != nil {
		t.Fatal(err)
	}
	if e, err := j.Get(1); err != nil || e.Status != Applied {
		t.Errorf("entry %+v, %v", e, err)
	}
	if _, err := j.Undo(t.Context(), k, 1); err != nil {
		t.Error(err)
	}
	k.mustLookLike(t, before)
	if e, err := j.Get(1); err != nil || e.Status != Undone {
		t.Errorf("entry %+v, %v", e, err)
	}
}

// TestAFileHasItsNameOnlyWithItsPlan: a process that died before its plan was on
// the disk has begun nothing, and keeps nobody from anything.
func TestAFileHasItsNameOnlyWithItsPlan(t *testing.T) {
	k, j := newFake(), testJournal(t)
	before := k.picture()
	mustApply(t, j, k)
	names, err := filepath.Glob(filepath.Join(j.dir, ".*"))
	if err != nil || len(names) > 0 {
		t.Errorf("left behind: %q, %v", names, err)
	}
	for _, name := range []string{".2.journal-123", ".1.keys-123"} { // as of a process that was killed
		if err := os.WriteFile(filepath.Join(j.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := j.List(); err != nil || len(entries) != 1 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	if _, err := j.Undo(t.Context(), k, 1); err != nil {
		t.Error(err)
	}
	k.mustLookLike(t, before)
	if _, err := os.Stat(filepath.Join(j.dir, ".1.keys-123")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a key file stays: %v", err)
	}
	if e := mustApply(t, j, k); e.ID != 2 {
		t.Errorf("number %d", e.ID)
	}
}

func TestAnUnreadableFileHidesNoOther(t *testing.T) {
	k, j := newFake(), testJournal(t)
	mustApply(t, j, k)
	for name, content := range map[string]string{
		"2": "", "3": "{}\n", "4": "not JSON\n", "5": `{"record":"plan","header":{"version":99,"id":5}}` + "\n",
	} {
		if err := os.WriteFile(filepath.Join(j.dir, name+suffix), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := j.List()
	if len(entries) != 1 || err == nil || strings.Count(err.Error(), "read journal") != 4 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	if _, err := j.Get(6); !errors.Is(err, ErrNone) {
		t.Errorf("error %v", err)
	}
}

func TestOnlyOneIsAtWork(t *testing.T) {
	k, j := newFake(), testJournal(t)
	unlock, err := j.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.reopen().Apply(ctx, k, k.testPlan(), Options{}); err == nil || !strings.Contains(err.Error(), "another ipsecdiag fix is at work") {
		t.Errorf("error %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := j.reopen().Apply(context.Background(), k, k.testPlan(), Options{Keys: testKeys()})
		done <- err
	}()
	unlock()
	if err := <-done; err != nil {
		t.Errorf("after the other one: %v", err)
	}
}

func TestOldOnesAreForgotten(t *testing.T) {
	k, j := newFake(), testJournal(t)
	j.now = func() time.Time { return time.Unix(0, 0) }
	sysctl := remedy.Plan{Steps: []remedy.Step{
		{Op: remedy.SetSysctl, Sysctl: &remedy.Sysctl{Name: "net.core.xfrm_larval_drop", Value: "0", Former: "1"}}}}
	for range keepEnded + 3 { // each is some writes through to the disk
		e, err := j.Apply(t.Context(), k, sysctl, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Undo(t.Context(), k, e.ID); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := j.List()
	if err != nil || len(entries) != keepEnded+1 || entries[len(entries)-1].ID != keepEnded+3 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "keys")
	if err := WriteKeys(name, testKeys(), false); err != nil {
		t.Fatal(err)
	}
	keys, err := ReadKeys(name)
	if err != nil || len(keys) != 2 || !keys["enc"].Equal(testKeys()["enc"]) || !keys["auth"].Equal(testKeys()["auth"]) {
		t.Errorf("read %v, %v", keys, err)
	}
	if err := WriteKeys(name, testKeys(), false); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "--force") {
		t.Errorf("overwritten: %v", err)
	}
	target := filepath.Join(dir, "target")
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(target, []byte("precious"), 0o600), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(link, []byte("x"), 0o400, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("written through a link: %v", err)
	}
	if err := WriteFile(link, []byte("x"), 0o400, true); err != nil {
		t.Error(err)
	}
	if b, _ := os.ReadFile(target); string(b) != "precious" {
		t.Errorf("what the link leads to is %q now", b)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode() != 0o400 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestBadKeyFiles(t *testing.T) {
	dir := t.TempDir()
	for i, c := range []struct {
		content string
		mode    fs.FileMode
		says    string
	}{
		{"enc 0x00\n", 0o644, "is not a plain file that belongs to this user alone"},
		{"enc 0x0011\nenc 0x22\n", 0o600, "line 2: a second key of that name"},
		{"enc 0xsecret\n", 0o400, "line 1: not a key in hexadecimal"},
		{"# c\n\nenc 00112233\n", 0o400, "line 3: not a key in hexadecimal"},
		{"enc 0x\n", 0o400, "line 1: not a key in hexadecimal"},
		{"", 0o400, "holds no key"},
		{"# enc 0x00\n", 0o400, "holds no key"},
		{"enc\n", 0o400, "line 1: want a name and a key"},
	} {
		name := filepath.Join(dir, string(rune('a'+i)))
		if err := os.WriteFile(name, []byte(c.content), c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := ReadKeys(name)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "0011") {
			t.Errorf("%q: error %v", c.content, err)
		}
	}
	if _, err := ReadKeys(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}
