// Package scrub makes recordings that can be shown to strangers: what names
// somebody's network is replaced, what tells why a link does not come up stays.
//
//   - Addresses are replaced prefix-preservingly: two that share their first n
//     bits share n bits afterwards, so that policies catch what they caught.
//     Addresses that mean something to every kernel (multicast, link-local,
//     loopback …) stay what they are.
//   - MAC addresses, names of hosts, namespaces, interfaces and connections,
//     identities and certificates get stand-ins.
//   - Encrypted bytes and the payload of ESP and AH are replaced or cut off;
//     lengths, SPIs and sequence numbers stay.
//   - What this package does not know is not let through: frames of other kinds
//     are left out, unknown text becomes "removed".
//
// The stand-ins follow from a secret: the same secret gives the same ones, so
// that recordings of both ends fit together; without it there is no way back
// but guessing. Times, packet sizes, SPIs and the software's versions stay, and
// whoever knows the network may recognise it by them.
package scrub
