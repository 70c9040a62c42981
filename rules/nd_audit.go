package rules

import (
	"slices"
	"time"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// ndAudit is the neighbour discovery with one peer under this host's policies.
type ndAudit struct {
	ndPeer
	packets  []ndPacket
	order    spd.Order
	caught   []*ndPacket // those that matter here
	odd      []*ndPacket // those that Linux does not send
	kind     ndFault
	shadows  []ndShadow    // with ndShadowed
	spare    []ndShadow    // of the packets in odd: their bypasses are raised along
	bypasses []*spd.Policy // with ndOneWay: those that let a part pass
	helpless []*spd.Policy // with ndUncovered: those that were meant for it, and are for other packets
	aged     *ndPacket     // with ndByAge: one that passes because its bypass is older
}

// ndFault is what is wrong with the neighbour discovery with one peer.
type ndFault uint8

const (
	ndPasses    ndFault = iota
	ndUncovered         // a policy catches it, and there is no bypass
	ndShadowed          // there is a bypass, and another policy wins
	ndOneWay            // a bypass lets a part pass
	ndHalf              // the same, and the rest is what Linux does not send
	ndByAge             // it passes, and on some kernels it would not
)

// ndAudits are shared by the rules that are asked at one time.
func (p *Pass) ndAudits() []ndAudit {
	if p.notes == nil {
		p.notes = new(auditNotes)
	}
	if !p.notes.judged {
		p.notes.nd, p.notes.judged = ndAudits(p), true
	}
	return p.notes.nd
}

// ndPeersPause is how often the neighbour table is looked at for peers under
// policies for whole networks.
const ndPeersPause = 30 * time.Second

// ndAudits judges the neighbour discovery with every peer of the host, and
// returns what is wrong with it.
func ndAudits(p *Pass) []ndAudit {
	j := newNDJudge(p.Host)
	var audits []ndAudit
	peers, wide := ndPeers(p.State, p.Host)
	if wide {
		p.AskAgain(ndPeersPause) // new neighbours count as no change
	}
	for _, peer := range peers {
		if a := j.judge(peer); a.kind != ndPasses {
			audits = append(audits, a)
		}
	}
	return audits
}

// auditPeer judges it with one peer.
func auditPeer(h *analyze.Host, peer ndPeer) ndAudit { return newNDJudge(h).judge(peer) }

// ndJudge holds what the judgements of one host share.
type ndJudge struct {
	h     *analyze.Host
	bare  spd.Database  // without bypasses
	meant []*spd.Policy // bypasses that may have been meant for neighbour discovery
}

func newNDJudge(h *analyze.Host) *ndJudge {
	return &ndJudge{h: h, bare: withoutBypasses(&h.DB), meant: ndBypasses(&h.DB)}
}

func (j *ndJudge) judge(peer ndPeer) ndAudit {
	a := ndAudit{ndPeer: peer, order: j.h.DB.Order, packets: ndPackets(j.h, &peer)}
	for i := range a.packets {
		q := &a.packets[i]
		q.verdict = j.h.DB.Lookup(q.dir, q.flow)
		q.bare = q.verdict
		if q.verdict.Decision == spd.Clear && len(q.verdict.Policies) > 0 {
			q.bare = j.bare.Lookup(q.dir, q.flow)
		}
	}
	a.judge(j.meant)
	return a
}

// withoutBypasses returns the databases as they would be without bypasses.
func withoutBypasses(db *spd.Database) spd.Database {
	bare := spd.Database{SAs: db.SAs, Defaults: db.Defaults, Devices: db.Devices, Order: db.Order}
	for i := range db.Policies {
		if !db.Policies[i].Bypass() {
			bare.Policies = append(bare.Policies, db.Policies[i])
		}
	}
	return bare
}

// ndBypasses returns the policies that may have been meant to let neighbour
// discovery pass: bypasses of ICMPv6, of its types 135 or 136, of ICMP for
// IPv4 (a slip), and of whole addresses.
func ndBypasses(db *spd.Database) []*spd.Policy {
	var found []*spd.Policy
	for i := range db.Policies {
		p := &db.Policies[i]
		s := p.Selector
		switch {
		case !p.Bypass() || p.Socket || s.Family == spd.IPv4:
		case s.Proto == spd.ProtoICMPv6, s.Proto == spd.ProtoICMP, s.Proto == spd.ProtoAny:
			found = append(found, p)
		}
	}
	return found
}

// judge finds out what is wrong, given the bypasses that may have been meant.
func (a *ndAudit) judge(meant []*spd.Policy) {
	a.sort()
	switch {
	case len(a.caught) > 0:
		a.blame(meant)
	case a.aged != nil:
		a.kind = ndByAge
	case len(a.odd) > 0:
		if a.bypasses = a.partial(meant); len(a.bypasses) > 0 {
			a.kind, a.caught = ndHalf, a.odd
		}
	}
}

// sort parts what is caught from what is not.
func (a *ndAudit) sort() {
	for i := range a.packets {
		switch q := &a.packets[i]; {
		case q.saved() && q.step != ndOther && kernelsDiffer(&q.verdict):
			if a.aged == nil || q.rank() < a.aged.rank() {
				a.aged = q
			}
		case !q.caught():
		case q.step == ndOther:
			a.odd = append(a.odd, q)
		default:
			a.caught = append(a.caught, q)
		}
	}
}

// blame says why the packets that are caught have no bypass that helps.
func (a *ndAudit) blame(meant []*spd.Policy) {
	a.shadows, a.bypasses = shadowsOf(a.caught, meant, a.order), a.partial(meant)
	switch {
	case len(a.shadows) > 0:
		a.kind, a.spare = ndShadowed, shadowsOf(a.odd, meant, a.order)
	case len(a.bypasses) > 0:
		a.kind = ndOneWay
	default:
		a.kind, a.helpless = ndUncovered, helpless(a.caught, meant)
	}
}

// partial returns the bypasses of ICMPv6 that let a part of it pass that would
// not pass without, or stand in another direction than the one needed.
func (a *ndAudit) partial(meant []*spd.Policy) []*spd.Policy {
	var found []*spd.Policy
	add := func(p *spd.Policy) {
		if p != nil && p.Selector.Proto == spd.ProtoICMPv6 && !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	for i := range a.packets {
		if q := &a.packets[i]; q.saved() {
			add(q.bypassMatched())
		}
	}
	for _, q := range a.caught {
		for _, p := range meant {
			if p.Direction != q.dir && (p.Matches(q.flow) || p.Matches(mirrored(q.flow))) {
				add(p)
			}
		}
	}
	return found
}

// mirrored returns the packet with its ends exchanged.
func mirrored(f spd.Flow) spd.Flow {
	f.Src, f.Dst = f.Dst, f.Src
	return f
}
