// Package metrics tells Prometheus what a watch sees: what is wrong, how much of
// each kind was seen and lost, what the kernel counts, and how long each pair has
// been silent. Nothing in it grows without bound: pairs beyond MaxPairs are left
// out and counted.
package metrics
