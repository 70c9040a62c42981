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
// (On 6.18 a replacement of equal priority keeps its place before other
// policies of just the same prefixes, and loses it before all others. Dumps do
// not show that: Verdict.Tied warns of every tie that matters.)
func (db *Database) PutPolicy(p Policy) {
	db.DeletePolicy(p.Identity())
	db.Policies = append(db.Policies, p)
}

// HasPolicy reports whether p itself is there already, as after a dump that is
// younger than the news of p's making: the same identity and index.
func (db *Database) HasPolicy(p *Policy) bool {
	return slices.ContainsFunc(db.Policies, func(o Policy) bool {
		return p.Index != 0 && o.Index == p.Index && !o.Socket && o.Identity() == p.Identity()
	})
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

// PutSA adds s or replaces the SA with s's key. With its SPI known, it takes
// the place of the larval SA that it answers: the kernel tells nobody of that
// one's end (xfrm_state_add).
func (db *Database) PutSA(s SA) {
	if i := db.findLarval(&s); i >= 0 {
		db.SAs = slices.Delete(db.SAs, i, i+1)
	}
	if i := db.findSA(&s); i >= 0 {
		db.SAs[i] = s
		return
	}
	db.SAs = append(db.SAs, s)
}

// findLarval returns the larval SA that s answers: the one with its ACQUIRE
// sequence (__xfrm_find_acq_byseq), else one that asks for just such an SA
// (__find_acq_core); -1 where there is none.
func (db *Database) findLarval(s *SA) int {
	if s.SPI == 0 {
		return -1
	}
	like := -1
	for i := range db.SAs {
		o := &db.SAs[i]
		if !o.Larval() || o.Proto != s.Proto || o.Dst != s.Dst {
			continue
		}
		if s.Seq != 0 && o.Seq == s.Seq {
			return i
		}
		if like < 0 && o.Src == s.Src && o.Mode == s.Mode && o.ReqID == s.ReqID && o.Mark == s.Mark {
			like = i
		}
	}
	return like
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
