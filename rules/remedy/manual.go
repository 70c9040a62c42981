package remedy

import (
	"fmt"
	"io"
	"net/netip"
	"slices"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// ManualOptions say which SAs are wanted.
type ManualOptions struct {
	Local, Peer netip.Addr
	Mode        spd.Mode // spd.Transport or spd.Tunnel
	// LocalNet and PeerNet are the networks behind the ends of a tunnel; the zero
	// prefix is the end itself.
	LocalNet, PeerNet netip.Prefix
	Enc, Auth         string // names; empty: AES-CBC with 256 bits, HMAC-SHA-256 cut to 128
	AH                bool   // AH around the ESP, with the same authentication
	Legacy            bool   // 3DES with HMAC-SHA1 unless Enc and Auth say otherwise; allows MD5 too
	SPIIn, SPIOut     uint32 // of the ESP SAs, and of those of AH; 0: drawn
	Keys              Keyring
	// Formats are those in which the plan is to be exported: what is left open is
	// chosen so that all of them have words for it.
	Formats []Format
}

// ManualSA plans SAs with manual keys between this host and a peer, both ways,
// and the policies that use them. SPIs and keys that are not given are read from
// random. The keyring holds the keys of all SAs of the plan.
//
// Where a policy of the pair stands already it is left, and the SAs are made to
// fit it. Errors are *Refusal, unless random fails.
func ManualSA(k *analyze.KernelState, o ManualOptions, random io.Reader) (Plan, Keyring, error) {
	o.Local, o.Peer = o.Local.Unmap().WithZone(""), o.Peer.Unmap().WithZone("")
	m := &manual{host: newHost(k), o: o, random: random, ring: Keyring{}}
	m.db = m.clone()
	m.plan = Plan{Action: ActionManualSA, Params: o.params(), Title: fmt.Sprintf("protect what passes between %s and %s with manual keys", o.Local, o.Peer), Steps: []Step{}}
	for _, check := range []func() error{m.readable, m.addresses, m.networks, m.algorithms, m.daemon} {
		if err := check(); err != nil {
			return Plan{}, nil, err
		}
	}
	done, err := m.standing()
	if err != nil || done {
		return m.plan, nil, err
	}
	if err := m.make(); err != nil {
		return Plan{}, nil, err
	}
	m.lacks()
	return m.plan, m.ring, m.works()
}

// manual is one planning.
type manual struct {
	*host
	o         ManualOptions
	enc, auth *algorithm
	random    io.Reader
	plan      Plan
	ring      Keyring
	db        spd.Database // as the steps so far leave it
	reqid     uint32       // of what is new
	priority  uint32       // of new policies
	used      []KeyRef     // names of given keys that have been used
}

// side is a direction of the pair.
type side struct {
	dir      spd.Direction
	src, dst netip.Addr
	spi      uint32
	word     string // IN or OUT
}

// sides returns the directions, inbound first: what the peer sends is
// understood before anything is sent.
func (m *manual) sides() []side {
	return []side{
		{spd.In, m.o.Peer, m.o.Local, m.o.SPIIn, "in"},
		{spd.Out, m.o.Local, m.o.Peer, m.o.SPIOut, "out"},
	}
}

// selector returns what the policies of a direction are for.
func (m *manual) selector(s side) spd.Selector {
	local, peer := hostPrefix(m.o.Local), hostPrefix(m.o.Peer)
	if m.o.LocalNet.IsValid() {
		local = m.o.LocalNet
	}
	if m.o.PeerNet.IsValid() {
		peer = m.o.PeerNet
	}
	sel := spd.Selector{Src: peer, Dst: local, Family: familyOf(local.Addr())}
	if s.dir == spd.Out {
		sel.Src, sel.Dst = sel.Dst, sel.Src
	}
	return sel
}

func hostPrefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func familyOf(a netip.Addr) spd.Family {
	if a.Is4() {
		return spd.IPv4
	}
	return spd.IPv6
}

// templates returns what a new policy asks for: AH outside ESP, which in a
// tunnel is what wraps.
func (m *manual) templates(s side) []spd.Template {
	open := netip.IPv6Unspecified()
	family := familyOf(m.o.Local)
	if family == spd.IPv4 {
		open = netip.IPv4Unspecified()
	}
	esp := spd.Template{Src: open, Dst: open, Proto: spd.ProtoESP, Mode: m.o.Mode, ReqID: m.reqid, Family: family}
	if m.o.Mode == spd.Tunnel {
		esp.Src, esp.Dst = s.src, s.dst
	}
	if !m.o.AH {
		return []spd.Template{esp}
	}
	return []spd.Template{esp, {Src: open, Dst: open, Proto: spd.ProtoAH, Mode: spd.Transport, ReqID: m.reqid, Family: family}}
}

// make adds the steps: the SAs of both directions, then the policies, so that
// nothing that a policy protects waits for its SA.
func (m *manual) make() error {
	m.reqid = m.freeReqID()
	var err error
	if m.priority, err = m.choosePriority(); err != nil {
		return err
	}
	var policies []Step
	for _, s := range m.sides() {
		steps, templates, err := m.policies(s)
		if err != nil {
			return err
		}
		policies = append(policies, steps...)
		for i := range templates {
			if err := m.addSA(s, &templates[i]); err != nil {
				return err
			}
		}
	}
	if err := m.strangers(); err != nil {
		return err
	}
	return m.add(policies...)
}

// add appends steps and carries them out on the model.
func (m *manual) add(steps ...Step) error {
	if err := Model(&m.db, steps); err != nil {
		return err
	}
	m.plan.Steps = append(m.plan.Steps, steps...)
	return nil
}

func (m *manual) note(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(m.plan.Notes, s) {
		m.plan.Notes = append(m.plan.Notes, s)
	}
}

// Reqids of manual SAs are below those that kernel and daemons choose
// (IPSEC_MANUAL_REQID_MAX, 0x3fff) and above the small ones that strongSwan
// counts up from 1.
const (
	firstReqID = 0x2000
	lastReqID  = 0x3fff
)

// freeReqID returns a reqid that nothing on this host has.
func (m *manual) freeReqID() uint32 {
	used := map[uint32]bool{}
	for i := range m.db.SAs {
		used[m.db.SAs[i].ReqID] = true
	}
	for i := range m.db.Policies {
		for _, t := range m.db.Policies[i].Templates {
			used[t.ReqID] = true
		}
	}
	for r := uint32(firstReqID); r < lastReqID; r++ {
		if !used[r] {
			return r
		}
	}
	return lastReqID
}

// lacks says what manual keying has not got.
func (m *manual) lacks() {
	m.note("manual keys stay as they are until somebody changes them: no rekeying, no forward secrecy; who gets hold of them reads what was " +
		"recorded before, too (RFC 8221 section 3)")
	m.note("no replay protection: sequence numbers begin anew with each restart, so that the receiver cannot check them (RFC 4303 section 3.3.3); " +
		"after 2^32 packets an SA sends nothing more, and new ones are needed")
	m.note("all of it is gone after a reboot, unless it is exported as permanent configuration")
	m.note("the peer needs the same, mirrored: until it has that, nothing passes")
	if m.enc.legacy {
		m.note("3DES has blocks of 64 bits: no more than some gigabytes should pass under one key (RFC 8221 section 5)")
	}
	if m.auth.legacy {
		m.note("%s is for old peers only (RFC 8221 section 6)", m.auth.kernel)
	}
}
