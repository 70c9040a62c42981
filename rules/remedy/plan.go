package remedy

// Action names what a plan does, as the subcommand of `ipsecdiag fix` does.
type Action string

// The actions.
const (
	ActionNDBypass   Action = "nd-bypass"
	ActionManualSA   Action = "manual-sa"
	ActionBringUp    Action = "bring-up"
	ActionNeighbour  Action = "neighbour"
	ActionLarvalDrop Action = "larval-drop"
	// ActionNDByHand is no plan's: the remedy that is the same as NDBypass's, as
	// commands for somebody to copy.
	ActionNDByHand Action = "nd-bypass-by-hand"
)

// Plan is what would be done to one host, computed before the first step: its
// steps in the order in which they are to be applied. A plan holds no key, only
// references to keys (KeyRef), so that it can be shown, logged and journalled.
// Field names are stable; fields are only ever added.
type Plan struct {
	Action Action `json:"action"`
	// Params are the arguments from which the plan was computed, by the names of
	// the flags.
	Params map[string]string `json:"params,omitempty"`
	Title  string            `json:"title"` // verb phrase
	// Notes are for people: what will go in the clear, what manual keying lacks,
	// what stands already.
	Notes []string `json:"notes,omitempty"`
	// Steps are applied one after the other. Empty where there is nothing to do:
	// Notes say why.
	Steps []Step `json:"steps"`
	// Order is the order of age, the oldest first, that the host's policies had
	// when the plan replaced some: a replacement is the youngest, so that taking
	// it back is not enough (see Restore). Empty where nothing is replaced.
	Order []PolicyName `json:"order,omitempty"`
}

// Empty reports whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Steps) == 0 }

// Inverse returns what takes the plan's first n steps back, the last one first.
// Where those replaced policies, Restore puts the order right afterwards.
func (p *Plan) Inverse(n int) []Step {
	var out []Step
	for i := min(n, len(p.Steps)) - 1; i >= 0; i-- {
		out = append(out, p.Steps[i].Inverse())
	}
	return out
}
