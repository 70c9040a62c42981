package capture

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// This file builds frames and capture files for tests, byte by byte.

// ipv6Frame is an Ethernet frame with IPv6 and what follows.
func ipv6Frame(src, dst netip.Addr, proto byte, payload []byte) []byte {
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	b = append(b, proto, 255)
	b = append(b, src.AsSlice()...)
	b = append(b, dst.AsSlice()...)
	return append(b, payload...)
}

// espFrame is an ESP packet of an SPI.
func espFrame(spi, seq uint32, size int) []byte {
	payload := binary.BigEndian.AppendUint32(nil, spi)
	payload = binary.BigEndian.AppendUint32(payload, seq)
	return ipv6Frame(teapot, glass, 50, append(payload, make([]byte, size)...))
}

// solicitation is a neighbour solicitation of teapot for glass.
func solicitation() []byte {
	icmp := append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, glass.AsSlice()...)
	return ipv6Frame(teapot, glass, 58, icmp)
}

// tcpFrame is nothing that anybody asks for.
func tcpFrame() []byte { return ipv6Frame(teapot, glass, 6, make([]byte, 40)) }

// order is a byte order to write in.
type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// pcapFile is a pcap file under construction.
type pcapFile struct {
	order
	unit time.Duration // of the fraction
	data []byte
}

func newPcap(o order, nano bool, link uint32) *pcapFile {
	f := &pcapFile{order: o, unit: time.Microsecond}
	magic := uint32(pcapMagicMicro)
	if nano {
		magic, f.unit = pcapMagicNano, time.Nanosecond
	}
	f.data = o.AppendUint32(nil, magic)
	f.data = o.AppendUint16(f.data, 2)
	f.data = o.AppendUint16(f.data, 4)
	f.data = append(f.data, make([]byte, 8)...)
	f.data = o.AppendUint32(f.data, 262144)
	f.data = o.AppendUint32(f.data, link)
	return f
}

func (f *pcapFile) frame(at time.Time, data []byte) *pcapFile {
	f.data = f.AppendUint32(f.data, uint32(at.Unix()))
	f.data = f.AppendUint32(f.data, uint32(time.Duration(at.Nanosecond())/f.unit))
	f.data = f.AppendUint32(f.data, uint32(len(data)))
	f.data = f.AppendUint32(f.data, uint32(len(data)+4)) // as if four bytes were cut off
	f.data = append(f.data, data...)
	return f
}

// pcapngFile is a pcapng file under construction.
type pcapngFile struct {
	order
	data []byte
}

// block appends a block whose body is made of uint16, uint32, uint64 and bytes,
// padded.
func (f *pcapngFile) block(typ uint32, parts ...any) *pcapngFile {
	var body []byte
	for _, p := range parts {
		switch p := p.(type) {
		case uint16:
			body = f.AppendUint16(body, p)
		case uint32:
			body = f.AppendUint32(body, p)
		case uint64:
			body = f.AppendUint64(body, p)
		case []byte:
			body = append(body, p...)
			body = append(body, make([]byte, -len(p)&3)...)
		case string:
			body = append(body, p...)
			body = append(body, make([]byte, -len(p)&3)...)
		default:
			panic("a part of an unknown type")
		}
	}
	length := uint32(len(body) + blockOverhead)
	f.data = f.AppendUint32(f.data, typ)
	f.data = f.AppendUint32(f.data, length)
	f.data = append(f.data, body...)
	f.data = f.AppendUint32(f.data, length)
	return f
}

// section begins a section in a byte order.
func (f *pcapngFile) section(o order) *pcapngFile {
	f.order = o
	return f.block(blockSection, uint32(byteOrderMagic), uint16(1), uint16(0), ^uint64(0))
}

// iface describes an interface; more are options, as they lie in the file.
func (f *pcapngFile) iface(link uint16, name string, more ...any) *pcapngFile {
	parts := []any{link, uint16(0), uint32(0), uint16(optionIfName), uint16(len(name)), name}
	return f.block(blockInterface, append(append(parts, more...), uint32(0))...)
}

// frame appends an enhanced packet block.
func (f *pcapngFile) frame(iface uint32, stamp uint64, data []byte, options ...any) *pcapngFile {
	n := uint32(len(data))
	parts := []any{iface, uint32(stamp >> 32), uint32(stamp), n, n + 4, data}
	return f.block(blockEnhanced, append(parts, options...)...)
}
