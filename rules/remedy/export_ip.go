package remedy

import (
	"fmt"
	"strings"
)

// shebang makes a batch file a script. Keys must not be arguments of a process,
// where everybody sees them: a shell script that calls ip for each would do that.
const shebang = "#!/sbin/ip -batch\n"

// ip writes a file for `ip -batch`.
func (e *export) ip() error {
	up, err := e.batch(e.plan.Steps, AddPolicy)
	if err != nil {
		return err
	}
	down, err := e.batch(e.plan.Inverse(len(e.plan.Steps)), AddPolicy)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(shebang + e.head() + up + "# To take it back:\n")
	for line := range strings.Lines(down) {
		b.WriteString("#   " + line)
	}
	name := e.name() + ".ip"
	e.add(name, "/etc/ipsecdiag", e.has(AddSA), b.String())
	e.out.Notes = append(e.out.Notes, fmt.Sprintf("apply it with: ip -batch %s", name))
	return nil
}

// batch writes steps as lines of a batch file. Where update is AddPolicy,
// policies are put with update, which adds a policy and replaces one with the
// same selector, so that the file can be run twice.
func (e *export) batch(steps []Step, update Op) (string, error) {
	var b strings.Builder
	for _, s := range steps {
		if s.Op == SetSysctl {
			r := refuse(Inexpressive, "ip has no words for the setting %s", s.Sysctl.Name)
			r.Instead = fmt.Sprintf("# in /etc/sysctl.d/60-ipsecdiag.conf:\n%s = %s", s.Sysctl.Name, s.Sysctl.Value)
			return "", r
		}
		if s.Op == update {
			s.Op = ReplacePolicy
		}
		if !writable(&s) {
			return "", refuse(Inexpressive, "ip has no words for the port mask of the policy %s", s.Policy)
		}
		line := strings.TrimPrefix(s.command(e.keys.hexKey), "ip ")
		b.WriteString(strings.ReplaceAll(line, "'", "") + "\n") // no shell reads it
	}
	return b.String(), nil
}

// writable reports whether ip can name the object: it knows whole ports only.
func writable(s *Step) bool {
	if s.Policy == nil {
		return true
	}
	sel := &s.Policy.Selector
	return whole(sel.SrcPortMask) && whole(sel.DstPortMask)
}

func whole(mask uint16) bool { return mask == 0 || mask == 0xffff }
