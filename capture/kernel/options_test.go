package kernel

import (
	"strings"
	"testing"
	"time"
)

func TestAcquireMode(t *testing.T) {
	var m AcquireMode
	if m.String() != "auto" || m.Type() == "" {
		t.Errorf("zero value is %s, type %q", m, m.Type())
	}
	for _, name := range []string{"always", "never", "auto"} {
		if err := m.Set(name); err != nil || m.String() != name {
			t.Errorf("set %s: %s, error %v", name, m, err)
		}
	}
	if err := m.Set("sometimes"); err == nil || !strings.Contains(err.Error(), "auto, always, never") {
		t.Errorf("error %v does not name the modes", err)
	}
}

func TestDefaults(t *testing.T) {
	o := Options{}.withDefaults()
	if o.ProcRoot != "/proc" || o.Poll != time.Second || o.Warn == nil {
		t.Errorf("defaults %+v", o)
	}
}

func TestPrivilegesMissing(t *testing.T) {
	for _, p := range []Privileges{{}, {NetAdmin: true}, {NetRaw: true}, {NetAdmin: true, NetRaw: true}} {
		s := p.Missing()
		if strings.Contains(s, "CAP_NET_ADMIN") == p.NetAdmin || strings.Contains(s, "CAP_NET_RAW") == p.NetRaw {
			t.Errorf("%+v: %q", p, s)
		}
	}
}
