package remedy

import (
	"fmt"
	"slices"
	"strings"

	"ipsecdiag/analyze/spd"
)

// shunt is a child of swanctl.conf that lets packets pass, between a prefix of
// this host and those of others.
type shunt struct {
	name     string
	proto    string // what stands in brackets behind a prefix
	local    string
	remote   []string
	priority uint32
}

// shuntsOf returns the shunts that stand for bypass policies in and out. A shunt
// works in both directions alike.
func shuntsOf(policies []*spd.Policy) []shunt {
	var out []shunt
	for _, p := range policies {
		local, remote := p.Selector.Src.String(), p.Selector.Dst.String()
		if p.Direction == spd.In {
			local, remote = remote, local
		}
		s := shunt{name: "icmpv6", proto: "ipv6-icmp", local: local, priority: p.Priority}
		if p.Selector.SrcPortMask != 0 {
			s.name = strings.ReplaceAll(typeNames[p.Selector.SrcPort], " ", "-")
			s.proto = fmt.Sprintf("ipv6-icmp/%d", p.Selector.SrcPort)
		}
		i := slices.IndexFunc(out, func(o shunt) bool { return o.proto == s.proto && o.local == local && o.priority == s.priority })
		if i < 0 {
			i = len(out)
			out = append(out, s)
		}
		if !slices.Contains(out[i].remote, remote) {
			out[i].remote = append(out[i].remote, remote)
		}
	}
	return out
}

// writeShunts writes the shunts as a connection of swanctl.conf. Its
// remote_addrs keep it from being a candidate for a peer that calls. strongSwan
// takes priority 0 for "compute it", so that 1 is the best there.
func writeShunts(b *strings.Builder, shunts []shunt) {
	b.WriteString("connections {\n    nd-bypass {\n        remote_addrs = 127.0.0.1\n        children {\n")
	for i, s := range shunts {
		fmt.Fprintf(b, "            %s-%d {\n", s.name, i+1)
		fmt.Fprintf(b, "                local_ts = %s[%s]\n", s.local, s.proto)
		var remote []string
		for _, r := range s.remote {
			remote = append(remote, r+"["+s.proto+"]")
		}
		fmt.Fprintf(b, "                remote_ts = %s\n", strings.Join(remote, ", "))
		fmt.Fprintf(b, "                priority = %d\n", max(s.priority, 1))
		b.WriteString("                mode = pass\n                start_action = trap\n            }\n")
	}
	b.WriteString("        }\n    }\n}\n")
}
