package daemon

import (
	"net/netip"
	"slices"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/lazy"
)

// What `ipsec whack --status` prints (libreswan 4 and 5, programs/pluto:
// show_status). Each line begins with "000 ":
//
//	pluto_version=4.10, pluto_vendorid=…
//	"net": 10.7.0.0/16===10.9.0.1[@glass]...%any===10.8.0.0/24; unrouted; eroute owner: #0
//	"net":   our auth:secret, their auth:secret, …
//	"net":   policy: IKEv1+PSK+ENCRYPT+TUNNEL+…;
//	"net":   our idtype: ID_FQDN; our id=@glass; their idtype: %none; their id=(none)
//	#1: "net":500 STATE_V2_ESTABLISHED_IKE_SA (established IKE SA); REKEY in 28000s; …
//	#2: "net":500 STATE_V2_ESTABLISHED_CHILD_SA (established Child SA); …; IKE SA #1; idle;
//	#2: "net" esp.d23c0e5@10.9.0.2 esp.1f7a1c5c@10.9.0.1 tun.0@10.9.0.2 tun.0@10.9.0.1 Traffic: …
//
// Between IPv6 addresses an SPI is written with a colon: esp:d23c0e5@fd00::2. IKEv1
// calls the IKE SA "ISAKMP SA #1".
//
// Two answers of whack are not asked for, since they tell nothing more: of
// --trafficstatus the kernel's own counters are newer, and the %hold of
// --shuntstatus stays for a quarter of an hour (shuntlifetime), beside SAs that carry
// the traffic and after they are deleted.
var (
	versionLine = lazy.Regexp(`^pluto_version=([^,]+),`)
	connLine    = lazy.Regexp(`^"([^"]*)"(?:\[(\d+)\])?( \S+)?: ( *)(.*)$`)
	stateLine   = lazy.Regexp(`^#(\d+): "([^"]*)"(?:\[(\d+)\])?( [^ :]\S*)?:\d+ (?:\S+ )?(STATE_\w+) \(([^)]*)\);(.*)$`)
	initiating  = lazy.Regexp(`_I\d+$`) // a state that stands does not tell
	ownerOf     = lazy.Regexp(`(?:IKE SA |ISAKMP SA |isakmp)#(\d+)`)
	spiLine     = lazy.Regexp(`^#(\d+): "[^"]*".*? ((?:esp|ah)[.:][0-9a-f]+@.*)$`)
	spiOf       = lazy.Regexp(`^(?:esp|ah)[.:]([0-9a-f]{1,8})@(\S+)$`)
)

// whackStatus is what it says.
type whackStatus struct {
	version string
	conns   []analyze.Connection
	sas     []analyze.DaemonSA

	byName map[string]int // of conns
	byID   map[string]int // of sas
	child  map[string]*analyze.DaemonChild
	owner  map[string]string // of children: the IKE SA's number
}

// parseWhack reads the output of --status, or of --showstates, which has the
// states alone: known are the connections that are known from before. What it
// does not know it skips.
func parseWhack(out string, known []analyze.Connection) *whackStatus {
	w := &whackStatus{
		byName: map[string]int{}, byID: map[string]int{}, child: map[string]*analyze.DaemonChild{}, owner: map[string]string{},
	}
	for _, c := range known {
		w.byName[c.Name] = len(w.conns)
		w.conns = append(w.conns, c)
	}
	var order []string // of children
	for line := range strings.Lines(out) {
		line, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "000 ")
		if !ok || len(line) > maxStatusLine {
			continue
		}
		switch {
		case strings.HasPrefix(line, `"`):
			w.connection(line)
		case strings.HasPrefix(line, "#"):
			if id, isChild := w.state(line); isChild {
				order = append(order, id)
			}
		default:
			if m := versionLine().FindStringSubmatch(line); m != nil {
				w.version = cut(m[1], maxText)
			}
		}
	}
	w.adopt(order)
	return w
}

// maxStatusLine bounds one line of whack's output.
const maxStatusLine = 16 << 10

// connection takes a line about a connection. Instances of a template have their
// number and the peer's address behind the name.
func (w *whackStatus) connection(line string) {
	m := connLine().FindStringSubmatch(line)
	if m == nil {
		return
	}
	name := instanceName(m[1], m[2])
	i, ok := w.byName[name]
	if !ok {
		if len(w.conns) >= maxConnections {
			return
		}
		i = len(w.conns)
		w.byName[name] = i
		w.conns = append(w.conns, analyze.Connection{Name: name})
	}
	c := &w.conns[i]
	if m[4] == "" { // the rest is indented
		topology(c, m[5])
		return
	}
	detail(c, m[5])
}

// instanceName is the name of a connection, with its number where it is an
// instance: "net[2]".
func instanceName(name, instance string) string {
	if instance != "" {
		name += "[" + instance + "]"
	}
	return cut(name, maxText)
}

// topology reads who speaks to whom: networks stand before "===" on this end,
// behind it on the other; identities, names and next hops are marked.
func topology(c *analyze.Connection, text string) {
	text, _, _ = strings.Cut(text, "; ")
	left, right, ok := strings.Cut(text, "...")
	if !ok {
		return
	}
	child := analyze.Child{Name: c.Name}
	if net, host, ok := cutLast(left, "==="); ok {
		child.LocalTS, left = []string{cut(net, maxText)}, host
	}
	if host, net, ok := strings.Cut(right, "==="); ok {
		child.RemoteTS, right = []string{cut(net, maxText)}, host
	}
	left, _, _ = strings.Cut(left, "---") // the next hop
	if _, host, ok := cutLast(right, "---"); ok {
		right = host
	}
	c.LocalAddrs, c.RemoteAddrs = []string{hostOf(left)}, []string{hostOf(right)}
	c.Children = []analyze.Child{child}
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// hostOf returns the address of "10.9.0.1<gw.example>[@glass,+S=C]:17/1701".
func hostOf(text string) string {
	if i := strings.IndexAny(text, "<["); i >= 0 {
		text = text[:i]
	}
	return cut(text, maxText)
}

// detail reads a further line about a connection: of all that it says the
// identities, how the ends are authenticated, version and mode.
func detail(c *analyze.Connection, text string) {
	for part := range strings.SplitSeq(text, ";") {
		part = strings.TrimSpace(part)
		switch key, value, _ := strings.Cut(part, "="); key {
		case "our id":
			c.LocalID = identityOf(value)
		case "their id":
			c.RemoteID = identityOf(value)
		}
		if policy, ok := strings.CutPrefix(part, "policy: "); ok {
			policies(c, policy)
		}
	}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if auth, ok := strings.CutPrefix(part, "our auth:"); ok {
			c.LocalAuth = cut(strings.TrimRight(auth, ";"), maxText)
		}
		if auth, ok := strings.CutPrefix(part, "their auth:"); ok {
			c.RemoteAuth = cut(strings.TrimRight(auth, ";"), maxText)
		}
	}
}

// identityOf is an identity, "" for none.
func identityOf(text string) string {
	if text == "(none)" {
		return ""
	}
	return cut(text, maxText)
}

func policies(c *analyze.Connection, text string) {
	all := strings.Split(text, "+")
	switch v1, v2 := slices.Contains(all, "IKEv1"), slices.Contains(all, "IKEv2"); {
	case v1 && v2:
		c.IKE = "IKEv1/2"
	case v1:
		c.IKE = "IKEv1"
	case v2:
		c.IKE = "IKEv2"
	}
	mode := "TRANSPORT"
	if slices.Contains(all, "TUNNEL") {
		mode = "TUNNEL"
	}
	for i := range c.Children {
		c.Children[i].Mode = mode
	}
}

// state takes a line about a state: an IKE SA, or a CHILD SA under one.
func (w *whackStatus) state(line string) (id string, isChild bool) {
	if m := spiLine().FindStringSubmatch(line); m != nil {
		w.spis(m[1], m[2])
		return m[1], false
	}
	m := stateLine().FindStringSubmatch(line)
	if m == nil || len(w.sas)+len(w.child) >= maxSAs {
		return "", false
	}
	id, name, state := cut(m[1], 20), instanceName(m[2], m[3]), cut(m[5], maxText)
	if strings.Contains(state, "CHILD") || strings.HasPrefix(state, "STATE_QUICK") {
		w.child[id] = &analyze.DaemonChild{ID: id, Name: name, State: state}
		if o := ownerOf().FindStringSubmatch(m[7]); o != nil {
			w.owner[id] = cut(o[1], 20)
		}
		return id, true
	}
	sa := analyze.DaemonSA{ID: id, Connection: name, State: state, Major: 1}
	if strings.HasPrefix(state, "STATE_V2") {
		sa.Major = 2
	}
	sa.Initiator = initiating().MatchString(state)
	w.ends(&sa, strings.TrimSpace(m[4]))
	w.byID[id] = len(w.sas)
	w.sas = append(w.sas, sa)
	return id, false
}

// ends gives an IKE SA the addresses of its connection, the peer's own where it
// is an instance.
func (w *whackStatus) ends(sa *analyze.DaemonSA, peer string) {
	i, ok := w.byName[sa.Connection]
	if !ok {
		return
	}
	c := &w.conns[i]
	sa.LocalID, sa.RemoteID = c.LocalID, c.RemoteID
	sa.Local, sa.Remote = connectionEnds(c)
	if a := endpoint(peer, ""); a.IsValid() {
		sa.Remote = a
	}
}

// connectionEnds returns the two addresses of a connection, where it is for two
// single ones.
func connectionEnds(c *analyze.Connection) (local, remote netip.AddrPort) {
	if len(c.LocalAddrs) == 1 {
		local = endpoint(c.LocalAddrs[0], "")
	}
	if len(c.RemoteAddrs) == 1 {
		remote = endpoint(c.RemoteAddrs[0], "")
	}
	return local, remote
}

// spis reads the SPIs of a CHILD SA: of two, the first goes out to the peer, whose
// address is behind it, the second comes in.
func (w *whackStatus) spis(id, text string) {
	child := w.child[id]
	if child == nil {
		return
	}
	n := 0
	for _, word := range strings.Fields(text) {
		m := spiOf().FindStringSubmatch(word)
		if m == nil {
			break
		}
		if n == 0 {
			child.SPIOut = hex32(m[1])
		} else if n == 1 {
			child.SPIIn = hex32(m[1])
		}
		n++
	}
}

// adopt gives the CHILD SAs to their IKE SAs. One whose IKE SA is gone is left
// out: IKEv1 keeps such (RFC 2409), and the kernel tells of its SAs.
func (w *whackStatus) adopt(order []string) {
	for _, id := range order {
		i, ok := w.byID[w.owner[id]]
		if ok && len(w.sas[i].Children) < maxChildren {
			w.sas[i].Children = append(w.sas[i].Children, *w.child[id])
		}
	}
}

// strange reports whether an IKE SA is of a connection that is not known: it was added
// since the connections were asked for.
func (w *whackStatus) strange() bool {
	for i := range w.sas {
		if _, ok := w.byName[w.sas[i].Connection]; !ok && len(w.conns) < maxConnections {
			return true
		}
	}
	return false
}

// unfinished are the IKE SAs that do not stand yet.
func unfinished(sas []analyze.DaemonSA) (all []analyze.DaemonSA) {
	for _, sa := range sas {
		if !strings.Contains(sa.State, "ESTABLISHED") && sa.State != "STATE_MAIN_I4" && sa.State != "STATE_MAIN_R3" {
			all = append(all, sa)
		}
	}
	return all
}
