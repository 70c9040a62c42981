package ike

import (
	"fmt"
	"strings"
)

// Delete tells that SAs are gone: RFC 2408 section 3.15, RFC 7296 section
// 3.11. IKEv2 has no DOI. In IKEv1 the SPI of an ISAKMP SA is both cookies,
// 16 bytes; in IKEv2 deleting the IKE SA itself needs none.
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|          Domain of Interpretation (DOI), IKEv1 only           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  Protocol ID  |   SPI Size    |           Num of SPIs         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~               Security Parameter Index(es) (SPI)              ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Delete struct {
	Major    uint8
	DOI      uint32 // IKEv1 only
	Protocol ProtocolID
	SPIs     [][]byte
}

func parseDeleteV1(c *cursor) *Delete {
	d := &Delete{Major: 1, DOI: c.u32("DOI")}
	return d.finish(c)
}

func parseDeleteV2(c *cursor) *Delete { return (&Delete{Major: 2}).finish(c) }

func (d *Delete) finish(c *cursor) *Delete {
	d.Protocol = ProtocolID(c.u8("Protocol ID"))
	size := int(c.u8("SPI Size"))
	count := int(c.u16("Num of SPIs"))
	if size == 0 {
		// No bytes stand behind the count: take it for what it is worth.
		if count > 0 && c.err == nil && d.Protocol != ProtocolIKE {
			c.fail("SPI Size", "0 for %s", plural(count, "SPI"))
		}
		return d
	}
	for range count {
		spi := c.bytes("SPI", size)
		if c.err != nil {
			break
		}
		d.SPIs = append(d.SPIs, spi)
	}
	return d
}

func (d *Delete) String() string {
	const most = 4
	shown := make([]string, 0, most+1)
	for i, spi := range d.SPIs {
		if i == most {
			shown = append(shown, "…")
			break
		}
		shown = append(shown, hexText(spi))
	}
	name := d.Protocol.Name(d.Major)
	if len(shown) == 0 {
		return name + " SA"
	}
	return fmt.Sprintf("%s %s", name, strings.Join(shown, ", "))
}
func (*Delete) body() {}
