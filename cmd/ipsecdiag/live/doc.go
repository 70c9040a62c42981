// Package live is the full-screen view: the list of pairs with their state at a
// glance, and behind it the ladder, the decoded message and the finding.
//
// A Feed stands where the events are folded and gives snapshots, which nobody
// changes afterwards; the Model takes one a few times a second, at its own pace,
// and turns keys and snapshots into screens. So neither waits for the other:
// ten thousand events a second cost the screen nothing. The Model is pure; Run
// ties it to a terminal.
package live
