package rules

var policyOneWayDoc = Doc{
	Symptom: "Packets go out protected and the answers are lost; or answers come in the clear, or are accepted in the clear, while one " +
		"direction looks well.",
	Cause: "Protection has two directions, and each is configured by itself. A policy for out without the one for in accepts what anybody sends " +
		"in the clear (transport mode), or drops what comes out of the tunnel (XfrmInNoPols). One for in without the one for out answers in " +
		"the clear, and the peer drops that. A gateway needs fwd as well. If protocol, mode or tunnel ends of the two differ, or the reqid is " +
		"one that no SA carries, SAs that stand are not used.",
	Recognised: "For each policy that requires an SA: the policy with the same selector turned round, or what would decide over the answers. A " +
		"policy for out alone, with reqid 0 and no SA, is libreswan's way to wait for the first packet and healthy where pluto may run. fwd is " +
		"asked for where this host forwards and the tunnel leads to others. A reqid is named only where SAs between the two ends stand " +
		"under one that no policy asks for. What is missing is certain, what does not fit likely. While it is watched it must have " +
		"stood for 30 s, for daemons install the two directions one after the other; check says what is there.",
	Remedy: "Add the missing direction with the same protocol, mode and reqid, and with the tunnel's ends turned round. Let one program make all " +
		"policies of a pair.",
	Sources: []string{
		"RFC 4301 section 4.4.1 (directions of the SPD), section 5.2 (inbound check)",
		"Linux net/xfrm/xfrm_policy.c: __xfrm_policy_check (XfrmInNoPols, XfrmInTmplMismatch), xfrm_tmpl_resolve_one",
		"Linux net/xfrm/xfrm_state.c: xfrm_state_find (reqid)",
	},
}
