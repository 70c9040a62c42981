//go:build linux

package kernel

import (
	"maps"
	"net/netip"
	"strings"
	"testing"

	"ipsecdiag/analyze"
)

func TestTranslations(t *testing.T) {
	key := func(proto uint8, src, dst string, sport, dport uint16) analyze.ClearKey {
		return analyze.ClearKey{Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), Proto: proto, SrcPort: sport, DstPort: dport}
	}
	const (
		echo   = "ipv4     2 icmp     1 29 src=10.9.0.9 dst=10.0.2.2 type=8 code=0 id=7 src=10.0.2.2 dst=10.0.1.1 type=0 code=0 id=7 mark=0 zone=0 use=2\n"
		own    = "ipv4     2 icmp     1 29 src=10.0.1.1 dst=10.0.2.2 type=8 code=0 id=9 src=10.0.2.2 dst=10.0.1.1 type=0 code=0 id=9 mark=0 use=2\n"
		tcp    = "ipv4     2 tcp      6 431999 ESTABLISHED src=10.9.0.9 dst=10.0.2.2 sport=40000 dport=22 src=10.0.2.2 dst=10.0.1.1 sport=22 dport=1024 [ASSURED] mark=0 use=2\n"
		udp    = "ipv6     10 udp      17 29 src=fd00:9::9 dst=fd00:2::2 sport=5353 dport=53 [UNREPLIED] src=fd00:2::2 dst=fd00:1::1 sport=53 dport=5353 mark=0 use=2\n"
		broken = "ipv4 2 tcp\n\nipv4 2 tcp x y src= dst\nipv4 2 udp 17 1 src=a dst=b src=c\nipv4 2 udp 999 1 src=1.1.1.1 dst=1.1.1.2 src=1.1.1.2 dst=1.1.1.3\n"
	)
	ping, pinged := key(1, "10.0.1.1", "10.0.2.2", 8, 0), key(1, "10.9.0.9", "10.0.2.2", 8, 0)
	ssh, sshWas := key(6, "10.0.1.1", "10.0.2.2", 1024, 22), key(6, "10.9.0.9", "10.0.2.2", 40000, 22)
	dns, dnsWas := key(17, "fd00:1::1", "fd00:2::2", 5353, 53), key(17, "fd00:9::9", "fd00:2::2", 5353, 53)
	for _, tt := range []struct {
		name, table string
		want        map[analyze.ClearKey]analyze.ClearKey
	}{
		{"nothing is tracked", "", map[analyze.ClearKey]analyze.ClearKey{}},
		{"an echo", echo, map[analyze.ClearKey]analyze.ClearKey{ping: pinged}},
		{"an echo, and one that was not changed", echo + own, map[analyze.ClearKey]analyze.ClearKey{}},
		{"the same the other way round", own + echo, map[analyze.ClearKey]analyze.ClearKey{}},
		{"ports that are changed too", broken + tcp + broken + udp, map[analyze.ClearKey]analyze.ClearKey{ssh: sshWas, dns: dnsWas}},
	} {
		if got := Translations(strings.NewReader(tt.table), []analyze.ClearKey{ping, ssh, dns}); !maps.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
