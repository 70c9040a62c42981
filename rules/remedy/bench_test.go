package remedy

import (
	"net/netip"
	"testing"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// crowd is a host with n policies for as many neighbours.
func crowd(n int, priority uint32) *analyze.KernelState {
	k := kernelOf()
	for i := range n {
		a := [16]byte{0: 0xfd, 14: byte((i + 1) >> 8), 15: byte(i + 1)}
		p := with(hostPolicy(spd.Out, priority), func(p *spd.Policy) { p.Selector.Dst = netip.PrefixFrom(netip.AddrFrom16(a), 128) })
		k.Policies = append(k.Policies, p)
	}
	return k
}

func BenchmarkNDBypassAmong10000(b *testing.B) {
	k := crowd(10000, 268928)
	for b.Loop() {
		if _, err := NDBypass(k, NDOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNDBypassAmong1000OfPriority0(b *testing.B) {
	k := crowd(1000, 0)
	for b.Loop() {
		if _, err := NDBypass(k, NDOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
