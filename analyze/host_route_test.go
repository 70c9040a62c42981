package analyze

import (
	"net/netip"
	"testing"
)

func TestGatewayIsThatOfTheLongestPrefix(t *testing.T) {
	route := func(dst, via string, metric uint32) Route {
		r := Route{Dst: netip.MustParsePrefix(dst), IfIndex: 2, Metric: metric}
		if via != "" {
			r.Gateway = netip.MustParseAddr(via)
		}
		return r
	}
	h := newHost(Origin{Host: "glass"})
	h.Links = []Link{{Index: 2, Name: "eth0"}}
	h.Routes = []Route{
		route("0.0.0.0/0", "10.0.1.254", 0), route("10.0.1.0/24", "", 0), route("10.9.0.0/16", "10.0.1.9", 20), route("10.9.0.0/16", "10.0.1.8", 10),
		route("10.7.0.0/16", "10.0.1.7", 5), route("10.7.0.0/16", "10.0.1.6", 5), route("::/0", "fe80::1", 1024),
	}
	for dst, want := range map[string]string{
		"192.0.2.1": "10.0.1.254", "10.0.1.3": "", "10.9.1.1": "10.0.1.8", "10.7.0.1": "", "2001:db8::1": "fe80::1%eth0",
	} {
		got := ""
		if g := h.Gateway(netip.MustParseAddr(dst)); g.IsValid() {
			got = g.String()
		}
		if got != want {
			t.Errorf("the gateway to %s is %q, want %q", dst, got, want)
		}
	}
}
