package remedy

import (
	"fmt"

	"ipsecdiag/analyze"
)

const sysctlLarvalDrop = "net.core.xfrm_larval_drop"

// larvalDropMeans says what the kernel does with packets for which there is no
// SA yet (xfrm_lookup_with_ifid, xdst_queue_output).
var larvalDropMeans = map[string]string{
	"0": "while an SA is being made, up to 101 packets of applications are queued for each policy, for up to 205 s; when the queue is full, " +
		"sending fails with EAGAIN even on a blocking socket. What the kernel sends itself, neighbour advertisements too, is dropped all the same",
	"1": "while an SA is being made, packets are dropped without an error to the application",
}

// LarvalDrop plans net.core.xfrm_larval_drop. Errors are *Refusal.
func LarvalDrop(k *analyze.KernelState, value string) (Plan, error) {
	means, ok := larvalDropMeans[value]
	if !ok {
		return Plan{}, refuse(BadValue, "%q is not a value of %s: 0 or 1", value, sysctlLarvalDrop)
	}
	old, known := k.Sysctls[sysctlLarvalDrop]
	if !known {
		return Plan{}, refuse(NoKernel, "%s is not known here: this kernel has no such setting, or it could not be read", sysctlLarvalDrop)
	}
	plan := Plan{
		Action: ActionLarvalDrop, Params: map[string]string{"value": value}, Steps: []Step{}, Notes: []string{means},
		Title: fmt.Sprintf("set %s to %s", sysctlLarvalDrop, value),
	}
	if old == value {
		plan.Notes = []string{nothing + "it is " + value + " already"}
		return plan, nil
	}
	plan.Steps = []Step{{
		Op: SetSysctl, Sysctl: &Sysctl{Name: sysctlLarvalDrop, Value: value, Former: old}, Why: "what becomes of packets that wait for an SA",
	}}
	plan.Notes = append(plan.Notes, "it is the old value again after a reboot")
	return plan, nil
}
