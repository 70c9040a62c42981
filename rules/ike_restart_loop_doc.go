package rules

var ikeRestartLoopDoc = Doc{
	Symptom: "The link works for some seconds or minutes, breaks, and works again. The daemons log that the IKE SA is established and deleted " +
		"in turn.",
	Cause: "One end tears down what the other makes anew: a script or monitor that resets the connection; a lifetime or inactivity that is " +
		"far too short; two hosts with the same identity, or both ends beginning, where only one IKE SA is kept for each peer (unique = " +
		"replace), so that each replaces the other; dead peer detection whose requests or answers are dropped while the first exchanges pass.",
	Recognised: "At least three IKE SAs between the two that came up and ended within ten minutes each, at three different moments, by a deletion, " +
		"which IKEv2 shows as the first payload, or by a request without an answer; each followed at once by another, and one of those ended in " +
		"the same way. Rekeying makes none: it goes on under the old IKE SA. An end that deletes and begins anew itself reauthenticates: a " +
		"warning, and only if each stood for less than a minute. Certain in IKEv2; in IKEv1, where deletions are encrypted, likely.",
	Remedy: "The log of the end that deletes says why. Let one end begin and the other wait; give each host an identity of its own; set " +
		"lifetimes to hours; let INFORMATIONAL pass wherever IKE_SA_INIT passes.",
	Sources: []string{
		"RFC 7296 section 1.4.1 (deletion), section 2.4 (liveness, INITIAL_CONTACT), section 2.8.3 (reauthentication)",
		"RFC 3706 (dead peer detection of IKEv1)",
		"swanctl.conf(5): unique, close_action, dpd_action, reauth_time; strongswan.conf(5): retransmit_timeout; Cisco IOS: lifetime (60 s to a day)",
	},
}
