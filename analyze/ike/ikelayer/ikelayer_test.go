package ikelayer_test

import (
	"errors"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"ipsecdiag/analyze/ike"
	"ipsecdiag/analyze/ike/ikelayer"
)

func decode(src, dst layers.UDPPort, payload []byte) gopacket.Packet {
	ikelayer.Register()
	return gopacket.NewPacket(frame(src, dst, payload), layers.LayerTypeEthernet, gopacket.DecodeOptions{SkipDecodeRecovery: true})
}

func TestKinds(t *testing.T) {
	esp := []byte{1, 2, 3, 4, 0, 0, 0, 9, 0xaa}
	tests := []struct {
		name     string
		src, dst layers.UDPPort
		payload  []byte
		kind     ike.UDPKind
		last     gopacket.LayerType
	}{
		{"IKE on 500", 500, 500, answer[4:], ike.UDPIKE, ikelayer.LayerTypeIKE},
		{"IKE behind the marker", 31234, 4500, answer, ike.UDPIKE, ikelayer.LayerTypeIKE},
		{"keepalive", 4500, 4500, []byte{0xff}, ike.UDPKeepalive, gopacket.LayerTypePayload},
		{"ESP", 4500, 4500, esp, ike.UDPESP, layers.LayerTypeIPSecESP},
		{"too short for ESP", 4500, 4500, esp[:7], ike.UDPUnknown, gopacket.LayerTypePayload},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := decode(tt.src, tt.dst, tt.payload)
			l, ok := p.Layer(ikelayer.LayerTypeUDP).(*ikelayer.UDP)
			if !ok || l.Kind != tt.kind {
				t.Fatalf("layer %v in %v", l, p)
			}
			all := p.Layers()
			if got := all[len(all)-1].LayerType(); got != tt.last {
				t.Errorf("last layer is %v, not %v", got, tt.last)
			}
		})
	}
}

func TestShortAndDamaged(t *testing.T) {
	short := decode(4500, 4500, answer[:20])
	if short.ErrorLayer() == nil || !short.Metadata().Truncated {
		t.Error("half an ISAKMP header went unnoticed")
	}
	cut := decode(500, 500, answer[4:36])
	l, ok := cut.Layer(ikelayer.LayerTypeIKE).(*ikelayer.IKE)
	if !ok || !errors.Is(l.Err, ike.ErrTruncated) || !cut.Metadata().Truncated {
		t.Errorf("message cut short: %+v", l)
	}
	if got := l.LayerContents(); len(got) != 32 {
		t.Errorf("contents have %d bytes", len(got))
	}
	if cut.ApplicationLayer() == nil {
		t.Error("IKE is not the application layer")
	}
}
