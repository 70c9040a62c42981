package rules

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"ipsecdiag/analyze"
)

// saidSince returns what the daemons of both ends, where they were heard, said of the
// pair on these topics since an attempt began.
func saidSince(p *Pass, since analyze.Sighting, topics ...analyze.Topic) (all []analyze.SeenSaying) {
	for _, s := range p.View.Pair.Said(topics...) {
		if s.At.Mono >= since.Mono-time.Second {
			all = append(all, s)
		}
	}
	return all
}

// saidEvidence quotes sayings.
func saidEvidence(all []analyze.SeenSaying) (ev []Evidence) {
	for i := range all {
		ev = append(ev, Saw(all[i].At, "%s says: %s", analyze.Printable(all[i].Daemon), all[i].String()))
	}
	return ev
}

// quoted is what a daemon said, in a sentence.
func quoted(s *analyze.SeenSaying) string {
	return fmt.Sprintf("%s on %s says \"%s\"", analyze.Printable(s.Daemon), s.At.Origin().Host, s.String())
}

// viewOf returns what the host that has an address saw of the pair, nil where none
// of the observers has it.
func viewOf(p *Pass, end netip.Addr) *analyze.View {
	for _, v := range p.views() {
		if v.Local == end && end.IsValid() {
			return v
		}
	}
	return nil
}

// daemonAt returns which daemon serves an end, "" where that is not known, and the
// name of its connection for the pair, "" likewise.
func daemonAt(p *Pass, end netip.Addr) (daemon, connection string) {
	v := viewOf(p, end)
	if v == nil {
		return "", ""
	}
	if all := v.Connections(); len(all) > 0 {
		connection = analyze.Printable(all[0].Name)
	}
	for _, d := range v.Host.IKEDaemons {
		return d.Daemon, connection
	}
	for _, l := range v.Host.Daemons() {
		switch {
		case strings.HasPrefix(l.Name, "charon"):
			return analyze.StrongSwan, connection
		case strings.HasPrefix(l.Name, "pluto"):
			return analyze.Libreswan, connection
		}
	}
	return "", connection
}

// setting says where something is set at an end: the line of swanctl.conf under its
// connection or, for libreswan, of ipsec.conf. Of an end whose daemon is not known it
// gives both.
func setting(p *Pass, end netip.Addr, swan, libre string) string {
	daemon, connection := daemonAt(p, end)
	if connection == "" {
		connection = unnamed
	}
	inSwan := fmt.Sprintf("in swanctl.conf connections.%s.%s", connection, swan)
	inLibre := fmt.Sprintf("in ipsec.conf, conn %s: %s", connection, libre)
	switch daemon {
	case analyze.StrongSwan:
		return inSwan
	case analyze.Libreswan:
		return inLibre
	}
	return fmt.Sprintf("with strongSwan %s; with libreswan %s", inSwan, inLibre)
}

// reload is the command that makes an end's daemon read its configuration again.
func reload(p *Pass, end netip.Addr) string {
	daemon, connection := daemonAt(p, end)
	switch {
	case daemon != analyze.Libreswan:
		return "swanctl --load-all"
	case connection == "":
		return "ipsec auto --replace " + unnamed
	}
	return "ipsec auto --replace " + shellWord(connection)
}

// unnamed stands for the name of a connection that is not known.
const unnamed = "<connection>"

// readLog is the command that shows what the daemons logged.
const readLog = "journalctl --no-pager --since -10min -u strongswan -u ipsec"
