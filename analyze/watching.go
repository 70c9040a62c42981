package analyze

import "time"

// ends returns when the last file of each observer ended, on the clock of the stream.
// It is not known of one whose file could not be read beforehand.
func (a *Alignment) ends() map[Origin]time.Time {
	ends := map[Origin]time.Time{}
	for i := range a.Observers {
		if v := &a.Observers[i]; v.Unread == "" && v.To.After(ends[v.Origin]) {
			ends[v.Origin] = v.To
		}
	}
	for i := range a.Observers {
		if v := &a.Observers[i]; v.Unread != "" {
			delete(ends, v.Origin)
		}
	}
	return ends
}

// endHosts notes of which hosts the recording has ended.
func (s *State) endHosts() {
	for _, h := range s.Hosts {
		if end, ok := s.ends[h.Origin]; ok && h.ended.IsZero() && s.Now.Time.After(end) {
			h.ended = s.Now.earlier(end)
			h.ended.Mono = max(h.ended.Mono, h.seen[1])
		}
	}
}

// Over reports whether a host's recording has ended while others go on: nothing is
// known of what became of it since.
func (s *State) Over(h *Host) bool { return !h.ended.IsZero() }

// NowAt is the present moment at a host: of one whose recording is over, when it
// ended. What is said of its kernel is said of then, and no lifetime runs out later.
func (s *State) NowAt(h *Host) Sighting {
	if s.Over(h) {
		return h.ended
	}
	return s.Now
}
