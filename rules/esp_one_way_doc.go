package rules

var espOneWayDoc = Doc{
	Symptom: "IKE comes up, the SAs stand, and nothing gets through: pings unanswered, connects that hang.",
	Cause: "ESP is a protocol of its own (50), without ports, and firewalls, access lists and NAT devices that let IKE (UDP 500 and 4500) pass often do not " +
		"know it. One direction is enough. Others drop ESP in UDP, which looks like IKE on port 4500 without its marker. Or the packets arrive, and " +
		"the other end drops them or has nothing to say.",
	Recognised: "Certain where both ends were recorded: packets leave one under an SPI, over 10 s or more, and not one arrives at the other, whose kernel is " +
		"seen, while IKE does; the direction is named. Packets that both recordings hold, or an SPI of IKE's, must show that they are of the same link, and a capture that holds no ESP at all counts for nothing: its filter may have left it out. From one end alone it is likely, and an error only where an answer is due: the packet for which " +
		"the SA was made (ACQUIRE) was a TCP connect, a ping or a DNS query, and five packets over 10 s went unanswered; or an ICMP " +
		"error says that ESP is not let through. Else it is for information: a log or a meter that sends and gets no answer looks the " +
		"same from outside.",
	Remedy: "Let protocol 50 pass in both directions on everything between (or ESP in UDP 4500), or have ESP put into UDP. Record at both ends at once to see " +
		"which direction it is.",
	Sources: []string{
		"RFC 4303 (ESP, protocol 50), RFC 4302 (AH, protocol 51), RFC 3948 section 2 (ESP in UDP, the non-ESP marker)",
		"RFC 6298 section 2 and 5 (TCP's retransmission)",
	},
}
