// Package spd models the two databases that decide what Linux does with a
// packet under IPsec: the Security Policy Database and the Security
// Association Database (RFC 4301 sections 4.4.1 and 4.4.2), as
// net/xfrm/xfrm_policy.c and net/xfrm/xfrm_state.c implement them.
//
// The model is pure data: it is filled from netlink, from a recording or from
// text, and it holds no key material, only key lengths.
package spd
