package capture

import (
	"bytes"
	"testing"

	"ipsecdiag/analyze"
)

func TestLinkOf(t *testing.T) {
	for hatype, want := range map[uint16]analyze.LinkType{
		hatypeEther: analyze.LinkEthernet, hatypeLoopback: analyze.LinkEthernet,
		hatypeNone: analyze.LinkRaw, hatypeSIT: analyze.LinkRaw,
		32 /* InfiniBand */ : analyze.LinkSLL2, 778 /* GRE */ : analyze.LinkSLL2,
	} {
		if got := linkOf(hatype); got != want {
			t.Errorf("link type of ARPHRD %d is %d, want %d", hatype, got, want)
		}
	}
}

// A tag that the kernel took out is put back where it was.
func TestFramerEthernetTag(t *testing.T) {
	packet := ipv6(50, make([]byte, 24))
	wire := ethernet(etherIPv6, []uint16{etherQinQ}, packet)
	f := &ringFrame{data: ethernet(etherIPv6, nil, packet), length: 1000, tpid: etherQinQ, tci: 5}
	r := framer{link: analyze.LinkEthernet}
	data, length := r.frame(f)
	if !bytes.Equal(data, wire) || length != 1004 {
		t.Errorf("% x (%d), want % x (1004)", data, length, wire)
	}
	f.tpid = 0
	if data, length = r.frame(f); !bytes.Equal(data, f.data) || length != 1000 {
		t.Errorf("untagged: % x (%d), want % x (1000)", data, length, f.data)
	}
	f.tpid, f.data = etherVLAN, []byte("short")
	if data, _ = r.frame(f); !bytes.Equal(data, f.data) {
		t.Errorf("too short for a tag: % x, want % x", data, f.data)
	}
}

func TestFramerSLL2(t *testing.T) {
	packet := ipv6(50, make([]byte, 24))
	header := []byte{0x86, 0xdd, 0, 0, 0, 1, 2, 3, 0, 1, 4, 6, 2, 0, 0, 0, 0, 9, 0, 0}
	f := &ringFrame{
		data: ethernet(etherIPv6, nil, packet), length: 1000, index: 0x10203,
		hatype: hatypeEther, pkttype: packetOutgoing, halen: 6, addr: [8]byte{2, 0, 0, 0, 0, 9},
		net: 3, protocol: 0xffff, // what the kernel says of Ethernet is not relied on
	}
	r := framer{link: analyze.LinkSLL2}
	data, length := r.frame(f)
	if want := append(header, packet...); !bytes.Equal(data, want) || length != 1006 {
		t.Errorf("% x (%d), want % x (1006)", data, length, want)
	}
	if cookedDirection(analyze.LinkSLL2, data) != direction(f) {
		t.Error("the header tells another direction than the frame")
	}

	f.data, f.net, f.protocol, f.hatype = append([]byte("gre"), packet...), 3, etherIPv6, 778
	data, length = r.frame(f)
	header[8], header[9] = 3, 10
	if want := append(header, packet...); !bytes.Equal(data, want) || length != 1017 {
		t.Errorf("other device: % x (%d), want % x (1017)", data, length, want)
	}
}

// Inner tags stay in the packet, where the decoder finds them.
func TestFramerSLL2Tag(t *testing.T) {
	f := &ringFrame{data: ethernet(etherIPv6, []uint16{etherQinQ, etherVLAN}, ipv6(50, make([]byte, 24))), hatype: hatypeEther}
	r := framer{link: analyze.LinkSLL2}
	data, _ := r.frame(f)
	var p analyze.Packet
	if err := p.Decode(analyze.LinkSLL2, data); err != nil || p.Proto != 50 {
		t.Errorf("protocol %d, %v; want 50", p.Proto, err)
	}
}

func TestShownTwice(t *testing.T) {
	for _, c := range []struct {
		hatype  uint16
		pkttype uint8
		want    bool
	}{
		{hatypeLoopback, packetOutgoing, true}, {hatypeLoopback, 0, false}, {hatypeEther, packetOutgoing, false},
	} {
		if got := shownTwice(&ringFrame{hatype: c.hatype, pkttype: c.pkttype}); got != c.want {
			t.Errorf("ARPHRD %d, packet type %d: %v, want %v", c.hatype, c.pkttype, got, c.want)
		}
	}
}
