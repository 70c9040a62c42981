package ikelayer_test

import (
	"fmt"
	"net"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"ipsecdiag/analyze/ike/ikelayer"
)

// A responder on port 4500 that wants another group: the non-ESP marker, the
// ISAKMP header, and one notification INVALID_KE_PAYLOAD.
var answer = []byte{
	0, 0, 0, 0,
	0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
	0, 0, 0, 0, 0, 0, 0, 0,
	41, 0x20, 34, 0x20,
	0, 0, 0, 0,
	0, 0, 0, 38,
	0, 0, 0, 10, 0, 0, 0, 17, 0, 19,
}

func frame(srcPort, dstPort layers.UDPPort, payload []byte) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP,
		SrcIP: net.IPv4(192, 0, 2, 1), DstIP: net.IPv4(192, 0, 2, 2)}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true},
		&layers.Ethernet{SrcMAC: make(net.HardwareAddr, 6), DstMAC: make(net.HardwareAddr, 6), EthernetType: layers.EthernetTypeIPv4},
		ip, &layers.UDP{SrcPort: srcPort, DstPort: dstPort}, gopacket.Payload(payload))
	if err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func Example() {
	ikelayer.Register()
	packet := gopacket.NewPacket(frame(4500, 4500, answer), layers.LayerTypeEthernet, gopacket.Default)
	if l, ok := packet.Layer(ikelayer.LayerTypeIKE).(*ikelayer.IKE); ok {
		fmt.Println(l.Summary())
		fmt.Println(l.InitiatorSPI, l.Exchange, l.Notifies()[0].Name())
	}
	// Output:
	// IKE_SA_INIT response, SPIs 01234567…/0, N(INVALID_KE_PAYLOAD: ECP_256)
	// 0123456789abcdef IKE_SA_INIT INVALID_KE_PAYLOAD
}

// A DecodingLayerParser reuses its layers; say the ports of each datagram
// before it is decoded.
func ExampleUDP() {
	var (
		ports   ikelayer.UDP
		message ikelayer.IKE
		decoded []gopacket.LayerType
	)
	parser := gopacket.NewDecodingLayerParser(ikelayer.LayerTypeUDP, &ports, &message)
	ports.SrcPort, ports.DstPort = 4500, 4500
	if err := parser.DecodeLayers(answer, &decoded); err != nil {
		fmt.Println(err)
	}
	fmt.Println(decoded, message.Exchange)
	// Output: [IKE over UDP IKE] IKE_SA_INIT
}
