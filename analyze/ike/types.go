package ike

import (
	"fmt"
	"strconv"
)

// SPI is an IKE SPI (IKEv2), or cookie (IKEv1).
type SPI uint64

// String gives 16 hexadecimal digits.
func (s SPI) String() string { return fmt.Sprintf("%016x", uint64(s)) }

// Short gives what is enough to tell SPIs apart in a line of text: "0" for the
// responder SPI that is not there yet, else the first eight digits.
func (s SPI) Short() string {
	if s == 0 {
		return "0"
	}
	return s.String()[:8] + "…"
}

// MarshalText writes the 16 hexadecimal digits.
func (s SPI) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *SPI) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 16, 64)
	if err != nil {
		return fmt.Errorf("read IKE SPI: %w", err)
	}
	*s = SPI(v)
	return nil
}

// Flags of the header. Bits 0 to 2 are IKEv1's (RFC 2408 section 3.1), bits 3
// to 5 are IKEv2's (RFC 7296 section 3.1).
const (
	FlagEncryption uint8 = 1 << 0 // E: everything after the header is encrypted
	FlagCommit     uint8 = 1 << 1 // C
	FlagAuthOnly   uint8 = 1 << 2 // A
	FlagInitiator  uint8 = 1 << 3 // I: sent by the original initiator of the IKE SA
	FlagVersion    uint8 = 1 << 4 // V: the sender can speak a higher major version
	FlagResponse   uint8 = 1 << 5 // R: answers the request with the same message ID
)

// ExchangeType is the kind of exchange a message belongs to. The numbers of
// IKEv1 (up to 33) and IKEv2 (from 34) do not overlap.
type ExchangeType uint8

// Exchange types: RFC 2408 section 3.1, RFC 2409, the mode-config draft, RFC
// 7296 section 3.1, RFC 5723, RFC 9242, RFC 9370.
const (
	ExchangeBase               ExchangeType = 1
	ExchangeIdentityProtection ExchangeType = 2 // Main Mode
	ExchangeAuthenticationOnly ExchangeType = 3
	ExchangeAggressive         ExchangeType = 4
	ExchangeInformationalV1    ExchangeType = 5
	ExchangeTransaction        ExchangeType = 6 // Mode Config, XAUTH
	ExchangeQuickMode          ExchangeType = 32
	ExchangeNewGroupMode       ExchangeType = 33
	ExchangeIKESAInit          ExchangeType = 34
	ExchangeIKEAuth            ExchangeType = 35
	ExchangeCreateChildSA      ExchangeType = 36
	ExchangeInformational      ExchangeType = 37
	ExchangeIKESessionResume   ExchangeType = 38
	ExchangeIKEIntermediate    ExchangeType = 43
	ExchangeIKEFollowupKE      ExchangeType = 44
)

var exchangeNames = map[ExchangeType]string{
	0: "NONE", 1: "Base", 2: "Identity Protection (Main Mode)", 3: "Authentication Only",
	4: "Aggressive", 5: "Informational", 6: "Transaction", 32: "Quick Mode", 33: "New Group Mode",
	34: "IKE_SA_INIT", 35: "IKE_AUTH", 36: "CREATE_CHILD_SA", 37: "INFORMATIONAL",
	38: "IKE_SESSION_RESUME", 39: "GSA_AUTH", 40: "GSA_REGISTRATION", 41: "GSA_REKEY",
	42: "GSA_INBAND_REKEY", 43: "IKE_INTERMEDIATE", 44: "IKE_FOLLOWUP_KE",
}

func (t ExchangeType) String() string { return named(exchangeNames, t, "exchange") }

// Short gives the name that people use: "Main Mode", "Aggressive Mode".
func (t ExchangeType) Short() string {
	switch t {
	case ExchangeIdentityProtection:
		return "Main Mode"
	case ExchangeAggressive:
		return "Aggressive Mode"
	}
	return t.String()
}

// ProtocolID says which protocol a proposal, notification or deletion is
// about. Up to 3 the registries of both versions agree.
type ProtocolID uint8

// Security protocol identifiers: RFC 2407 section 4.4.1, RFC 7296 section
// 3.3.1.
const (
	ProtocolNone   ProtocolID = 0
	ProtocolIKE    ProtocolID = 1 // IKEv1: PROTO_ISAKMP
	ProtocolAH     ProtocolID = 2
	ProtocolESP    ProtocolID = 3
	ProtocolIPCOMP ProtocolID = 4 // IKEv1 only; IKEv2: FC_ESP_HEADER
)

var protocolNames = map[ProtocolID]string{0: "none", 1: "IKE", 2: "AH", 3: "ESP"}

var protocolNamesV1 = map[ProtocolID]string{0: "none",
	1: "PROTO_ISAKMP", 2: "PROTO_IPSEC_AH", 3: "PROTO_IPSEC_ESP", 4: "PROTO_IPCOMP", 5: "PROTO_GIGABEAM_RADIO"}

var protocolNamesV2 = map[ProtocolID]string{0: "none", 1: "IKE", 2: "AH", 3: "ESP",
	4: "FC_ESP_HEADER", 5: "FC_CT_AUTHENTICATION", 6: "GIKE_UPDATE"}

// String gives the names on which both versions agree.
func (p ProtocolID) String() string { return named(protocolNames, p, "protocol") }

// Name gives the registry's name for the major version.
func (p ProtocolID) Name(major uint8) string {
	return named(byVersion(major, protocolNamesV1, protocolNamesV2), p, "protocol")
}

// named looks a value up in its registry; an unknown one keeps its number.
func named[T ~uint8 | ~uint16 | ~uint32](names map[T]string, v T, kind string) string {
	if s, ok := names[v]; ok {
		return s
	}
	return fmt.Sprintf("%s %d", kind, v)
}

// byVersion picks between the registries of IKEv1 and IKEv2.
func byVersion[T any](major uint8, v1, v2 T) T {
	if major == 1 {
		return v1
	}
	return v2
}
