package kernel

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ipsecdiag/capture/procfs"
)

// proc is a /proc file system, or a tree of files that stands for one.
type proc string

// net returns a file of the reading thread's namespace. /proc/net would follow
// the main thread.
func (p proc) net(name string) string { return filepath.Join(string(p), "thread-self", "net", name) }

// counters reads xfrm_stat and what concerns IPv6 and ICMPv6 in snmp6, all by
// the kernel's names.
func (p proc) counters() (map[string]uint64, error) {
	out := map[string]uint64{}
	xfrm := p.addCounters(out, "xfrm_stat", func(string) bool { return true })
	snmp := p.addCounters(out, "snmp6", func(name string) bool {
		return strings.HasPrefix(name, "Ip6") || strings.HasPrefix(name, "Icmp6")
	})
	return out, errors.Join(xfrm, snmp)
}

// addCounters reads lines of a name and a number.
func (p proc) addCounters(out map[string]uint64, file string, want func(name string) bool) error {
	b, err := procfs.Read(p.net(file))
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) != 2 || !want(f[0]) {
			continue
		}
		if v, err := strconv.ParseUint(f[1], 10, 64); err == nil {
			out[f[0]] = v
		}
	}
	return nil
}

// sysctlPattern is a set of settings under /proc/sys.
type sysctlPattern struct {
	glob  string
	usual string // value that is left out, where there is one file for each interface
}

// coreSysctls decide what happens to packets without an SA.
var coreSysctls = sysctlPattern{glob: "net/core/xfrm_*"}

// sysctlPatterns are the settings that bear on IPsec and neighbour discovery.
// Namespaces other than the first have no neigh/default.
var sysctlPatterns = []sysctlPattern{
	coreSysctls,
	{glob: "net/ipv4/ip_forward"},
	{glob: "net/ipv6/conf/all/forwarding"},
	{glob: "net/ipv6/conf/all/proxy_ndp"},
	{glob: "net/ipv4/conf/*/disable_policy", usual: "0"},
	{glob: "net/ipv4/conf/*/disable_xfrm", usual: "0"},
	{glob: "net/ipv4/conf/*/forwarding", usual: "0"},
	{glob: "net/ipv6/conf/*/disable_policy", usual: "0"},
	{glob: "net/ipv6/conf/*/disable_ipv6", usual: "0"},
	{glob: "net/ipv6/conf/*/forwarding", usual: "0"},
	{glob: "net/ipv6/conf/*/proxy_ndp", usual: "0"},
	{glob: "net/ipv[46]/neigh/default/*cast_solicit"},
	{glob: "net/ipv[46]/neigh/default/retrans_time_ms"},
	{glob: "net/ipv[46]/neigh/default/base_reachable_time_ms"},
	{glob: "net/ipv[46]/neigh/default/gc_thresh3"},
	{glob: "net/ipv[46]/neigh/*/*cast_solicit", usual: "3"},
	{glob: "net/ipv[46]/neigh/*/retrans_time_ms", usual: "1000"},
}

// sysctls reads settings by their dotted names. /proc/sys/net shows the reading
// thread's namespace (net_ctl_root). Missing files are left out: not every
// kernel has every setting.
func (p proc) sysctls(patterns ...sysctlPattern) (map[string]string, error) {
	out := map[string]string{}
	var first error
	for _, pat := range patterns {
		for _, file := range expand(filepath.Join(string(p), "sys"), strings.Split(pat.glob, "/")) {
			b, err := procfs.Read(file)
			if err != nil && !errors.Is(err, fs.ErrNotExist) && first == nil {
				first = err
			}
			value := strings.TrimSpace(string(b))
			if err == nil && (pat.usual == "" || value != pat.usual) {
				out[p.sysctlName(file)] = value
			}
		}
	}
	return out, first
}

// expand returns the files that a pattern may mean, there or not. Unlike
// filepath.Glob it reads no directory in which the pattern names the file: that
// of one interface has a hundred.
func expand(dir string, pattern []string) (files []string) {
	for i, part := range pattern {
		if !strings.ContainsAny(part, "*[") {
			dir = filepath.Join(dir, part)
			continue
		}
		entries, _ := os.ReadDir(dir) // what is not there has no files
		for _, e := range entries {
			if ok, _ := filepath.Match(part, e.Name()); ok {
				files = append(files, expand(filepath.Join(dir, e.Name()), pattern[i+1:])...)
			}
		}
		return files
	}
	return []string{dir}
}

// sysctlName turns a path into a dotted name. As sysctl(8) does, it writes the
// dots of an interface name (eth0.100) as slashes.
func (p proc) sysctlName(file string) string {
	rel := strings.TrimPrefix(file, filepath.Join(string(p), "sys")+"/")
	return strings.NewReplacer("/", ".", ".", "/").Replace(rel)
}
