package capture

import (
	"encoding/binary"
	"hash/maphash"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// The table of recent packets: about 1 MiB, whatever the traffic.
const (
	// dedupWindow is how far apart the sightings of one packet may be. A queue
	// between two devices delays a packet by less; nobody retransmits so soon
	// (IKE waits half a second or more, neighbour discovery one: RFC 4861
	// section 10).
	dedupWindow     = 50 * time.Millisecond
	dedupSets       = 2048
	dedupWays       = 8
	dedupInterfaces = 4
)

// deduper tells a packet from the copies of it that related devices show: a
// bond and its members, a VLAN and the device below it, a bridge and its ports.
//
// The rule: sightings of the same bytes in the same direction, within a group
// of related devices and each within dedupWindow of the last, are counted for
// each device; there were as many packets as the device with most sightings
// shows. So the first sighting is kept (inbound that is the lowest device's,
// outbound the uppermost's), another device's copy is dropped, and a
// retransmission on a device that showed the packet before is always a new
// packet. A forwarded packet, in here and out there, has two directions and is
// kept twice.
//
// "The same bytes" are addresses, protocol, hop limit, fragment identification
// and offset, and the upper layer, without the UDP checksum, which may be filled
// in between two devices; of ESP and AH the first flowSnap bytes, since how much
// was copied beyond them depends on what the kernel was told of the device.
type deduper struct {
	hash maphash.Hash
	sets [dedupSets][dedupWays]sighting
}

// sighting is what is known of one packet seen lately. Its zero value is free.
type sighting struct {
	key     uint64
	last    int64  // nanoseconds since 1970
	packets uint32 // the most that one device showed
	seen    [dedupInterfaces]struct {
		index int32
		count uint32
	}
}

// isCopy reports whether another device of the group has shown this packet
// already. Group 0 has no related devices. Times are nanoseconds since 1970.
func (d *deduper) isCopy(group, index int, dir analyze.Direction, at int64, p *analyze.Packet) bool {
	if group == 0 {
		return false
	}
	key := d.key(group, dir, p)
	s := d.find(key)
	if s.packets == 0 || !within(s.last, at) {
		*s = sighting{key: key, last: at}
	}
	s.last = max(s.last, at)
	return !s.isNew(int32(index))
}

// within reports whether two times are at most dedupWindow apart.
func within(a, b int64) bool {
	return b-a <= int64(dedupWindow) && a-b <= int64(dedupWindow)
}

// isNew counts a sighting and reports whether it makes one packet more. Where
// more devices show a packet than are kept, the rest show copies.
func (s *sighting) isNew(index int32) bool {
	for i := range s.seen {
		seen := &s.seen[i]
		if seen.count != 0 && seen.index != index {
			continue
		}
		seen.index = index
		if seen.count++; seen.count > s.packets {
			s.packets = seen.count
			return true
		}
		return false
	}
	return false
}

// find returns the packet's sighting, or the one of its set that makes room.
func (d *deduper) find(key uint64) *sighting {
	set := &d.sets[key%dedupSets]
	oldest := &set[0]
	for i := range set {
		if set[i].key == key && set[i].packets != 0 {
			return &set[i]
		}
		if set[i].last < oldest.last {
			oldest = &set[i]
		}
	}
	*oldest = sighting{}
	return oldest
}

// key hashes what makes two sightings the same packet. The seed is the
// process's own, so that nobody can aim at collisions.
func (d *deduper) key(group int, dir analyze.Direction, p *analyze.Packet) uint64 {
	d.hash.Reset()
	var head [48]byte
	src, dst := p.Src.As16(), p.Dst.As16()
	copy(head[0:], src[:])
	copy(head[16:], dst[:])
	binary.NativeEndian.PutUint32(head[32:], uint32(group))
	binary.NativeEndian.PutUint32(head[36:], p.FragID)
	binary.NativeEndian.PutUint32(head[40:], uint32(p.FragOffset))
	binary.NativeEndian.PutUint16(head[44:], uint16(p.Proto)<<8|uint16(p.HopLimit))
	head[46], head[47] = byte(dir), byte(p.EtherType)
	d.hash.Write(head[:])
	upper := p.Upper
	if _, _, isFlow := p.Flow(); isFlow {
		upper = upper[:min(len(upper), flowSnap)]
	}
	switch {
	case p.IsARP():
		d.hash.Write(p.Payload[:min(len(p.Payload), arpLen)])
	case p.Proto == spd.ProtoUDP && p.FragOffset == 0 && len(upper) >= 8:
		d.hash.Write(upper[:6])
		d.hash.Write(upper[8:])
	default:
		d.hash.Write(upper)
	}
	return d.hash.Sum64()
}

// arpLen is the length of ARP for Ethernet and IPv4 (RFC 826); what follows is
// padding.
const arpLen = 28
