package confine

import "testing"

// TestStateNamesWhatIsMissing holds what a state's line says.
func TestStateNamesWhatIsMissing(t *testing.T) {
	for want, s := range map[string]State{
		"process 7: user 65534, no capability, no_new_privs, seccomp, Landlock (version 7)": {
			PID: 7, User: 65534, NoNewPrivs: true, Seccomp: true, Landlock: 7,
		},
		"process 8: user 0, CAP_NET_ADMIN, no_new_privs; not in force: seccomp: this kernel has none; Landlock: this kernel has none, or it is switched off": {
			PID: 8, Held: []Capability{NetAdmin}, NoNewPrivs: true,
			Missing: []string{"seccomp: this kernel has none", "Landlock: this kernel has none, or it is switched off"},
		},
	} {
		if got := s.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
