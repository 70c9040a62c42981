package analyze

import (
	"fmt"
	"strings"
)

// describeWord says in one line what a daemon told.
func describeWord(w *Word) string {
	name := w.Name()
	switch y := w.Saying; {
	case y != nil:
		return name + ": " + y.String()
	case w.Silent != "":
		return name + " is not heard any more: " + Printable(w.Silent)
	}
	var parts []string
	if w.Whole {
		parts = append(parts, fmt.Sprintf("%d connections, %d IKE SAs", len(w.Connections), len(w.SAs)))
	} else if n := len(w.Connections); n > 0 {
		parts = append(parts, fmt.Sprintf("%d connections", n))
	}
	for i := range w.SAs {
		if len(parts) == maxListed {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, w.SAs[i].String())
	}
	if len(w.Gone) > 0 {
		parts = append(parts, fmt.Sprintf("%d IKE SAs are gone", len(w.Gone)))
	}
	return name + " holds " + strings.Join(parts, "; ")
}

// Name is the daemon's name with its version.
func (w *Word) Name() string { return daemonName(w.Daemon, w.Version) }

// Name is the daemon's name with its version.
func (d *IKEDaemon) Name() string { return daemonName(d.Daemon, d.Version) }

func daemonName(daemon, version string) string {
	if version == "" {
		return Printable(daemon)
	}
	return Printable(daemon) + " " + Printable(version)
}

// String gives the connection and the line, fit to be shown.
func (y *Saying) String() string {
	text := Printable(y.Line)
	if y.Count > 1 {
		text += fmt.Sprintf(" (%d times)", y.Count)
	}
	if y.Connection != "" {
		text = Printable(y.Connection) + ": " + text
	}
	return text
}

// String names an IKE SA in words: connection, state, CHILD SAs.
func (sa *DaemonSA) String() string {
	text := fmt.Sprintf("IKE SA %s of %s %s", Printable(sa.ID), Printable(sa.Connection), Printable(sa.State))
	if n := len(sa.Children); n > 0 {
		text += fmt.Sprintf(" with %d CHILD SAs", n)
	}
	return text
}
