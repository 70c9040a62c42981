package kernel

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// message is one netlink message (struct nlmsghdr and what follows it).
type message struct {
	kind  uint16
	flags uint16
	seq   uint32
	data  []byte
}

// align4 rounds up to the alignment of netlink messages and attributes.
func align4(n int) int { return (n + 3) &^ 3 }

// messages cuts what one recv returned into netlink messages. Those before a
// malformed one are returned with the error.
func messages(b []byte) ([]message, error) {
	var out []message
	for len(b) > 0 {
		if len(b) < unix.SizeofNlMsghdr {
			return out, fmt.Errorf("netlink header: %d bytes left, need %d", len(b), unix.SizeofNlMsghdr)
		}
		n := binary.NativeEndian.Uint32(b)
		if n < unix.SizeofNlMsghdr || uint64(n) > uint64(len(b)) {
			return out, fmt.Errorf("netlink message: length %d, %d bytes left", n, len(b))
		}
		out = append(out, message{
			kind:  binary.NativeEndian.Uint16(b[4:]),
			flags: binary.NativeEndian.Uint16(b[6:]),
			seq:   binary.NativeEndian.Uint32(b[8:]),
			data:  b[unix.SizeofNlMsghdr:n:n],
		})
		b = b[min(align4(int(n)), len(b)):]
	}
	return out, nil
}

// errno returns the error of an NLMSG_ERROR or NLMSG_DONE message, nil where it
// tells of success.
func (m message) errno() error {
	if len(m.data) < 4 {
		return nil
	}
	if e := int32(binary.NativeEndian.Uint32(m.data)); e < 0 {
		return unix.Errno(-e)
	}
	return nil
}

// eachAttr calls f with every attribute of b (struct rtattr, struct nlattr),
// without the flag bits of the type. f's error ends it.
func eachAttr(b []byte, f func(kind uint16, value []byte) error) error {
	for len(b) >= unix.SizeofRtAttr {
		n := int(binary.NativeEndian.Uint16(b))
		kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
		if n < unix.SizeofRtAttr || n > len(b) {
			return fmt.Errorf("attribute %d: length %d, %d bytes left", kind, n, len(b))
		}
		if err := f(kind, b[unix.SizeofRtAttr:n:n]); err != nil {
			return fmt.Errorf("attribute %d: %w", kind, err)
		}
		b = b[min(align4(n), len(b)):]
	}
	return nil
}

// attrsAfter calls f with every attribute that follows a header of size bytes.
func attrsAfter(b []byte, size int, f func(kind uint16, value []byte) error) error {
	return eachAttr(b[min(align4(size), len(b)):], f)
}

// view checks b's length before it lets a Deserialize function of package nl
// look at it. What it returns points into b.
func view[T any](b []byte, size int, deserialize func([]byte) *T, what string) (*T, error) {
	if err := need(b, size, what); err != nil {
		return nil, err
	}
	return deserialize(b), nil
}

// need reports that b is too short for what.
func need(b []byte, size int, what string) error {
	if len(b) < size {
		return fmt.Errorf("%s: %d bytes, need %d", what, len(b), size)
	}
	return nil
}

// u32 reads an attribute that holds one __u32.
func u32(b []byte) (uint32, error) {
	if err := need(b, 4, "u32"); err != nil {
		return 0, err
	}
	return binary.NativeEndian.Uint32(b), nil
}

// u8 reads an attribute that holds one __u8.
func u8(b []byte) (uint8, error) {
	if err := need(b, 1, "u8"); err != nil {
		return 0, err
	}
	return b[0], nil
}
