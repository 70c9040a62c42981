// Package text reads the policies and SAs that people paste: the output of
// `ip xfrm policy` and `ip xfrm state`, of `setkey -DP` and `setkey -D`, a
// setkey.conf, and ifcfg-ipsecN files with their keys-ipsecN.
//
// It is pure: bytes and a name for messages go in, an spd.Database comes out.
// What cannot be read is named by file and line and never dropped in silence.
//
// Keys are secrets. None is ever in the database or in a message: messages say
// what was expected and where, and quote nothing of the input, since a key can
// stand anywhere in a file that is broken. The keys themselves are kept as
// [Secret], which prints as its length only, so that [Mirror] can compare the
// files of both ends.
//
// Formats are taken from the sources: iproute2 ip/ipxfrm.c and
// ip/xfrm_policy.c; ipsec-tools src/setkey/{token.l,parse.y} and
// src/libipsec/{policy_token.l,policy_parse.y,pfkey_dump.c,ipsec_dump_policy.c};
// what PF_KEY makes of them from net/key/af_key.c; ifup-ipsec of Red Hat's
// initscripts.
package text
