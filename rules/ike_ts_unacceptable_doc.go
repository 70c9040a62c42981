package rules

var ikeTSUnacceptableDoc = Doc{
	Symptom: "The daemon says that the IKE SA is established, and still nothing goes: there is no ESP and no SA in the kernel. The logs say " +
		"TS_UNACCEPTABLE (IKEv1: INVALID_ID_INFORMATION), or that the CHILD SA failed and the IKE SA is kept.",
	Cause: "The two ends do not agree on which traffic is to be protected: what one has as local_ts the other must have as remote_ts, or " +
		"at least a part of it. Behind NAT the default of strongSwan, dynamic, stands for another address at each end. The proposals for ESP " +
		"that do not meet look the same from outside.",
	Recognised: "IKE_AUTH succeeds, for the answer begins with an identity, and has no room for the SA and the two selectors that a CHILD SA takes: " +
		"its length without IV and checksum of the chosen algorithms is less than the least that they need with the least identity. Where " +
		"certificates make it longer: this host waits for an SA, and 5 s after IKE_AUTH its kernel has none. In IKEv1: Quick Mode is answered by an " +
		"encrypted notification and not sent again within 12 s. That is likely; certain by the word of a daemon at either end. A later CHILD SA ends it.",
	Remedy: "Let the selectors mirror each other: local_ts and remote_ts of the child in swanctl.conf, leftsubnet and rightsubnet in ipsec.conf. " +
		"Behind NAT name the inner network in remote_ts at the other end, or give the initiator an address (vips).",
	Sources: []string{
		"RFC 7296 section 2.9 (traffic selectors), section 1.2 and 2.21.2 (the IKE SA stays when the CHILD SA fails), section 3.13",
		"RFC 2407 section 4.6.2 (identities of Quick Mode), RFC 2408 section 3.14.1",
		"swanctl.conf(5): local_ts, remote_ts, dynamic",
	},
}
