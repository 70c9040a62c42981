package capture

import (
	"net"
	"testing"
)

// What two hosts say to each other is seen at both ends, once, with the
// directions reversed; what has nothing to do with IPsec is not seen.
func TestIntegrationLiveBothEnds(t *testing.T) {
	a, b := twoHosts(t)
	atA, atB := watch(t, a, "va"), watch(t, b, "vb")
	peer6, peer4 := net.ParseIP("fd00:9::2"), net.ParseIP("10.9.0.2")

	sendUDP(t, a, 1234, "[fd00:9::2]:53", "not this")
	sendUDP(t, a, 500, "[fd00:9::2]:500", "six")
	sendUDP(t, a, 500, "10.9.0.2:500", "four")
	sendUDP(t, a, 4500, "10.9.0.2:4500", "\xff")
	sendUDP(t, a, 4500, "10.9.0.2:4500", "\x00\x00\x0a\x01\x00\x00\x00\x05")
	sendIP(t, a, 6, peer6, make([]byte, 20))
	sendIP(t, a, 51, peer4, append([]byte{59, 4, 0, 0, 0, 0, 0x0a, 2, 0, 0, 0, 6}, make([]byte, 12)...))
	sendIP(t, a, 50, peer6, espPacket(0xa03, 1))
	sendIP(t, a, 50, peer4, espPacket(0xa04, 1))

	once := []string{
		`udp 500>500 "six"`, `udp 500>500 "four"`, `udp 4500>4500 "\xff"`,
		"spi a01 seq 5", "spi a02 seq 6", "spi a03 seq 1", "spi a04 seq 1",
	}
	for _, want := range once {
		atA.untilFrame(t, "out "+want)
		atB.untilFrame(t, "in "+want)
	}
	for _, w := range []struct {
		*watching
		asked, answered string
	}{{atA, "out", "in"}, {atB, "in", "out"}} {
		w.untilFrame(t, w.asked+" icmpv6 135")
		w.untilFrame(t, w.answered+" icmpv6 136")
		w.untilFrame(t, w.answered+" icmpv6 1") // port 500 unreachable
		for _, want := range once {
			if n := countOf(w.seen(), w.asked+" "+want); n != 1 {
				t.Errorf("%s %s was seen %d times, want once", w.asked, want, n)
			}
			if n := countOf(w.seen(), w.answered+" "+want); n != 0 {
				t.Errorf("%s %s was seen, in the wrong direction", w.answered, want)
			}
		}
	}
	for _, line := range append(described(atA.seen()), described(atB.seen())...) {
		if line == `out udp 1234>53 "not this"` || line == "out proto 6" || line == "in proto 6" {
			t.Errorf("%s was seen", line)
		}
	}
}
