package remedy

import (
	"fmt"
	"slices"
	"strings"
)

// configDir is where the files that a unit runs belong.
const configDir = "/etc/ipsecdiag"

// systemd writes a unit that applies the plan at boot, before there is a
// network, and takes it back when it is stopped or when applying fails.
func (e *export) systemd() error {
	var batched []Step
	var start, stop []string
	for _, s := range e.plan.Steps {
		if s.Op != SetSysctl {
			batched = append(batched, s)
			continue
		}
		start = append(start, fmt.Sprintf("ExecStart=/sbin/sysctl -q -w %s=%s", s.Sysctl.Name, s.Sysctl.Value))
		stop = append(stop, fmt.Sprintf("ExecStopPost=-/sbin/sysctl -q -w %s=%s", s.Sysctl.Name, s.Sysctl.Former))
	}
	unit := e.name() + ".service"
	if len(batched) > 0 {
		if err := e.batches(batched); err != nil {
			return err
		}
		start = append(start, fmt.Sprintf("ExecStart=/sbin/ip -batch %s/%s.up", configDir, e.name()))
		stop = append(stop, fmt.Sprintf("ExecStopPost=-/sbin/ip -force -batch %s/%s.down", configDir, e.name()))
	}
	e.add(unit, "/etc/systemd/system", false, e.unit(start, stop))
	e.out.Notes = append(e.out.Notes, fmt.Sprintf("put the files where they belong, then: systemctl daemon-reload; systemctl enable --now %s", unit))
	return nil
}

// batches adds what the unit runs.
func (e *export) batches(steps []Step) error {
	up, err := e.batch(steps, AddPolicy)
	if err != nil {
		return err
	}
	part := Plan{Steps: steps}
	down, err := e.batch(part.Inverse(len(steps)), AddPolicy)
	if err != nil {
		return err
	}
	e.add(e.name()+".up", configDir, e.has(AddSA), e.head()+up)
	e.add(e.name()+".down", configDir, false, fmt.Sprintf("# ipsecdiag fix %s: takes it back\n", e.plan.Action)+down)
	return nil
}

// unit writes the unit. Policies and SAs need no interface, so that they stand
// before the first packet; neighbour entries need theirs.
func (e *export) unit(start, stop []string) string {
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(e.head(), keyWarning))
	fmt.Fprintf(&b, "[Unit]\nDescription=ipsecdiag: %s\n", e.plan.Title)
	if devices := e.devices(); len(devices) > 0 {
		b.WriteString("After=network.target\n")
		for _, d := range devices {
			unit := "sys-subsystem-net-devices-" + unitName(d) + ".device"
			fmt.Fprintf(&b, "BindsTo=%s\nAfter=%s\n", unit, unit)
		}
	} else {
		b.WriteString("DefaultDependencies=no\nAfter=local-fs.target systemd-modules-load.service systemd-sysctl.service\n" +
			"Wants=network-pre.target\nBefore=network-pre.target shutdown.target\nConflicts=shutdown.target\n")
	}
	b.WriteString("\n[Service]\nType=oneshot\nRemainAfterExit=yes\n")
	b.WriteString(strings.Join(append(start, stop...), "\n"))
	b.WriteString("\n\n[Install]\nWantedBy=multi-user.target\n")
	return b.String()
}

// devices returns the interfaces that the steps name.
func (e *export) devices() []string {
	var out []string
	for _, s := range e.plan.Steps {
		if s.Op == SetNeighbour && !slices.Contains(out, s.Device) {
			out = append(out, s.Device)
		}
	}
	return out
}

// unitName escapes a name as systemd does (systemd.unit(5), string escaping).
func unitName(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '/':
			b.WriteByte('-')
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == ':', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String()
}
