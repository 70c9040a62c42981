package ike

import "fmt"

// EAP is an EAP message: RFC 7296 section 3.16, RFC 3748 section 4.
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     Code      | Identifier    |           Length              |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     Type      | Type_Data...
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-
type EAP struct {
	Code       uint8
	Identifier uint8
	Length     uint16 // as the EAP header says
	Method     uint8  // 0 in Success and Failure, which have none
	Data       []byte
}

var eapCodes = map[uint8]string{1: "Request", 2: "Response", 3: "Success", 4: "Failure", 5: "Initiate", 6: "Finish"}

var eapMethods = map[uint8]string{1: "Identity", 2: "Notification", 3: "Legacy Nak", 4: "MD5-Challenge",
	5: "One-Time Password", 6: "Generic Token Card", 13: "EAP-TLS", 18: "EAP-SIM", 21: "EAP-TTLS",
	23: "EAP-AKA", 25: "PEAP", 26: "EAP-MSCHAPv2", 50: "EAP-AKA'", 52: "EAP-pwd", 55: "TEAP", 254: "Expanded"}

func parseEAP(c *cursor) *EAP {
	e := &EAP{Code: c.u8("Code"), Identifier: c.u8("Identifier"), Length: c.u16("Length")}
	if e.Code == 1 || e.Code == 2 {
		e.Method = c.u8("Type")
	}
	e.Data = c.rest("Type_Data")
	return e
}

func (e *EAP) String() string {
	s := named(eapCodes, e.Code, "code")
	if e.Method != 0 {
		s += " " + named(eapMethods, e.Method, "method")
	}
	return fmt.Sprintf("%s, identifier %d", s, e.Identifier)
}
func (*EAP) body() {}
