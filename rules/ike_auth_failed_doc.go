package rules

var ikeAuthFailedDoc = Doc{
	Symptom: "The two hosts speak IKE with each other, and no SA comes of it: the attempt ends with the authentication and, where traffic asks " +
		"for it, begins again. The logs say AUTHENTICATION_FAILED, or of IKEv1 that something cannot be decrypted.",
	Cause: "One end does not believe that the other is who it should be: the pre-shared keys differ; an identity is not the one that is " +
		"configured at the other end, so that no connection or no key is found for it; a certificate has expired, is not yet valid, is for " +
		"another name, or its CA is not known. In IKEv1's Main Mode the pre-shared key goes into the keys of the message itself: an end with " +
		"another one cannot even decrypt it.",
	Recognised: "IKEv2's answer is encrypted, and only its shape is seen. Its header names the first payload inside, and its length, without IV " +
		"and checksum of the algorithms that were chosen, gives what there is room for: a notification first, and no room for the AUTH payload " +
		"that every success holds; or a notification of the initiator as the next thing after the responder's authentication, and no ESP. That is " +
		"likely; some daemons refuse a CHILD SA in the same way. Certain by the word of a daemon at either end, and by a notification of IKEv1 in " +
		"the clear. In IKEv1 an encrypted notification in place of the answer, and nothing else within 12 s, or a responder that repeats its last message as if nothing had come " +
		"(libreswan), is likely.",
	Remedy: "Compare identities and pre-shared keys of both ends, or the certificates, their names, dates and CA, and the clocks. The log of " +
		"the end that refuses says which it is; the other end is told nothing, on purpose.",
	Sources: []string{
		"RFC 7296 section 2.15 (authentication), section 2.21.2 (errors in IKE_AUTH), section 3.14 (the encrypted payload)",
		"RFC 2409 section 5.4 (pre-shared keys and the keys of Main Mode), RFC 2408 section 3.14.1 (notifications)",
		"strongSwan src/libcharon/sa/ikev2/tasks/ike_auth.c; libreswan programs/pluto/ikev2_auth.c",
	},
}
