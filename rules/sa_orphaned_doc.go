package rules

var saOrphanedDoc = Doc{
	Symptom: "SAs stand and the link does not work, or works and will stop: nothing uses them, one direction is missing, they should have been " +
		"replaced long ago, their numbers are running out, or they are made as they must not be.",
	Cause: "An SA carries what a policy sends into it and no more, in one direction. A daemon that ends, a policy that is replaced or a half of " +
		"a manual configuration leaves SAs behind that nobody uses. An SA past its soft lifetime should have a successor; without extended " +
		"numbers an SA ends for good after 2^32 packets. Counter modes (GCM, CCM, CTR, ChaCha20) with manual keys use the same counter under the " +
		"same key again after every restart, which gives the traffic away. And Linux cuts hmac(sha256) to 96 bits unless told otherwise, while " +
		"the standard, and every other system, cuts to 128.",
	Recognised: "From policies and SAs: an ESP or AH SA that fits no template (for SAs that this host receives under, in tunnel mode only); ends with " +
		"usable SAs in one direction, none of them younger than 30 s and none reserved by ALLOCSPI for the other; 60 s past the soft lifetime " +
		"without a younger SA beside it; beyond nine tenths of 2^32 without ESN; a counter mode where nothing looks like IKE (no lifetime, no " +
		"ACQUIRE, no window, a reqid for people); hmac(sha256) with 96 bits. Larval SAs and reserved SPIs are healthy.",
	Remedy: "Let one program make policies and SAs together; delete what is left over (ip xfrm state delete). Read in the daemon's log why " +
		"it does not rekey. By hand use AES-CBC with HMAC-SHA-256, and auth-trunc with 128 instead of auth.",
	Sources: []string{
		"RFC 4301 section 4.4.2 (SAD), section 4.4.2.1 (lifetime); RFC 4303 section 3.3.3 (sequence numbers)",
		"RFC 4106 section 2, RFC 8221 section 5 (no counter modes with manual keys), RFC 4868 section 2.3 (128 bits)",
		"Linux net/xfrm/xfrm_state.c: xfrm_state_find, xfrm_timer_handler; net/xfrm/xfrm_algo.c (icv_truncbits)",
	},
}
