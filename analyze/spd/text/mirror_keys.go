package text

import "ipsecdiag/analyze/spd"

// lengths adds the keys of both ends that do not fit their algorithms.
func (m *mirror) lengths() {
	for _, d := range KeyLengths(*m.local) {
		if s := m.peer.likeAt(m.local, d.Local); s != nil {
			d.Peer = m.peer.SAAt(s)
			d.Text += "; its counterpart is at " + d.Peer.String()
		}
		m.found = append(m.found, d)
	}
	for _, d := range KeyLengths(*m.peer) {
		d.Local, d.Peer = Pos{}, d.Local
		if s := m.local.likeAt(m.peer, d.Peer); s != nil {
			d.Local = m.local.SAAt(s)
			d.Text += "; its counterpart is at " + d.Local.String()
		}
		m.found = append(m.found, d)
	}
}

// likeAt returns the SA of r that is the same as the one at a place of o.
func (r *Result) likeAt(o *Result, at Pos) *spd.SA {
	for i := range o.DB.SAs {
		s := &o.DB.SAs[i]
		if _, ok := r.sas[s.Key()]; !ok || o.SAAt(s) != at {
			continue
		}
		for j := range r.DB.SAs {
			if r.DB.SAs[j].Key() == s.Key() {
				return &r.DB.SAs[j]
			}
		}
	}
	return nil
}

// KeyLengths returns the keys that have not a length that their algorithm
// takes. Only Local and Text are set.
func KeyLengths(r Result) []Difference {
	m := mirror{}
	for i := range r.DB.SAs {
		s := &r.DB.SAs[i]
		k, ok := r.Keys[s.Key()]
		if !ok {
			continue
		}
		at := r.SAAt(s)
		m.length(at, nat(nil).flow(s), byName(forEnc, s.Enc), k.Enc)
		m.length(at, nat(nil).flow(s), byName(forAuth, s.Auth), k.Auth)
		m.length(at, nat(nil).flow(s), byName(forAEAD, s.AEAD), k.AEAD)
	}
	return m.found
}

func byName(u use, a *spd.Algorithm) *algorithm {
	if a == nil {
		return nil
	}
	return byKernel(u, a.Name)
}

func (m *mirror) length(at Pos, f flow, a *algorithm, k Secret) {
	if a == nil || !k.Known() || a.takes(k.Len()) {
		return
	}
	m.add(at, Pos{}, "the key of the %s at %s has %d bits, and %s takes %s", f, at, k.Len(), a.kernel, a.lengths())
}
