package text

import (
	"path"
	"strings"
)

// setting is the value of a variable and where it is set.
type setting struct {
	value string
	at    Pos
}

// ifcfg is an ifcfg-ipsecN file with its keys file.
type ifcfg struct {
	r    *Result
	file string
	vars map[string]setting
}

// ifcfgVars are the variables that ifup-ipsec reads, and those that any ifcfg
// file may have. Others are errors: a misspelt SPI_ESP_OUT is none.
var ifcfgVars = func() map[string]bool {
	known := map[string]bool{}
	for _, name := range strings.Fields(`TYPE ONBOOT DEVICE NAME UUID USERCTL BOOTPROTO NM_CONTROLLED
		SRC DST SRCNET DSTNET SRCGW KEYING MYID_TYPE MYID_VALUE
		IKE_METHOD IKE_PSK IKE_CERTFILE IKE_PEER_CERTFILE IKE_DNSSEC IKE_DHGROUP IKE_AUTH IKE_ENC`) {
		known[name] = true
	}
	for _, stem := range strings.Fields(`SPI_AH SPI_ESP KEY_AH KEY_ESP KEY_AESP AH_PROTO ESP_PROTO AESP_PROTO`) {
		known[stem], known[stem+"_IN"], known[stem+"_OUT"] = true, true, true
	}
	return known
}()

// parseIfcfgs reads the ifcfg files among files, each with the keys file that
// belongs to it: keys-ipsec0 to ifcfg-ipsec0.
func parseIfcfgs(r *Result, files []File) {
	var all []*ifcfg
	var keys []File
	for _, f := range files {
		if Detect(f.Data) == KindIfcfgKeys {
			keys = append(keys, f)
			continue
		}
		c := &ifcfg{r: r, file: f.Name, vars: map[string]setting{}}
		c.read(f)
		all = append(all, c)
	}
	for _, f := range keys {
		if c := ifcfgOf(f.Name, all); c != nil {
			c.read(f)
		} else {
			r.Errors.add(Pos{File: f.Name}, "a keys file without the ifcfg file that it belongs to")
		}
	}
	for _, c := range all {
		c.bringUp()
	}
}

// ifcfgOf returns the ifcfg file to which a keys file belongs: the one with its
// name, or the only one.
func ifcfgOf(keys string, all []*ifcfg) *ifcfg {
	name := strings.TrimPrefix(path.Base(keys), "keys-")
	for _, c := range all {
		if strings.TrimPrefix(path.Base(c.file), "ifcfg-") == name {
			return c
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return nil
}

// read takes the assignments of a file. Later ones win, as in the shell that
// sources ifcfg-ipsecN and then keys-ipsecN (network-functions, source_config).
func (c *ifcfg) read(f File) {
	for l := range lines(f.Data) {
		if blank(l.text) {
			continue
		}
		at := Pos{File: f.Name, Line: l.n}
		name, rest, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(l.text), "export ")), "=")
		if !ok || !ifcfgVars[name] {
			c.r.Errors.add(at, "not the assignment of a variable that ifup-ipsec knows")
			continue
		}
		value, wrong := shellValue(rest)
		if wrong != "" {
			c.r.Errors.add(at, wrong)
			continue
		}
		c.vars[name] = setting{value: value, at: at}
		if strings.HasPrefix(name, "KEY_") || name == "IKE_PSK" {
			c.r.Secrets[f.Name] = true
		}
	}
}

// shellValue reads a word of the shell that needs no expansion.
func shellValue(s string) (value, wrong string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\'', '"':
			end := strings.IndexByte(s[i+1:], c)
			if end < 0 {
				return "", "a quotation mark is not closed"
			}
			inner := s[i+1 : i+1+end]
			if c == '"' && strings.ContainsAny(inner, "$`\\") {
				return "", "the value needs a shell to expand it"
			}
			b.WriteString(inner)
			i += end + 1
		case '$', '`', '\\', '(', ')', '&', '|', '<', '>':
			return "", "the value needs a shell to expand it"
		case ' ', '\t', ';':
			if rest := strings.TrimLeft(s[i:], " \t;"); rest != "" && rest[0] != '#' {
				return "", "more than one word after the equals sign"
			}
			return b.String(), ""
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

// get returns the value of the first of these variables that is set.
func (c *ifcfg) get(names ...string) (setting, bool) {
	for _, name := range names {
		if s, ok := c.vars[name]; ok && s.value != "" {
			return s, true
		}
	}
	return setting{at: Pos{File: c.file}}, false
}

// or returns the value of a variable, or what ifup-ipsec takes without it.
func (c *ifcfg) or(otherwise string, names ...string) setting {
	s, ok := c.get(names...)
	if !ok {
		s.value = otherwise
	}
	return s
}
