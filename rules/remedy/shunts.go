package remedy

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"ipsecdiag/analyze/spd"
)

// shunt is a child of swanctl.conf that lets packets pass.
type shunt struct {
	name     string
	remote   []string // prefixes
	proto    string   // what stands in brackets behind a prefix
	priority uint32   // 0: strongSwan computes it
}

// shuntsOf returns the shunts that let pass what o wants, one for each type. A
// shunt works in both directions alike: with a peer it is a little wider than
// policies are.
func shuntsOf(o NDOptions, priority uint32) []shunt {
	var out []shunt
	of := map[int]int{} // place in out by type
	for _, f := range append(o.far(spd.Out), o.far(spd.In)...) {
		i, known := of[f.typ]
		if !known {
			i = len(out)
			of[f.typ] = i
			out = append(out, shunt{name: "icmpv6", proto: "ipv6-icmp", priority: priority})
			if f.typ >= 0 {
				out[i].name = strings.ReplaceAll(typeNames[uint16(f.typ)], " ", "-")
				out[i].proto = fmt.Sprintf("ipv6-icmp/%d", f.typ)
			}
		}
		if r := f.prefix.String(); !slices.Contains(out[i].remote, r) {
			out[i].remote = append(out[i].remote, r)
		}
	}
	return out
}

// writeShunts writes the shunts as a connection of swanctl.conf. Its
// remote_addrs keep it from being a candidate for a peer that calls.
func writeShunts(w io.Writer, shunts []shunt) error {
	var b strings.Builder
	b.WriteString("connections {\n    nd-bypass {\n        remote_addrs = 127.0.0.1\n        children {\n")
	for _, s := range shunts {
		fmt.Fprintf(&b, "            %s {\n", s.name)
		fmt.Fprintf(&b, "                local_ts = ::/0[%s]\n", s.proto)
		var remote []string
		for _, r := range s.remote {
			remote = append(remote, r+"["+s.proto+"]")
		}
		fmt.Fprintf(&b, "                remote_ts = %s\n", strings.Join(remote, ", "))
		if s.priority != 0 {
			fmt.Fprintf(&b, "                priority = %d\n", s.priority)
		}
		b.WriteString("                mode = pass\n                start_action = trap\n            }\n")
	}
	b.WriteString("        }\n    }\n}\n")
	_, err := io.WriteString(w, b.String())
	return err
}
