package apply

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/spd/secret"
	"ipsecdiag/rules/remedy"
)

// fakeKernel is a kernel in memory. Its errors and what a replacement does are
// those of the real one, see the namespace tests.
type fakeKernel struct {
	boot, namespace string

	db         spd.Database
	index      uint32
	neighbours []analyze.Neighbor
	sysctls    map[string]string
	keys       map[spd.SAKey][2][]byte

	changes int
	// hook is called before and after each change; its error refuses it.
	hook func(change int, after bool) error
}

func newFake() *fakeKernel {
	k := &fakeKernel{
		boot: "boot-1", namespace: "4026531840", index: 8,
		sysctls: map[string]string{"net.core.xfrm_larval_drop": "1"}, keys: map[spd.SAKey][2][]byte{},
	}
	for i := range 6 {
		k.put(testPolicy(spd.Direction(i%2), uint32(i/2)*1000, uint32(i)))
	}
	return k
}

func (k *fakeKernel) put(p spd.Policy) {
	k.index += 8
	p.Index, p.AddTime = k.index, uint64(time.Now().Unix())
	for i := range k.db.Policies {
		if k.db.Policies[i].Identity() == p.Identity() {
			p.Index = k.db.Policies[i].Index
		}
	}
	k.db.PutPolicy(p)
}

func (k *fakeKernel) Place() (string, string, error) { return k.boot, k.namespace, nil }

func (k *fakeKernel) Policies(context.Context) ([]spd.Policy, error) {
	return slices.Clone(k.db.Policies), nil
}
func (k *fakeKernel) SAs(context.Context) ([]spd.SA, error) { return slices.Clone(k.db.SAs), nil }
func (k *fakeKernel) Neighbors(context.Context) ([]analyze.Neighbor, error) {
	return slices.Clone(k.neighbours), nil
}
func (k *fakeKernel) Sysctl(name string) (string, error) { return k.sysctls[name], nil }

// change does something between two calls of the hook.
func (k *fakeKernel) change(f func() error) error {
	k.changes++
	n := k.changes
	if k.hook != nil {
		if err := k.hook(n, false); err != nil {
			return err
		}
	}
	err := f()
	if err == nil && k.hook != nil {
		err = k.hook(n, true)
	}
	return err
}

func (k *fakeKernel) AddPolicy(_ context.Context, p spd.Policy) error {
	return k.change(func() error {
		if slices.ContainsFunc(k.db.Policies, func(o spd.Policy) bool { return o.Identity() == p.Identity() }) {
			return fmt.Errorf("add policy: %w", syscall.EEXIST)
		}
		k.put(p)
		return nil
	})
}

func (k *fakeKernel) ReplacePolicy(_ context.Context, p spd.Policy) error {
	return k.change(func() error { k.put(p); return nil })
}

func (k *fakeKernel) DeletePolicy(_ context.Context, p spd.Policy) error {
	return k.change(func() error {
		i := slices.IndexFunc(k.db.Policies, func(o spd.Policy) bool { return o.Index == p.Index })
		if i < 0 {
			return fmt.Errorf("delete policy: %w", syscall.ENOENT)
		}
		k.db.Policies = slices.Delete(k.db.Policies, i, i+1)
		return nil
	})
}

func (k *fakeKernel) AddSA(_ context.Context, sa spd.SA, enc, auth []byte) error {
	return k.change(func() error {
		if slices.ContainsFunc(k.db.SAs, func(o spd.SA) bool { return o.Key() == sa.Key() }) {
			return fmt.Errorf("add SA: %w", syscall.EEXIST)
		}
		sa.Used.AddTime = uint64(time.Now().Unix())
		k.db.SAs = append(k.db.SAs, sa)
		k.keys[sa.Key()] = [2][]byte{slices.Clone(enc), slices.Clone(auth)}
		return nil
	})
}

func (k *fakeKernel) DeleteSA(_ context.Context, sa spd.SA) error {
	return k.change(func() error {
		if !k.db.DeleteSA(sa) {
			return fmt.Errorf("delete SA: %w", syscall.ESRCH)
		}
		return nil
	})
}

func (k *fakeKernel) PutNeighbor(_ context.Context, n analyze.Neighbor) error {
	return k.change(func() error {
		k.dropNeighbor(n)
		k.neighbours = append(k.neighbours, n)
		return nil
	})
}

func (k *fakeKernel) DeleteNeighbor(_ context.Context, n analyze.Neighbor) error {
	return k.change(func() error { k.dropNeighbor(n); return nil })
}

func (k *fakeKernel) dropNeighbor(n analyze.Neighbor) {
	k.neighbours = slices.DeleteFunc(k.neighbours, func(o analyze.Neighbor) bool { return o.Addr == n.Addr })
}

func (k *fakeKernel) SetSysctl(name, value string) error {
	return k.change(func() error { k.sysctls[name] = value; return nil })
}

// picture is all that undoing must restore.
type picture struct {
	policies   []spd.Policy
	sas        []spd.SA
	neighbours []analyze.Neighbor
	sysctls    map[string]string
}

func (k *fakeKernel) picture() picture {
	p := picture{slices.Clone(k.db.Policies), slices.Clone(k.db.SAs), slices.Clone(k.neighbours), map[string]string{}}
	for i := range p.policies {
		p.policies[i].AddTime = 0
	}
	for n, v := range k.sysctls {
		p.sysctls[n] = v
	}
	return p
}

func (k *fakeKernel) mustLookLike(t *testing.T, want picture) {
	t.Helper()
	got := k.picture()
	if len(got.sas)+len(want.sas) == 0 {
		got.sas, want.sas = nil, nil
	}
	if len(got.neighbours)+len(want.neighbours) == 0 {
		got.neighbours, want.neighbours = nil, nil
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func testPolicy(dir spd.Direction, priority, ifID uint32) spd.Policy {
	any6 := netip.MustParsePrefix("::/0")
	return spd.Policy{
		Selector: spd.Selector{Src: any6, Dst: any6, Family: spd.IPv6}, Direction: dir, Priority: priority, IfID: ifID,
		Templates: []spd.Template{{Proto: spd.ProtoESP, Family: spd.IPv6}},
	}
}

const (
	testEncKey  = "an encryption key of 32 bytes!!!"
	testAuthKey = "the key that authenticates, 32 b"
)

func testKeys() remedy.Keyring {
	return remedy.Keyring{"enc": secret.New([]byte(testEncKey)), "auth": secret.New([]byte(testAuthKey))}
}

// testPlan has a step of each kind: it replaces the two oldest policies, so that
// their order matters.
func (k *fakeKernel) testPlan() remedy.Plan {
	plan := remedy.Plan{Action: remedy.ActionBringUp, Params: map[string]string{"peer": "fd00::2"}, Title: "test everything"}
	for i := range k.db.Policies {
		plan.Order = append(plan.Order, remedy.NameOf(&k.db.Policies[i]))
	}
	sa := spd.SA{
		Src: netip.MustParseAddr("fd00::1"), Dst: netip.MustParseAddr("fd00::2"), SPI: 0x1000, Proto: spd.ProtoESP, Family: spd.IPv6,
		Enc: &spd.Algorithm{Name: "cbc(aes)", KeyBits: 256}, Auth: &spd.Algorithm{Name: "hmac(sha256)", KeyBits: 256, ICVBits: 128},
	}
	plan.Steps = append(plan.Steps, remedy.Step{Op: remedy.AddSA, SA: &sa, Keys: &remedy.SAKeys{Enc: "enc", Auth: "auth"}})
	bypass := testPolicy(spd.Out, 1, 100)
	bypass.Templates = nil
	plan.Steps = append(plan.Steps, remedy.Step{Op: remedy.AddPolicy, Policy: &bypass})
	for i := range 2 {
		former := k.db.Policies[i]
		worse := former
		worse.Priority = 5
		plan.Steps = append(plan.Steps, remedy.Step{Op: remedy.ReplacePolicy, Policy: &worse, FormerPolicy: &former})
	}
	n := analyze.Neighbor{Addr: netip.MustParseAddr("fd00::2"), IfIndex: 2, LinkAddr: "02:00:00:00:00:02", State: "PERMANENT"}
	plan.Steps = append(plan.Steps,
		remedy.Step{Op: remedy.SetNeighbour, Neighbour: &n},
		remedy.Step{Op: remedy.SetSysctl, Sysctl: &remedy.Sysctl{Name: "net.core.xfrm_larval_drop", Value: "0", Former: "1"}})
	return plan
}

var errInjected = errors.New("injected")
