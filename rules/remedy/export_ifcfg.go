package remedy

import (
	"fmt"
	"net/netip"
	"strings"

	"ipsecdiag/analyze/spd"
)

// ifcfgDir is where ifup looks.
const ifcfgDir = "/etc/sysconfig/network-scripts"

// ifcfg writes the pair of files that ifup-ipsec of Red Hat's initscripts reads.
// It chooses reqids and priorities itself, and has no words for a bypass.
func (e *export) ifcfg() error {
	local, err := netip.ParseAddr(e.plan.Params["local"])
	if err != nil || !e.has(AddSA) {
		return refuse(Inexpressive, "ifcfg files have no words for %s: they hold SAs and the policies for them", e.plan.Action)
	}
	f := &ifcfgFiles{export: e, local: local, values: map[string]string{}}
	for i := range e.plan.Steps {
		if err := f.step(&e.plan.Steps[i]); err != nil {
			return err
		}
	}
	if f.tunnel && f.ah {
		return refuse(Inexpressive, "ifcfg files have no words for AH around a tunnel: ifup-ipsec would make a second tunnel of it")
	}
	config, keys := f.write()
	e.add("ifcfg-ipsec0", ifcfgDir, false, config)
	e.add("keys-ipsec0", ifcfgDir, true, keys)
	e.out.Notes = append(e.out.Notes, "if there is an ipsec0 already, give both files the next number; then: ifup ipsec0")
	return nil
}

// ifcfgFiles is what goes into the two files.
type ifcfgFiles struct {
	*export
	local, peer netip.Addr
	values      map[string]string
	srcNet      netip.Prefix
	dstNet      netip.Prefix
	tunnel, ah  bool
}

func (f *ifcfgFiles) step(s *Step) error {
	switch {
	case s.Op == AddSA:
		return f.sa(s)
	case s.Policy != nil && s.Policy.Bypass():
		f.note("ifcfg files have no words for the bypass of neighbour discovery: export it as ip, setkey or systemd as well")
	case s.Policy != nil && s.Op == AddPolicy && len(s.Policy.Templates) > 0:
		if s.Policy.Direction == spd.Out && s.Policy.Templates[0].Mode == spd.Tunnel {
			f.srcNet, f.dstNet = s.Policy.Selector.Src, s.Policy.Selector.Dst
		}
	case s.Op == ReplacePolicy:
		f.note("ifcfg files have no words for a worse number of a policy that stands: %s", s.Policy)
	default:
		return refuse(Inexpressive, "ifcfg files have no words for %s", s.Command())
	}
	return nil
}

func (f *ifcfgFiles) note(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	for _, o := range f.out.Notes {
		if o == s {
			return
		}
	}
	f.out.Notes = append(f.out.Notes, s)
}

// sa notes the values of one SA.
func (f *ifcfgFiles) sa(s *Step) error {
	dir, peer := "OUT", s.SA.Dst
	if s.SA.Dst == f.local {
		dir, peer = "IN", s.SA.Src
	}
	f.peer = peer
	auth, err := pfkeyAlgorithm("ifcfg files", authentication, s.SA.Auth)
	if err != nil {
		return err
	}
	p := strings.ToUpper(spd.ProtocolName(s.SA.Proto))
	f.values["SPI_"+p+"_"+dir] = fmt.Sprintf("%#x", s.SA.SPI)
	if s.SA.Proto == spd.ProtoAH {
		f.ah = true
		f.values["AH_PROTO"], f.values["KEY_AH_"+dir] = auth.setkey, f.keys.hexKey(s.Keys.Auth)
		return nil
	}
	enc, err := pfkeyAlgorithm("ifcfg files", encryption, s.SA.Enc)
	if err != nil {
		return err
	}
	f.tunnel = s.SA.Mode == spd.Tunnel
	f.values["ESP_PROTO"], f.values["KEY_ESP_"+dir] = enc.setkey, f.keys.hexKey(s.Keys.Enc)
	f.values["AESP_PROTO"], f.values["KEY_AESP_"+dir] = auth.setkey, f.keys.hexKey(s.Keys.Auth)
	return nil
}

// write returns the content of both files.
func (f *ifcfgFiles) write() (config, keys string) {
	var c, k strings.Builder
	c.WriteString(strings.TrimSuffix(f.head(), keyWarning))
	fmt.Fprintf(&c, "TYPE=IPSEC\nONBOOT=yes\nSRC=%s\nDST=%s\n", f.local, f.peer)
	if f.tunnel {
		fmt.Fprintf(&c, "SRCNET=%s\nDSTNET=%s\n", or(f.srcNet, f.local), or(f.dstNet, f.peer))
	}
	if !f.ah {
		f.values["AH_PROTO"] = "none"
	}
	for _, name := range []string{"SPI_ESP_IN", "SPI_ESP_OUT", "ESP_PROTO", "AESP_PROTO", "SPI_AH_IN", "SPI_AH_OUT", "AH_PROTO"} {
		if v := f.values[name]; v != "" {
			fmt.Fprintf(&c, "%s=%s\n", name, v)
		}
	}
	k.WriteString(keyWarning)
	for _, name := range []string{"KEY_ESP_IN", "KEY_ESP_OUT", "KEY_AESP_IN", "KEY_AESP_OUT", "KEY_AH_IN", "KEY_AH_OUT"} {
		if v := f.values[name]; v != "" {
			fmt.Fprintf(&k, "%s=%s\n", name, v)
		}
	}
	return c.String(), k.String()
}

func or(p netip.Prefix, a netip.Addr) netip.Prefix {
	if p.IsValid() {
		return p
	}
	return hostPrefix(a)
}
