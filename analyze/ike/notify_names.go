package ike

// IKEv2 notifications that rules ask for: IANA "IKEv2 Notify Message Error
// Types" and "IKEv2 Notify Message Status Types".
const (
	NotifyUnsupportedCriticalPayload    NotifyType = 1
	NotifyInvalidIKESPI                 NotifyType = 4
	NotifyInvalidMajorVersion           NotifyType = 5
	NotifyInvalidSyntax                 NotifyType = 7
	NotifyInvalidMessageID              NotifyType = 9
	NotifyInvalidSPI                    NotifyType = 11
	NotifyNoProposalChosen              NotifyType = 14
	NotifyInvalidKEPayload              NotifyType = 17
	NotifyAuthenticationFailed          NotifyType = 24
	NotifyNoAdditionalSAs               NotifyType = 35
	NotifyInternalAddressFailure        NotifyType = 36
	NotifyFailedCPRequired              NotifyType = 37
	NotifyTSUnacceptable                NotifyType = 38
	NotifyInvalidSelectors              NotifyType = 39
	NotifyUnacceptableAddresses         NotifyType = 40
	NotifyUnexpectedNATDetected         NotifyType = 41
	NotifyTemporaryFailure              NotifyType = 43
	NotifyChildSANotFound               NotifyType = 44
	NotifyInitialContact                NotifyType = 16384
	NotifySetWindowSize                 NotifyType = 16385
	NotifyIPCOMPSupported               NotifyType = 16387
	NotifyNATDetectionSourceIP          NotifyType = 16388
	NotifyNATDetectionDestinationIP     NotifyType = 16389
	NotifyCookie                        NotifyType = 16390
	NotifyUseTransportMode              NotifyType = 16391
	NotifyRekeySA                       NotifyType = 16393
	NotifyMOBIKESupported               NotifyType = 16396
	NotifyAdditionalIP4Address          NotifyType = 16397
	NotifyAdditionalIP6Address          NotifyType = 16398
	NotifyUpdateSAAddresses             NotifyType = 16400
	NotifyCookie2                       NotifyType = 16401
	NotifyAuthLifetime                  NotifyType = 16403
	NotifyRedirectSupported             NotifyType = 16406
	NotifyRedirect                      NotifyType = 16407
	NotifyRedirectedFrom                NotifyType = 16408
	NotifyIKEv2FragmentationSupported   NotifyType = 16430
	NotifySignatureHashAlgorithms       NotifyType = 16431
	NotifyUsePPK                        NotifyType = 16435
	NotifyIntermediateExchangeSupported NotifyType = 16438
)

// IKEv1 notifications that rules ask for: RFC 2408 section 3.14.1, RFC 2407
// section 4.6.3, RFC 3706.
const (
	NotifyV1InvalidCookie          NotifyType = 4
	NotifyV1InvalidExchangeType    NotifyType = 7
	NotifyV1NoProposalChosen       NotifyType = 14
	NotifyV1PayloadMalformed       NotifyType = 16
	NotifyV1InvalidKeyInformation  NotifyType = 17
	NotifyV1InvalidIDInformation   NotifyType = 18
	NotifyV1InvalidHashInformation NotifyType = 23
	NotifyV1AuthenticationFailed   NotifyType = 24
	NotifyResponderLifetime        NotifyType = 24576
	NotifyReplayStatus             NotifyType = 24577
	NotifyV1InitialContact         NotifyType = 24578
	NotifyRUThere                  NotifyType = 36136
	NotifyRUThereAck               NotifyType = 36137
)

var notifyNamesV1 = map[NotifyType]string{
	1:     "INVALID-PAYLOAD-TYPE",
	2:     "DOI-NOT-SUPPORTED",
	3:     "SITUATION-NOT-SUPPORTED",
	4:     "INVALID-COOKIE",
	5:     "INVALID-MAJOR-VERSION",
	6:     "INVALID-MINOR-VERSION",
	7:     "INVALID-EXCHANGE-TYPE",
	8:     "INVALID-FLAGS",
	9:     "INVALID-MESSAGE-ID",
	10:    "INVALID-PROTOCOL-ID",
	11:    "INVALID-SPI",
	12:    "INVALID-TRANSFORM-ID",
	13:    "ATTRIBUTES-NOT-SUPPORTED",
	14:    "NO-PROPOSAL-CHOSEN",
	15:    "BAD-PROPOSAL-SYNTAX",
	16:    "PAYLOAD-MALFORMED",
	17:    "INVALID-KEY-INFORMATION",
	18:    "INVALID-ID-INFORMATION",
	19:    "INVALID-CERT-ENCODING",
	20:    "INVALID-CERTIFICATE",
	21:    "CERT-TYPE-UNSUPPORTED",
	22:    "INVALID-CERT-AUTHORITY",
	23:    "INVALID-HASH-INFORMATION",
	24:    "AUTHENTICATION-FAILED",
	25:    "INVALID-SIGNATURE",
	26:    "ADDRESS-NOTIFICATION",
	27:    "NOTIFY-SA-LIFETIME",
	28:    "CERTIFICATE-UNAVAILABLE",
	29:    "UNSUPPORTED-EXCHANGE-TYPE",
	30:    "UNEQUAL-PAYLOAD-LENGTHS",
	16384: "CONNECTED",
	24576: "RESPONDER-LIFETIME",
	24577: "REPLAY-STATUS",
	24578: "INITIAL-CONTACT",
	36136: "R-U-THERE",
	36137: "R-U-THERE-ACK",
	40501: "UNITY-LOAD-BALANCE",
	40503: "UNITY-GROUP-HASH",
}

var notifyNamesV2 = map[NotifyType]string{
	1:     "UNSUPPORTED_CRITICAL_PAYLOAD",
	4:     "INVALID_IKE_SPI",
	5:     "INVALID_MAJOR_VERSION",
	7:     "INVALID_SYNTAX",
	9:     "INVALID_MESSAGE_ID",
	11:    "INVALID_SPI",
	14:    "NO_PROPOSAL_CHOSEN",
	17:    "INVALID_KE_PAYLOAD",
	24:    "AUTHENTICATION_FAILED",
	34:    "SINGLE_PAIR_REQUIRED",
	35:    "NO_ADDITIONAL_SAS",
	36:    "INTERNAL_ADDRESS_FAILURE",
	37:    "FAILED_CP_REQUIRED",
	38:    "TS_UNACCEPTABLE",
	39:    "INVALID_SELECTORS",
	40:    "UNACCEPTABLE_ADDRESSES",
	41:    "UNEXPECTED_NAT_DETECTED",
	42:    "USE_ASSIGNED_HoA",
	43:    "TEMPORARY_FAILURE",
	44:    "CHILD_SA_NOT_FOUND",
	45:    "INVALID_GROUP_ID",
	46:    "AUTHORIZATION_FAILED",
	47:    "STATE_NOT_FOUND",
	48:    "TS_MAX_QUEUE",
	49:    "REGISTRATION_FAILED",
	16384: "INITIAL_CONTACT",
	16385: "SET_WINDOW_SIZE",
	16386: "ADDITIONAL_TS_POSSIBLE",
	16387: "IPCOMP_SUPPORTED",
	16388: "NAT_DETECTION_SOURCE_IP",
	16389: "NAT_DETECTION_DESTINATION_IP",
	16390: "COOKIE",
	16391: "USE_TRANSPORT_MODE",
	16392: "HTTP_CERT_LOOKUP_SUPPORTED",
	16393: "REKEY_SA",
	16394: "ESP_TFC_PADDING_NOT_SUPPORTED",
	16395: "NON_FIRST_FRAGMENTS_ALSO",
	16396: "MOBIKE_SUPPORTED",
	16397: "ADDITIONAL_IP4_ADDRESS",
	16398: "ADDITIONAL_IP6_ADDRESS",
	16399: "NO_ADDITIONAL_ADDRESSES",
	16400: "UPDATE_SA_ADDRESSES",
	16401: "COOKIE2",
	16402: "NO_NATS_ALLOWED",
	16403: "AUTH_LIFETIME",
	16404: "MULTIPLE_AUTH_SUPPORTED",
	16405: "ANOTHER_AUTH_FOLLOWS",
	16406: "REDIRECT_SUPPORTED",
	16407: "REDIRECT",
	16408: "REDIRECTED_FROM",
	16409: "TICKET_LT_OPAQUE",
	16410: "TICKET_REQUEST",
	16411: "TICKET_ACK",
	16412: "TICKET_NACK",
	16413: "TICKET_OPAQUE",
	16414: "LINK_ID",
	16415: "USE_WESP_MODE",
	16416: "ROHC_SUPPORTED",
	16417: "EAP_ONLY_AUTHENTICATION",
	16418: "CHILDLESS_IKEV2_SUPPORTED",
	16419: "QUICK_CRASH_DETECTION",
	16420: "IKEV2_MESSAGE_ID_SYNC_SUPPORTED",
	16421: "IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED",
	16422: "IKEV2_MESSAGE_ID_SYNC",
	16423: "IPSEC_REPLAY_COUNTER_SYNC",
	16424: "SECURE_PASSWORD_METHODS",
	16425: "PSK_PERSIST",
	16426: "PSK_CONFIRM",
	16427: "ERX_SUPPORTED",
	16428: "IFOM_CAPABILITY",
	16429: "GROUP_SENDER",
	16430: "IKEV2_FRAGMENTATION_SUPPORTED",
	16431: "SIGNATURE_HASH_ALGORITHMS",
	16432: "CLONE_IKE_SA_SUPPORTED",
	16433: "CLONE_IKE_SA",
	16434: "PUZZLE",
	16435: "USE_PPK",
	16436: "PPK_IDENTITY",
	16437: "NO_PPK_AUTH",
	16438: "INTERMEDIATE_EXCHANGE_SUPPORTED",
	16439: "IP4_ALLOWED",
	16440: "IP6_ALLOWED",
	16441: "ADDITIONAL_KEY_EXCHANGE",
	16442: "USE_AGGFRAG",
	16443: "SUPPORTED_AUTH_METHODS",
	16444: "SA_RESOURCE_INFO",
	16445: "USE_PPK_INT",
	16446: "PPK_IDENTITY_KEY",
	40960: "NULL_AUTH (libreswan)",
}
