package capture

import "ipsecdiag/analyze"

// liveSorter tells which live frames are handed on and counts the flows, as
// foreign does for the frames of a file.
type liveSorter struct {
	packet analyze.Packet
	dedup  *deduper // nil where no related devices are watched
	meter  *FlowMeter
}

// wanted reports whether a frame, seen on the interface with that index and
// group of related devices, is to be handed on. A copy of another device's is
// neither handed on nor counted.
func (s *liveSorter) wanted(f *analyze.Frame, origin *analyze.Origin, index, group int) bool {
	p := &s.packet
	if p.Decode(f.Link, f.Data) != nil {
		return false
	}
	key, seq, isFlow := p.Flow()
	if !isFlow && !p.Interesting() {
		return false
	}
	at := f.Time.UnixNano()
	if s.dedup != nil && s.dedup.isCopy(group, index, f.Direction, at, p) {
		return false
	}
	return !isFlow || s.meter.Add(key, f.Direction, origin, at, f.OrigLen, seq) <= firstFrames
}
