package daemon

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/lazy"
)

// libreswan writes what fails into its log, which is not asked for here, and
// counts it: `ipsec whack --globalstatus` (programs/pluto/pluto_stats.c). Of its
// counters these tell of failure:
//
//	total.ikev2.recv.notifies.error.TS_UNACCEPTABLE=1
//	total.ikev2.ike.finished.auth-failed=1
var (
	countLine = lazy.Regexp(`^(total\.ikev[12]\.[A-Za-z0-9_.-]{1,80})=(\d{1,19})$`)
	errorName = lazy.Regexp(`^total\.ikev[12]\.(sent|recv)\.notifies\.error\.([A-Z_a-z0-9]+)$`)
	finished  = lazy.Regexp(`^total\.ikev[12]\.(ike|isakmp)\.finished\.([a-z-]+)$`)
)

// maxCounts bounds the counters that are remembered; libreswan has about 400.
const maxCounts = 4096

// parseCounts reads the counters that are not zero.
func parseCounts(out string) map[string]uint64 {
	counts := map[string]uint64{}
	for line := range strings.Lines(out) {
		m := countLine().FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || len(counts) >= maxCounts {
			continue
		}
		if n, err := strconv.ParseUint(m[2], 10, 64); err == nil && n > 0 {
			counts[m[1]] = n
		}
	}
	return counts
}

// notified are the topics of notified errors (RFC 7296 section 3.10.1, RFC 2408
// section 3.14.1).
var notified = map[string]analyze.Topic{
	"AUTHENTICATION_FAILED":    analyze.SaidAuthFailed,
	"AUTHORIZATION_FAILED":     analyze.SaidAuthFailed,
	"INVALID_HASH_INFORMATION": analyze.SaidAuthFailed,
	"INVALID_SIGNATURE":        analyze.SaidAuthFailed,
	"INVALID_CERTIFICATE":      analyze.SaidCertificate,
	"INVALID_CERT_AUTHORITY":   analyze.SaidCertificate,
	"NO_PROPOSAL_CHOSEN":       analyze.SaidNoProposal,
	"BAD_PROPOSAL_SYNTAX":      analyze.SaidNoProposal,
	"INVALID_KE_PAYLOAD":       analyze.SaidInvalidKE,
	"TS_UNACCEPTABLE":          analyze.SaidTSUnacceptable,
	"INVALID_ID_INFORMATION":   analyze.SaidTSUnacceptable,
	"INVALID_SELECTORS":        analyze.SaidTSUnacceptable,
	"PAYLOAD_MALFORMED":        analyze.SaidUnreadable,
}

// ended are the topics of the reasons for which an IKE SA came to its end.
var ended = map[string]analyze.Topic{
	"auth-failed":      analyze.SaidAuthFailed,
	"exchange-timeout": analyze.SaidNotResponding,
}

// rises says what the counters that have risen tell. What libreswan counts
// twice, as an error that was notified and as an end, is told once.
func rises(was, is map[string]uint64) []analyze.Saying {
	var all []analyze.Saying
	told := map[analyze.Topic]bool{}
	each := func(pattern *regexp.Regexp, f func(m []string, y *analyze.Saying) analyze.Topic) {
		for _, name := range sortedNames(is) {
			m := pattern.FindStringSubmatch(name)
			by := is[name] - min(was[name], is[name])
			if m == nil || by == 0 {
				continue
			}
			y := analyze.Saying{Count: by, Line: fmt.Sprintf("%s has risen by %d", name, by)}
			if y.Topic = f(m, &y); y.Topic != "" {
				all = append(all, y)
			}
		}
	}
	each(errorName(), func(m []string, y *analyze.Saying) analyze.Topic {
		y.FromPeer = m[1] == "recv"
		topic, ok := notified[m[2]]
		if !ok {
			topic = analyze.SaidNotify
		}
		told[topic] = true
		return topic
	})
	each(finished(), func(m []string, _ *analyze.Saying) analyze.Topic {
		if topic := ended[m[2]]; !told[topic] {
			return topic
		}
		return ""
	})
	return all
}
