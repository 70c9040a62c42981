package ike

// vendors is the table of known vendor IDs; the first row that matches names
// an ID. A row without text and id is the MD5 hash of its name. Sources: the
// RFCs and drafts named, [MS-IKEE], and what strongSwan, libreswan and
// ike-scan recognise.
var vendors = []vendor{
	// NAT traversal. The hash in draft 02 was computed with a newline at its
	// end, and both forms are in use.
	{name: VendorNATT},
	{name: "draft-ietf-ipsec-nat-t-ike-00"},
	{name: "draft-ietf-ipsec-nat-t-ike-01"},
	{name: "draft-ietf-ipsec-nat-t-ike-02"},
	{name: `draft-ietf-ipsec-nat-t-ike-02\n`, text: "draft-ietf-ipsec-nat-t-ike-02\n"},
	{name: "draft-ietf-ipsec-nat-t-ike-03"},
	{name: "draft-ietf-ipsec-nat-t-ike-04"},
	{name: "draft-ietf-ipsec-nat-t-ike-05"},
	{name: "draft-ietf-ipsec-nat-t-ike-06"},
	{name: "draft-ietf-ipsec-nat-t-ike-07"},
	{name: "draft-ietf-ipsec-nat-t-ike-08"},
	{name: "draft-ietf-ipsec-nat-t-ike"},
	{name: "draft-stenberg-ipsec-nat-traversal-01"},
	{name: "draft-stenberg-ipsec-nat-traversal-02"},
	{name: "draft-huttunen-ipsec-esp-in-udp-00.txt"},
	{name: "ESPThruNAT"},
	{name: "RFC XXXX (Solaris NAT-T)", text: "RFC XXXX"},

	// Extensions.
	{name: VendorDPD, id: "afcad71368a1f1c96b8696fc7757", prefix: true, tail: dotted},
	{name: VendorXAUTH, id: "09002689dfd6b712"}, // MD5 of draft-ietf-ipsra-isakmp-xauth-06.txt, cut
	{name: VendorFragmentation, prefix: true, tail: hexText},
	{name: VendorUnity, id: "12f5f28c457168a9702d9fe274cc", prefix: true, tail: dotted},
	{name: "GSSAPI"},
	{name: "A GSS-API Authentication Method for IKE"},
	{name: `A GSS-API Authentication Method for IKE\n`, text: "A GSS-API Authentication Method for IKE\n"},
	{name: "Heartbeat_Notify", id: "4865617274426561745f4e6f74696679", prefix: true},
	{name: "CAN-IKEv2", id: "494b457632"},
	{name: "OpenPGP10171", id: "4f70656e5047503130313731"},

	// Implementations.
	{name: VendorStrongSwan},
	{name: VendorLibreswan, id: "4f452d4c696272657377616e2d", prefix: true, tail: Printable}, // "OE-Libreswan-"
	{name: VendorOpenswan, id: "4f45", length: 12, prefix: true},                             // "OE" and ten letters of a hash
	{name: "FreeS/WAN or Openswan X.509", id: "4f70656e737761", prefix: true},                // "Openswa…"
	{name: "KAME/racoon"},
	{name: "NCP client", id: "101fb0b35c5a4f4c08b919f1cb9777b0"},
	{name: "Shrew Soft client", id: "f14b94b7bff1fef02773b8c49feded26"},
	{name: "SafeNet SoftRemote", id: "47bbe7c993f1fc13b4e6d0db565c68e5", prefix: true},
	{name: "SafeNet or WatchGuard", id: "da8e9378", prefix: true},
	{name: "SonicWall", id: "404bf439522ca3f6"},
	{name: "Check Point", id: "f4ed19e0c114eb516faaac0ee37daf2807b4381f", prefix: true},
	{name: "ZyXEL ZyWALL Router", id: "b858d1addd08c1e8adafea150608aa4497aa6cc8"},
	{name: "ZyXEL ZyWALL USG 100", id: "f758f22668750f03b08df6ebe1d0"},
	{name: "ZyXEL ZyWALL", id: "625027749d5ab97f5616c1602765cf480a3b7d0b"},
	{name: "NetScreen", id: "9b096d9ac3275a7d6fe8b91c583111b09efed1a0", prefix: true},
	{name: "NetScreen", id: "92d27a9ecb31d99246986d3453d0c3d57a222a61", prefix: true},
	{name: "NetScreen", id: "299ee8289f40a8973bc78687e2e7226b532c3b76", prefix: true},
	{name: "NetScreen", id: "4a4340b543e02b84c88a8b96a8af9ebe77d9accc", prefix: true},
	{name: "Nortel Contivity", id: "424e4553000000", prefix: true}, // "BNES"
	{name: "TIMESTEP", id: "54494d4553544550", prefix: true, tail: Printable},
	{name: "SSH Sentinel"},
	{name: "SSH Sentinel 1.1"},
	{name: "SSH Sentinel 1.2"},
	{name: "SSH Sentinel 1.3"},
	{name: "SSH Sentinel 1.4"},
	{name: "SSH Sentinel 1.4.1"},
	{name: "SSH Communications Security IPSEC Express version 4.1.0"},
	{name: "SSH Communications Security IPSEC Express version 4.2.0"},

	// Cisco.
	{name: "Cisco VPN 3000", id: "1f07f70eaa6514d3b0fa96542a50", prefix: true, tail: dotted},
	{name: "Cisco IOS", id: "3e984048", length: 16, prefix: true},
	{name: "CISCO-DELETE-REASON", id: "434953434f2d44454c4554452d524541534f4e"},
	{name: "CISCO(COPYRIGHT)", id: "434953434f28434f5059524947485429", prefix: true},
	{name: "CISCOVPN-REV-02", id: "434953434f56504e2d5245562d3032"},
	{name: "CISCO-DYNAMIC-ROUTE", id: "434953434f2d44594e414d49432d524f555445"},
	{name: "FLEXVPN-SUPPORTED", id: "464c455856504e2d535550504f52544544"},

	// Microsoft, [MS-IKEE] section 1.7.
	{name: VendorWindows, prefix: true, tail: windowsVersion},
	{name: "Vid-Initial-Contact"},
	{name: "MS-Negotiation Discovery Capable"},
	{name: "IKE CGA version 1"},
	{name: "MS-MamieExists"},
	{name: "NLBS_PRESENT"},
	{name: "NLB_PRESENT"},
	{name: "AUTHIP_INIT_KE_DH_NONE"},
	{name: "AUTHIP_INIT_KE_DH_GROUP_1"},
	{name: "AUTHIP_INIT_KE_DH_GROUP_2"},
	{name: "AUTHIP_INIT_KE_DH_GROUP_14"},
	{name: "AUTHIP_INIT_KE_DH_ECP_256"},
	{name: "AUTHIP_INIT_KE_DH_ECP_384"},
}
