package remedy

import (
	"fmt"
	"net/netip"
	"slices"

	"ipsecdiag/analyze/spd"
)

// Model carries the steps out on a model of the kernel, with the kernel's
// errors: what exists already cannot be added, what does not exist cannot be
// deleted. It stops at the first step that fails. Neighbours and settings are
// no part of the model.
func Model(db *spd.Database, steps []Step) error {
	for i := range steps {
		if err := model(db, &steps[i]); err != nil {
			return fmt.Errorf("step %d of %d: %w", i+1, len(steps), err)
		}
	}
	return nil
}

func model(db *spd.Database, s *Step) error {
	switch s.Op {
	case AddPolicy:
		if findPolicy(db, s.Policy.Identity()) != nil {
			return fmt.Errorf("add policy %s: it exists", s.Policy)
		}
		db.PutPolicy(*s.Policy)
	case ReplacePolicy:
		if findPolicy(db, s.Policy.Identity()) == nil {
			return fmt.Errorf("replace policy %s: there is none", s.Policy)
		}
		db.PutPolicy(*s.Policy)
	case DeletePolicy:
		if !db.DeletePolicy(s.Policy.Identity()) {
			return fmt.Errorf("delete policy %s: there is none", s.Policy)
		}
	case AddSA:
		if slices.ContainsFunc(db.SAs, func(o spd.SA) bool { return o.Key() == s.SA.Key() }) {
			return fmt.Errorf("add SA %s: it exists", s.SA)
		}
		db.PutSA(*s.SA)
	case DeleteSA:
		if !db.DeleteSA(*s.SA) {
			return fmt.Errorf("delete SA %s: there is none", s.SA)
		}
	}
	return nil
}

// findPolicy returns the policy with that identity, nil where there is none.
func findPolicy(db *spd.Database, id spd.Identity) *spd.Policy {
	for i := range db.Policies {
		if p := &db.Policies[i]; !p.Socket && p.Identity() == id {
			return p
		}
	}
	return nil
}

// SamePolicy reports whether two policies say the same: all but the index, the
// times and the place in the order of age.
func SamePolicy(a, b *spd.Policy) bool {
	return a.Identity() == b.Identity() && a.Action == b.Action && a.Priority == b.Priority && a.Flags == b.Flags && a.Limits == b.Limits &&
		slices.EqualFunc(a.Templates, b.Templates, sameTemplate) && same(a.Offload, b.Offload)
}

// sameTemplate compares templates; an address that is not given is the
// unspecified one in the kernel, and a family that is not given the selector's.
func sameTemplate(a, b spd.Template) bool {
	for _, t := range []*spd.Template{&a, &b} {
		if !t.Src.IsValid() || t.Src.IsUnspecified() {
			t.Src = netip.Addr{}
		}
		if !t.Dst.IsValid() || t.Dst.IsUnspecified() {
			t.Dst = netip.Addr{}
		}
	}
	if a.Family == spd.Unspecified || b.Family == spd.Unspecified {
		a.Family, b.Family = spd.Unspecified, spd.Unspecified
	}
	return a == b
}

// SameSA reports whether two SAs are the same as far as anybody can see: all
// but the keys, use and times. Keys are drawn by chance, as the SPI is.
func SameSA(a, b *spd.SA) bool {
	return a.Key() == b.Key() && a.Src == b.Src && a.Mode == b.Mode && a.ReqID == b.ReqID && a.IfID == b.IfID &&
		same(a.Enc, b.Enc) && same(a.Auth, b.Auth) && same(a.AEAD, b.AEAD) && same(a.Comp, b.Comp)
}

func same[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
