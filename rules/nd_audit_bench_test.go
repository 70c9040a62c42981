package rules

import (
	"net/netip"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// manyHosts makes policies for that many peers on the link, in and out, each
// caught unless bypass.
func manyHosts(n int, bypass bool) analyze.KernelState {
	k := teapotHost()
	for i := range n / 2 {
		b := teapot.As16()
		b[13], b[14], b[15] = 1, byte(i>>8), byte(i)
		peer := netip.AddrFrom16(b).String() + "/128"
		k.Policies = append(k.Policies, pol(spd.Out, "fd00::2/128", peer, 1000, withESP), pol(spd.In, peer, "fd00::2/128", 1000, withESP))
	}
	if bypass {
		k.Policies = append(k.Policies, nd(100, "out in", "135 136")...)
	}
	return k
}

func BenchmarkAuditOfNeighbourDiscovery(b *testing.B) {
	for name, bypass := range map[string]bool{"caught": false, "bypassed": true} {
		b.Run(name, func(b *testing.B) {
			k := manyHosts(10_000, bypass)
			for b.Loop() {
				found := auditState(k, ndRules...)
				if bypass != (len(found) == 0) {
					b.Fatalf("%d findings", len(found))
				}
			}
		})
	}
}
