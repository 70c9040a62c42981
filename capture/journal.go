package capture

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// A journal entry in systemd's Journal Export Format is a list of fields:
// NAME=value and a line feed, or for values that hold a line feed NAME, a line
// feed, the value's length (8 bytes, little endian), the value and a line feed
// (https://systemd.io/JOURNAL_EXPORT_FORMATS).

// appendField appends one field.
func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	if bytes.IndexByte([]byte(value), '\n') < 0 {
		b = append(b, '=')
	} else {
		b = append(b, '\n')
		b = binary.LittleEndian.AppendUint64(b, uint64(len(value)))
	}
	b = append(b, value...)
	return append(b, '\n')
}

// appendTimestamp appends __REALTIME_TIMESTAMP, in microseconds since 1970,
// without which Wireshark refuses an entry.
func appendTimestamp(b []byte, ns int64) []byte {
	return appendField(b, "__REALTIME_TIMESTAMP", strconv.FormatInt(ns/1000, 10))
}

// ownField returns the first field of an entry that is one of the recording's.
func ownField(b []byte) (name string, value []byte, ok bool) {
	for {
		n, v, rest, ok := nextField(b)
		if !ok {
			return "", nil, false
		}
		if bytes.HasPrefix(n, []byte(fieldPrefix)) {
			return string(n), v, true
		}
		b = rest
	}
}

// nextField takes the first field off an entry; ok is false at its end, where
// there may be padding, and where it is damaged.
func nextField(b []byte) (name, value, rest []byte, ok bool) {
	line := bytes.IndexByte(b, '\n')
	if line < 0 {
		return nil, nil, nil, false
	}
	if eq := bytes.IndexByte(b[:line], '='); eq >= 0 {
		return b[:eq], b[eq+1 : line], b[line+1:], true
	}
	name, rest = b[:line], b[line+1:]
	if line == 0 || len(rest) < 8 {
		return nil, nil, nil, false
	}
	size := binary.LittleEndian.Uint64(rest)
	rest = rest[8:]
	if size >= uint64(len(rest)) { // a line feed follows the value
		return nil, nil, nil, false
	}
	return name, rest[:size], rest[size+1:], true
}
