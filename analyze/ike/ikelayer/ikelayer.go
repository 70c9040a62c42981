// Package ikelayer makes the IKE decoder a gopacket layer, for programs that
// use gopacket, which has none of its own.
//
// [LayerTypeUDP] tells IKE, NAT keepalives and ESP in UDP apart as RFC 3948
// says; [LayerTypeIKE] is the ISAKMP message. gopacket does not take them for
// ports 500 and 4500 by itself: call [Register] once, or hand the payload of
// the UDP layer on.
package ikelayer

import (
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"ipsecdiag/analyze/ike"
)

// Numbers of the layer types. gopacket leaves those from 1000 on to others.
const (
	layerNumberIKE = 6500
	layerNumberUDP = 6501
)

var (
	// LayerTypeIKE is an ISAKMP message, from the first byte of its header.
	LayerTypeIKE = gopacket.RegisterLayerType(layerNumberIKE,
		gopacket.LayerTypeMetadata{Name: "IKE", Decoder: gopacket.DecodeFunc(decodeIKE)})
	// LayerTypeUDP is the payload of a UDP datagram on port 500 or 4500.
	LayerTypeUDP = gopacket.RegisterLayerType(layerNumberUDP,
		gopacket.LayerTypeMetadata{Name: "IKE over UDP", Decoder: gopacket.DecodeFunc(decodeUDP)})
)

// Register makes gopacket's UDP layer hand ports 500 and 4500 to this package.
// It changes gopacket's global table, so call it before decoding begins.
func Register() {
	layers.RegisterUDPPortLayerType(ike.Port, LayerTypeUDP)
	layers.RegisterUDPPortLayerType(ike.NATTPort, LayerTypeUDP)
}

// IKE is one ISAKMP message.
type IKE struct {
	layers.BaseLayer
	*ike.Message
	Err error // what could not be decoded, or nil; see ike.Parse
}

// LayerType implements gopacket.Layer.
func (*IKE) LayerType() gopacket.LayerType { return LayerTypeIKE }

// CanDecode implements gopacket.DecodingLayer.
func (*IKE) CanDecode() gopacket.LayerClass { return LayerTypeIKE }

// NextLayerType implements gopacket.DecodingLayer: nothing follows.
func (*IKE) NextLayerType() gopacket.LayerType { return gopacket.LayerTypeZero }

// DecodeFromBytes implements gopacket.DecodingLayer. It fails only where the
// ISAKMP header is not whole; other faults are in Err, beside what was read.
func (l *IKE) DecodeFromBytes(data []byte, df gopacket.DecodeFeedback) error {
	m, err := ike.Parse(data)
	if m == nil {
		df.SetTruncated()
		return err
	}
	if m.Truncated {
		df.SetTruncated()
	}
	end := len(data) - m.Trailing
	*l = IKE{BaseLayer: layers.BaseLayer{Contents: data[:end], Payload: data[end:]}, Message: m, Err: err}
	return nil
}

// UDP is what comes before the message on UDP: nothing on port 500, the
// non-ESP marker on port 4500; or it is a NAT keepalive or ESP in UDP.
type UDP struct {
	layers.BaseLayer
	Kind ike.UDPKind
	// SrcPort and DstPort decide how the payload is read. As a layer of a
	// whole packet they are taken from its UDP layer; with a
	// DecodingLayerParser set them, or leave them zero: then the bytes alone
	// decide, as between ports 500 and 4500.
	SrcPort, DstPort uint16
}

// LayerType implements gopacket.Layer.
func (*UDP) LayerType() gopacket.LayerType { return LayerTypeUDP }

// CanDecode implements gopacket.DecodingLayer.
func (*UDP) CanDecode() gopacket.LayerClass { return LayerTypeUDP }

// NextLayerType implements gopacket.DecodingLayer.
func (l *UDP) NextLayerType() gopacket.LayerType {
	switch l.Kind {
	case ike.UDPIKE:
		return LayerTypeIKE
	case ike.UDPESP:
		return layers.LayerTypeIPSecESP // Demux made sure of the eight bytes that it reads
	}
	return gopacket.LayerTypePayload
}

// DecodeFromBytes implements gopacket.DecodingLayer.
func (l *UDP) DecodeFromBytes(data []byte, _ gopacket.DecodeFeedback) error {
	src, dst := l.SrcPort, l.DstPort
	if src == 0 && dst == 0 {
		src, dst = ike.Port, ike.NATTPort
	}
	kind, rest := ike.Demux(src, dst, data)
	at := len(data) - len(rest)
	l.Kind = kind
	l.BaseLayer = layers.BaseLayer{Contents: data[:at], Payload: rest}
	return nil
}

func decodeIKE(data []byte, p gopacket.PacketBuilder) error {
	l := &IKE{}
	if err := l.DecodeFromBytes(data, p); err != nil {
		return err
	}
	p.AddLayer(l)
	p.SetApplicationLayer(l)
	return nil
}

func decodeUDP(data []byte, p gopacket.PacketBuilder) error {
	l := &UDP{}
	if udp, ok := lastUDP(p); ok {
		l.SrcPort, l.DstPort = uint16(udp.SrcPort), uint16(udp.DstPort)
	}
	if err := l.DecodeFromBytes(data, p); err != nil {
		return err
	}
	p.AddLayer(l)
	if len(l.Payload) == 0 {
		return nil
	}
	return p.NextDecoder(l.NextLayerType())
}

// lastUDP finds the UDP layer that was decoded just before. The builder is the
// packet itself, in both of gopacket's implementations.
func lastUDP(p gopacket.PacketBuilder) (*layers.UDP, bool) {
	packet, ok := p.(gopacket.Packet)
	if !ok {
		return nil, false
	}
	udp, ok := packet.TransportLayer().(*layers.UDP)
	return udp, ok
}

// Payload implements gopacket.ApplicationLayer.
func (l *IKE) Payload() []byte { return l.BaseLayer.Payload }
