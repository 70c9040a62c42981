// Package analyze folds the stream of events that a capture and a kernel
// produce into a picture of every pair of hosts that IPsec is to protect.
//
// It is pure: it opens no file and no socket and has no clock. Time exists only
// in events, so that a recording replayed gives what the live host gave.
package analyze
