package apply

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
)

// testJournal is a journal of its own for one test.
func testJournal(t *testing.T) *Journal {
	t.Helper()
	return OpenJournal(filepath.Join(fastDir(t), "journal"), "boot-1")
}

// fastDir is a directory in memory where there is one: each record is written
// through to the disk.
func fastDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ipsecdiag-fix-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// reopen is the journal as another process finds it.
func (j *Journal) reopen() *Journal { return OpenJournal(j.dir, j.boot) }

func mustApply(t *testing.T, j *Journal, k *fakeKernel) *Entry {
	t.Helper()
	e, err := j.Apply(t.Context(), k, k.testPlan(), Options{Keys: testKeys()})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestUndoRestoresWhatWasThere(t *testing.T) {
	k, j := newFake(), testJournal(t)
	before := k.picture()
	e := mustApply(t, j, k)
	if e.ID != 1 || e.Status != Applied || len(k.db.SAs) != 1 || k.sysctls["net.core.xfrm_larval_drop"] != "0" || len(k.db.Policies) != 7 {
		t.Errorf("entry %+v", e)
	}
	if got := k.keys[k.db.SAs[0].Key()]; string(got[0]) != testEncKey || string(got[1]) != testAuthKey {
		t.Error("the kernel has not got the keys")
	}
	r, err := j.reopen().Undo(t.Context(), k, 1)
	if err != nil || r.Left != nil || r.Gone != nil {
		t.Errorf("report %+v, %v", r, err)
	}
	k.mustLookLike(t, before)
	if e, err := j.reopen().Get(1); err != nil || e.Status != Undone || e.Ended.IsZero() {
		t.Errorf("entry %+v, %v", e, err)
	}
	if _, err := os.Stat(j.KeyFile(1)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("key file after the undoing: %v", err)
	}
	if _, err := j.Undo(t.Context(), k, 1); !errors.Is(err, ErrUndone) {
		t.Errorf("undone twice: %v", err)
	}
}

// TestUndoKeepsWhatCameSinceTheYoungest: what others add between applying and
// undoing stays where it is in the order of age.
func TestUndoKeepsWhatCameSinceTheYoungest(t *testing.T) {
	k, j := newFake(), testJournal(t)
	before := k.picture()
	mustApply(t, j, k)
	for i := range 3 {
		k.put(testPolicy(spd.Fwd, 7, uint32(i)))
	}
	want := before
	for _, p := range k.db.Policies[len(k.db.Policies)-3:] {
		p.AddTime = 0
		want.policies = append(want.policies, p)
	}
	if _, err := j.Undo(t.Context(), k, 1); err != nil {
		t.Fatal(err)
	}
	k.mustLookLike(t, want)
}

func TestAFailedStepTakesBackThoseBeforeIt(t *testing.T) {
	steps := len(newFake().testPlan().Steps)
	for n := 1; n <= steps; n++ {
		for _, refusal := range []error{syscall.EPERM, errInjected} { // the kernel has refused; nobody knows
			k, j := newFake(), testJournal(t)
			before := k.picture()
			k.hook = func(change int, after bool) error {
				if change == n && after == (refusal == errInjected) {
					return refusal
				}
				return nil
			}
			e, err := j.Apply(t.Context(), k, k.testPlan(), Options{Keys: testKeys()})
			if !errors.Is(err, ErrRolledBack) || !errors.Is(err, refusal) || !strings.Contains(err.Error(), fmt.Sprintf("step %d of %d: ", n, steps)) {
				t.Errorf("step %d: error %v", n, err)
			}
			if e.Status != Undone {
				t.Errorf("step %d: status %s", n, e.Status)
			}
			k.mustLookLike(t, before)
			if left, _ := filepath.Glob(filepath.Join(j.dir, "*.keys")); left != nil {
				t.Errorf("step %d: left behind: %v", n, left)
			}
		}
	}
}

// TestARefusedStepIsNotTakenForOurs: an object of somebody else that stood in
// the way at the last moment stays, however like ours it looks.
func TestARefusedStepIsNotTakenForOurs(t *testing.T) {
	k, j := newFake(), testJournal(t)
	plan := k.testPlan()
	k.hook = func(change int, after bool) error {
		if change == 2 && !after {
			k.put(*plan.Steps[1].Policy)
		}
		return nil
	}
	_, err := j.Apply(t.Context(), k, plan, Options{Keys: testKeys()})
	if !errors.Is(err, syscall.EEXIST) || !errors.Is(err, ErrRolledBack) {
		t.Errorf("error %v", err)
	}
	if k.db.HasPolicy(plan.Steps[1].Policy) || len(k.db.Policies) != 7 || len(k.db.SAs) != 0 {
		t.Errorf("policies %v", k.db.Policies)
	}
}

func TestInterruptedBetweenSteps(t *testing.T) {
	k, j := newFake(), testJournal(t)
	before := k.picture()
	ctx, cancel := context.WithCancel(t.Context())
	k.hook = func(change int, after bool) error {
		if change == 3 && after {
			cancel()
		}
		return nil
	}
	_, err := j.Apply(ctx, k, k.testPlan(), Options{Keys: testKeys()})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrRolledBack) || !strings.Contains(err.Error(), "before step 4 of 6") {
		t.Errorf("error %v", err)
	}
	k.mustLookLike(t, before)
}

// killed is what a test panics with where a process would end.
type killed struct{}

// untilKilled runs f, and reports whether it was killed.
func untilKilled(f func()) (dead bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(killed); !ok {
				panic(r)
			}
			dead = true
		}
	}()
	f()
	return false
}

// TestUndoAfterDeathAtEveryBoundary ends the process before and after every
// change that applying makes, and then, in the one that takes it back, before
// and after every change too. A third one finishes.
func TestUndoAfterDeathAtEveryBoundary(t *testing.T) {
	dieAt := func(k *fakeKernel, n int) {
		k.changes = 0
		k.hook = func(change int, after bool) error {
			if 2*change-1 == n && !after || 2*change == n && after {
				panic(killed{})
			}
			return nil
		}
	}
	for apply := 1; ; apply++ {
		applyDied := false
		for undo := 0; ; undo++ {
			k, j := newFake(), testJournal(t)
			before := k.picture()
			dieAt(k, apply)
			applyDied = untilKilled(func() { mustApply(t, j, k) })
			undoDied := false
			if undo > 0 {
				dieAt(k, undo)
				undoDied = untilKilled(func() { j.reopen().Undo(context.Background(), k, 1) })
			}
			k.hook = nil
			if applyDied {
				if _, err := j.Apply(t.Context(), k, k.testPlan(), Options{Keys: testKeys()}); !errors.Is(err, ErrConflict) && undo > 0 == undoDied {
					t.Errorf("death at %d and %d: something else was begun: %v", apply, undo, err)
				}
			}
			if undo == 0 || undoDied {
				if r, err := j.reopen().Undo(t.Context(), k, 1); err != nil || r.Left != nil {
					t.Errorf("death at %d and %d: %+v, %v", apply, undo, r, err)
				}
				k.mustLookLike(t, before)
			}
			if undo > 0 && !undoDied {
				break
			}
		}
		if !applyDied {
			break
		}
	}
}

func TestWhatOthersHaveChangedIsLeftAloneAndNamed(t *testing.T) {
	k, j := newFake(), testJournal(t)
	e := mustApply(t, j, k)
	steps := e.Plan.Steps
	k.db.SAs[0].Used.AddTime += 5 // made anew, with the same SPI
	bypass := *steps[1].Policy
	bypass.Priority = 77
	k.put(bypass)
	other := *steps[2].Policy
	other.Priority = 88
	k.put(other)
	k.db.DeletePolicy(steps[3].Policy.Identity())
	k.neighbours[0].LinkAddr = "02:00:00:00:00:99"
	k.sysctls["net.core.xfrm_larval_drop"] = "7"
	want := k.picture()

	r, err := j.Undo(t.Context(), k, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []string{"0x00001000", "priority 77", "priority 88", "02:00:00:00:00:99", "larval_drop = 7"} {
		if !strings.Contains(strings.Join(r.Left, "\n"), w) {
			t.Errorf("%s is not named in %q", w, r.Left)
		}
	}
	if len(r.Left) != 5 || len(r.Gone) != 1 {
		t.Errorf("left %q, gone %q", r.Left, r.Gone)
	}
	if got := k.picture(); len(got.policies) != len(want.policies) || len(got.sas) != 1 || got.sysctls["net.core.xfrm_larval_drop"] != "7" {
		t.Errorf("got %+v", got)
	}
}

func TestConflictsAreFoundBeforeTheFirstStep(t *testing.T) {
	for name, spoil := range map[string]func(*fakeKernel, *remedy.Plan){
		"SPI taken":       func(k *fakeKernel, p *remedy.Plan) { k.db.PutSA(*p.Steps[0].SA) },
		"selector taken":  func(k *fakeKernel, p *remedy.Plan) { k.put(*p.Steps[1].Policy) },
		"policy changed":  func(k *fakeKernel, p *remedy.Plan) { o := *p.Steps[2].FormerPolicy; o.Priority = 3; k.put(o) },
		"policy deleted":  func(k *fakeKernel, p *remedy.Plan) { k.db.DeletePolicy(p.Steps[2].Policy.Identity()) },
		"entry set":       func(k *fakeKernel, p *remedy.Plan) { k.neighbours = append(k.neighbours, *p.Steps[4].Neighbour) },
		"setting changed": func(k *fakeKernel, p *remedy.Plan) { k.sysctls[p.Steps[5].Sysctl.Name] = "2" },
	} {
		k, j := newFake(), testJournal(t)
		plan := k.testPlan()
		spoil(k, &plan)
		if _, err := j.Apply(t.Context(), k, plan, Options{Keys: testKeys()}); !errors.Is(err, ErrConflict) {
			t.Errorf("%s: error %v", name, err)
		}
		if k.changes != 0 {
			t.Errorf("%s: %d changes", name, k.changes)
		}
		if files, _ := filepath.Glob(filepath.Join(j.dir, "[0-9]*")); files != nil {
			t.Errorf("%s: %v was written", name, files)
		}
	}
}

func TestRebootAndForeignNamespace(t *testing.T) {
	k, j := newFake(), testJournal(t)
	e := mustApply(t, j, k)
	elsewhere := newFake()
	elsewhere.namespace = "1"
	if _, err := j.Undo(t.Context(), elsewhere, e.ID); !errors.Is(err, ErrElsewhere) {
		t.Errorf("in another namespace: %v", err)
	}
	booted := newFake()
	booted.boot = "boot-2"
	again := OpenJournal(j.dir, "boot-2")
	if _, err := again.Undo(t.Context(), booted, e.ID); !errors.Is(err, ErrRebooted) {
		t.Errorf("after a reboot: %v", err)
	}
	if e, err := again.Get(e.ID); err != nil || e.Status != Gone || e.Stands() {
		t.Errorf("entry %+v, %v", e, err)
	}
	if booted.changes+elsewhere.changes != 0 {
		t.Error("something was changed")
	}
	if e, err := again.Apply(t.Context(), booted, booted.testPlan(), Options{Keys: testKeys()}); err != nil || e.ID != 2 {
		t.Errorf("applying after the reboot: %+v, %v", e, err)
	}
}

func TestUndoInTheWrongOrder(t *testing.T) {
	k, j := newFake(), testJournal(t)
	before := k.picture()
	mustApply(t, j, k)
	sysctl := remedy.Plan{Action: remedy.ActionLarvalDrop, Steps: []remedy.Step{
		{Op: remedy.SetSysctl, Sysctl: &remedy.Sysctl{Name: "net.core.xfrm_larval_drop", Value: "1", Former: "0"}}}}
	if _, err := j.Apply(t.Context(), k, sysctl, Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Undo(t.Context(), k, 1); err == nil || !strings.Contains(err.Error(), "ipsecdiag fix undo 2 first") {
		t.Errorf("error %v", err)
	}
	for id := 2; id > 0; id-- {
		if _, err := j.Undo(t.Context(), k, id); err != nil {
			t.Error(err)
		}
	}
	k.mustLookLike(t, before)
}

func TestStandingFindsWhatWasApplied(t *testing.T) {
	k, j := newFake(), testJournal(t)
	e := mustApply(t, j, k)
	got, lost, err := j.reopen().Standing(t.Context(), k, func(o *Entry) bool { return o.Applies(e.Plan.Action, e.Plan.Params) })
	if err != nil || got == nil || got.ID != e.ID || lost != nil {
		t.Errorf("got %+v, %q, %v", got, lost, err)
	}
	if got, _, _ := j.Standing(t.Context(), k, func(o *Entry) bool { return o.Applies(e.Plan.Action, map[string]string{"peer": "fd00::3"}) }); got != nil {
		t.Errorf("got %+v for other arguments", got)
	}
	k.db.FlushSAs(spd.ProtoAny)
	if _, lost, _ := j.Standing(t.Context(), k, func(o *Entry) bool { return o.Applies(e.Plan.Action, e.Plan.Params) }); len(lost) != 1 || !strings.Contains(lost[0], "SA fd00::1") {
		t.Errorf("lost %q", lost)
	}
}

func TestConfirmation(t *testing.T) {
	k, j := newFake(), testJournal(t)
	before := k.picture()
	armed := 0
	apply := func() int {
		t.Helper()
		e, err := j.Apply(t.Context(), k, k.testPlan(), Options{
			Keys: testKeys(), Deadline: time.Now().Add(time.Minute),
			Arm: func(e *Entry) error {
				armed = e.ID
				if k.picture().sysctls["net.core.xfrm_larval_drop"] != "1" || len(k.db.SAs) > 0 {
					t.Error("armed after the first step")
				}
				return nil
			},
		})
		if err != nil || armed != e.ID || !e.Pending() {
			t.Fatalf("entry %+v, %v", e, err)
		}
		return e.ID
	}
	confirmed := apply()
	if e, err := j.reopen().Confirm(t.Context(), confirmed); err != nil || !e.Confirmed {
		t.Errorf("confirm: %+v, %v", e, err)
	}
	if r, err := j.reopen().Expire(t.Context(), k, confirmed); err != nil || r.Entry != nil || len(k.db.SAs) != 1 {
		t.Errorf("a confirmed one expired: %+v, %v", r, err)
	}
	if _, err := j.Undo(t.Context(), k, confirmed); err != nil {
		t.Error(err)
	}
	late := apply()
	if r, err := j.reopen().Expire(t.Context(), k, late); err != nil || r.Entry == nil {
		t.Errorf("expire: %+v, %v", r, err)
	}
	k.mustLookLike(t, before)
	if _, err := j.Confirm(t.Context(), late); !errors.Is(err, ErrUndone) {
		t.Errorf("confirmed too late: %v", err)
	}
	if r, err := j.Expire(t.Context(), k, late); err != nil || r.Entry != nil {
		t.Errorf("expired twice: %+v, %v", r, err)
	}
}

// TestNothingIsBuiltUponWhatWaits: the timer could not take it back then, and
// nobody would be there to hear why.
func TestNothingIsBuiltUponWhatWaits(t *testing.T) {
	k, j := newFake(), testJournal(t)
	before := k.picture()
	arm := func(*Entry) error { return nil }
	e, err := j.Apply(t.Context(), k, k.testPlan(), Options{Keys: testKeys(), Deadline: time.Now().Add(time.Minute), Arm: arm})
	if err != nil {
		t.Fatal(err)
	}
	sysctl := remedy.Plan{Action: remedy.ActionLarvalDrop, Steps: []remedy.Step{
		{Op: remedy.SetSysctl, Sysctl: &remedy.Sysctl{Name: "net.core.xfrm_larval_drop", Value: "1", Former: "0"}}}}
	if _, err := j.Apply(t.Context(), k, sysctl, Options{}); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "waits for its confirmation") {
		t.Errorf("error %v", err)
	}
	if r, err := j.Expire(t.Context(), k, e.ID); err != nil || r.Entry == nil {
		t.Errorf("expire: %+v, %v", r, err)
	}
	k.mustLookLike(t, before)
}

func TestATimerThatCannotBeSetEndsIt(t *testing.T) {
	k, j := newFake(), testJournal(t)
	_, err := j.Apply(t.Context(), k, k.testPlan(), Options{Keys: testKeys(), Arm: func(*Entry) error { return errInjected }})
	if !errors.Is(err, errInjected) || !errors.Is(err, ErrRolledBack) || k.changes != 0 {
		t.Errorf("error %v, %d changes", err, k.changes)
	}
}

// TestNoKeyIsWritten looks for every form of the keys in every file but the key
// file's own.
func TestNoKeyIsWritten(t *testing.T) {
	k, j := newFake(), testJournal(t)
	e := mustApply(t, j, k)
	if err := k.AddSA(t.Context(), *e.Plan.Steps[0].SA, nil, nil); err == nil || holdsKey([]byte(fmt.Sprintf("%v %+v", err, e))) {
		t.Errorf("error %v", err)
	}
	seen := 0
	for range 2 {
		err := filepath.WalkDir(j.dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || name == j.KeyFile(e.ID) {
				return err
			}
			seen++
			b, err := os.ReadFile(name)
			if holdsKey(b) {
				t.Errorf("%s holds a key", name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Undo(t.Context(), k, e.ID); err != nil && !errors.Is(err, ErrUndone) {
			t.Fatal(err)
		}
	}
	if seen < 2 {
		t.Error("no file was looked into")
	}
}

func holdsKey(b []byte) bool {
	low := bytes.ToLower(b)
	for _, k := range []string{testEncKey, testAuthKey} {
		if bytes.Contains(b, []byte(k)) || bytes.Contains(low, []byte(hex.EncodeToString([]byte(k)))) {
			return true
		}
	}
	return false
}
