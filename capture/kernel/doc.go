// Package kernel reads what a Linux kernel knows about IPsec in one network
// namespace: policies, SAs, ACQUIREs, the neighbour table, counters and who
// listens. Snapshot takes it all at once, Watch tells what changes. No other
// package of the project speaks netlink or reads /proc.
//
// Netlink messages are decoded in the decode_*.go files, which are pure
// functions of bytes. Keys are dropped as SAs are decoded.
//
// A Handle changes one object at a time, in the write_*.go files. Nothing else
// changes anything in the kernel. One thing could: a socket in the
// multicast group XFRMNLGRP_ACQUIRE makes the kernel create larval SAs
// (km_is_alive, xfrm_state_find). AcquireMode says when Watch joins it.
package kernel
