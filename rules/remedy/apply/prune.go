package apply

import "os"

// keepEnded is how many applications that are undone or gone are remembered.
const keepEnded = 100

// prune forgets the oldest of those that have ended. What cannot be deleted
// stays.
func (j *Journal) prune(entries []*Entry) {
	var ended []*Entry
	for _, e := range entries {
		if !e.Stands() {
			ended = append(ended, e)
		}
	}
	for i := range len(ended) - keepEnded {
		_ = os.Remove(j.file(ended[i].ID))
		_ = os.Remove(j.KeyFile(ended[i].ID))
	}
}
