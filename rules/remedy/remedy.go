package remedy

// Remedy is one way out of a finding.
type Remedy struct {
	Action string            `json:"action"` // machine-readable verb, such as "nd-bypass"
	Params map[string]string `json:"params"`
	Title  string            `json:"title"` // verb phrase
	// Command is the exact command to run, one line each.
	Command string `json:"command"`
}
