package analyze

// Note is something about a state that is not in the kernel but in the files
// that tell of it: found by who reads them, judged by rules.
type Note struct {
	Kind NoteKind `json:"kind"`
	// Files are those that it concerns; of two ends the first's and the second's,
	// joined by " + ".
	Files []string `json:"files"`
	At    string   `json:"at,omitempty"` // file:line
	Text  string   `json:"text"`         // a sentence with file and line; never a key
	// Sure is set where nothing but a fault explains it.
	Sure bool `json:"sure,omitempty"`
}

// NoteKind says what a Note is about.
type NoteKind string

// The kinds.
const (
	NoteMirror    NoteKind = "mirror"     // the files of two ends do not mirror each other
	NoteKeyLength NoteKind = "key length" // a key does not fit its algorithm
	NoteKeyMode   NoteKind = "key mode"   // others can read a file with keys
	NoteNoEffect  NoteKind = "no effect"  // a line does not do what it says
)
