package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"ipsecdiag/analyze"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// iflaXfrmIfID is IFLA_XFRM_IF_ID, inside the IFLA_INFO_DATA of an xfrm
// interface (drivers/net/xfrm: xfrmi_fill_info).
const iflaXfrmIfID = 2

// decodeLink translates struct ifinfomsg (family, padding, type, index, flags,
// change) with its attributes.
func decodeLink(b []byte) (analyze.Link, error) {
	if err := need(b, unix.SizeofIfInfomsg, "ifinfomsg"); err != nil {
		return analyze.Link{}, err
	}
	d := linkDecoder{Link: analyze.Link{
		Index: int(int32(binary.NativeEndian.Uint32(b[4:]))),
		Up:    binary.NativeEndian.Uint32(b[8:])&unix.IFF_UP != 0,
	}}
	if err := attrsAfter(b, unix.SizeofIfInfomsg, d.attr); err != nil {
		return d.Link, fmt.Errorf("link: %w", err)
	}
	if d.elsewhere || d.Kind == "veth" {
		d.Parent = 0 // the other end of a pair, or of another namespace: no lower device
	}
	return d.Link, nil
}

type linkDecoder struct {
	analyze.Link
	elsewhere bool // IFLA_LINK counts in another namespace
}

func (d *linkDecoder) attr(kind uint16, v []byte) (err error) {
	var n uint32
	switch kind {
	case unix.IFLA_IFNAME:
		d.Name = cString(v)
	case unix.IFLA_ADDRESS:
		d.LinkAddr = linkAddr(v)
	case unix.IFLA_MTU:
		n, err = u32(v)
		d.MTU = int(n)
	case unix.IFLA_LINK:
		n, err = u32(v)
		d.Parent = int(int32(n))
	case unix.IFLA_MASTER:
		n, err = u32(v)
		d.Master = int(int32(n))
	case unix.IFLA_LINK_NETNSID:
		d.elsewhere = true
	case unix.IFLA_LINKINFO:
		err = eachAttr(v, d.info)
	}
	return err
}

func (d *linkDecoder) info(kind uint16, v []byte) error {
	switch kind {
	case nl.IFLA_INFO_KIND:
		d.Kind = cString(v)
	case nl.IFLA_INFO_DATA:
		if d.Kind != "xfrm" {
			return nil
		}
		return eachAttr(v, func(kind uint16, v []byte) (err error) {
			if kind == iflaXfrmIfID {
				d.IfID, err = u32(v)
			}
			return err
		})
	}
	return nil
}

// cString returns the text before the first NUL byte.
func cString(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}
