package rules

// All lists every rule, in the order in which they are asked and explained.
var All = []*Rule{
	NDDeadlock,
	NDBypassShadowed,
	NDBypassOneWay,
	NDNoAnswer,
	NextHopUnresolved,
	NDUnderPolicy,
	NDBypassTooBroad,
	IKEVersionMismatch,
	IKEFragmentsLost,
	IKENATTBlocked,
	IKENoResponse,
	IKENoProposal,
	IKEAuthFailed,
	IKETSUnacceptable,
	IKESimultaneous,
	IKERestartLoop,
	AcquireStall,
	FirstPacketLost,
	PlaintextLeak,
	PolicyMismatch,
	ESPUnknownSPI,
	ESPBadKey,
	ESPReplay,
	ESPEncapMismatch,
	ESPOneWay,
	ESPLoss,
	SAExpired,
	PathMTU,
	PolicyOneWay,
	PolicyShadowed,
	SAOrphaned,
	ListenerMissing,
	IKENotBypassed,
	IKEWeakCrypto,
	DefaultBlock,
	EndsMismatch,
	KeyFile,
	LineWithoutEffect,
}

// ByID returns the rule of that id, nil if there is none.
func ByID(id string) *Rule {
	for _, r := range All {
		if r.ID == id {
			return r
		}
	}
	return nil
}
