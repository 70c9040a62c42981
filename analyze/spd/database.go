package spd

import "slices"

// Defaults are the actions for packets that no policy selects
// (`ip xfrm policy setdefault`, struct xfrm_userpolicy_default).
type Defaults struct {
	In  Action `json:"in"`
	Fwd Action `json:"fwd"`
	Out Action `json:"out"`
}

// Action returns the default of one direction.
func (d Defaults) Action(dir Direction) Action {
	switch dir {
	case In:
		return d.In
	case Out:
		return d.Out
	}
	return d.Fwd
}

// Database is one network namespace's SPD and SAD. The zero value is a host
// without any policy.
type Database struct {
	// Policies in order of age, the oldest first: between equal priorities
	// the older one wins.
	Policies []Policy
	SAs      []SA
	Defaults Defaults
}

// PutPolicy adds p as the youngest policy, or replaces the one with p's
// identity, which makes the replacement the youngest as XFRM_MSG_UPDPOLICY does.
func (db *Database) PutPolicy(p Policy) {
	db.DeletePolicy(p.Identity())
	db.Policies = append(db.Policies, p)
}

// DeletePolicy removes the policy with that identity and reports whether there
// was one. Socket policies are never removed by identity: many may be equal.
func (db *Database) DeletePolicy(id Identity) bool {
	i := slices.IndexFunc(db.Policies, func(p Policy) bool { return !p.Socket && p.Identity() == id })
	if i < 0 {
		return false
	}
	db.Policies = slices.Delete(db.Policies, i, i+1)
	return true
}

// PutSA adds s or replaces the SA with s's key. A larval SA is replaced by the
// ACQUIRE sequence that it carries too, since it has no SPI of its own.
func (db *Database) PutSA(s SA) {
	if i := db.findSA(&s); i >= 0 {
		db.SAs[i] = s
		return
	}
	db.SAs = append(db.SAs, s)
}

// DeleteSA removes the SA that s names and reports whether there was one.
func (db *Database) DeleteSA(s SA) bool {
	i := db.findSA(&s)
	if i < 0 {
		return false
	}
	db.SAs = slices.Delete(db.SAs, i, i+1)
	return true
}

func (db *Database) findSA(s *SA) int {
	return slices.IndexFunc(db.SAs, func(o SA) bool {
		if o.Key() != s.Key() {
			return false
		}
		return s.SPI != 0 || (o.Seq == s.Seq && o.Src == s.Src && o.ReqID == s.ReqID)
	})
}

// FlushPolicies removes all policies of one type (XFRM_MSG_FLUSHPOLICY).
func (db *Database) FlushPolicies(t PolicyType) {
	db.Policies = slices.DeleteFunc(db.Policies, func(p Policy) bool { return p.Type == t && !p.Socket })
}

// FlushSAs removes all SAs of one protocol, of every protocol where proto is
// ProtoAny or the kernel's IPSEC_PROTO_ANY, 255 (XFRM_MSG_FLUSHSA).
func (db *Database) FlushSAs(proto uint8) {
	db.SAs = slices.DeleteFunc(db.SAs, func(s SA) bool {
		return proto == ProtoAny || proto == 255 || s.Proto == proto
	})
}
