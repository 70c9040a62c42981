// Package timeline keeps a record of what happened between each pair of hosts,
// for those who show it: which packets went by, and what the kernels did
// meanwhile. It follows the same events as analyze.State, live and offline.
//
// It is bounded. Of a pair it keeps the first things, the latest, and those
// that were pinned because a finding rests on them, with their neighbourhood;
// of ESP it keeps runs; of rates and counters a number of buckets that grow
// wider. So it takes the same memory for a minute and for a year.
//
// Like the rest of analyze it is pure: no files, no sockets, no clock.
package timeline
