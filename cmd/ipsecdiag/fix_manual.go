package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
	"ipsecdiag/rules/remedy"
	"ipsecdiag/rules/remedy/apply"
)

const fixManualLong = `Makes SAs with manual keys between this host and a peer, in both directions, and
the policies that use them: ESP, with --ah AH around it. Keys and SPIs are drawn
at random unless they are given. What the peer needs is written by --peer-script.

Manual keys are never renewed, and after a restart there is no protection against
replay: an IKE daemon is better wherever one can run.

A file for --keys is root's alone and has a line for each key, its name and the
key in hexadecimal: esp-in-enc 0x…, esp-in-auth, esp-out-enc, esp-out-auth,
ah-in-auth, ah-out-auth; or KEY_ESP_IN=0x… and so on, as in keys-ipsecN.`

const fixBringUpLong = `Lets neighbour discovery with the peer pass, and then protects all else between
this host and the peer with manual keys: fix nd-bypass and fix manual-sa in one.

`

// manualFlags are the flags of manual SAs as they are given.
type manualFlags struct {
	local, peer       string
	localNet, peerNet string
	mode              string
	spiIn, spiOut     string
	keys              string
	remedy.ManualOptions
}

// manualPlanner is remedy.ManualSA or remedy.BringUp.
type manualPlanner func(*analyze.KernelState, remedy.ManualOptions, io.Reader) (remedy.Plan, remedy.Keyring, error)

func newFixManualSA(io streams, o *fixOptions) *cobra.Command {
	return newFixManual(io, o, &cobra.Command{
		Use: "manual-sa", Short: "Protect a pair of hosts with manual keys", Long: fixManualLong,
		Example: "  ipsecdiag fix manual-sa --local fd00::1 --peer fd00::2 --peer-script peer.ip",
	}, remedy.ManualSA)
}

func newFixBringUp(io streams, o *fixOptions) *cobra.Command {
	return newFixManual(io, o, &cobra.Command{
		Use: "bring-up", Short: "Both: let neighbour discovery pass, and protect the rest with manual keys",
		Long:    fixBringUpLong + fixManualLong,
		Example: "  ipsecdiag fix bring-up --local fd00::1 --peer fd00::2 --peer-script peer.ip --verify",
	}, remedy.BringUp)
}

func newFixManual(io streams, o *fixOptions, cmd *cobra.Command, plan manualPlanner) *cobra.Command {
	var m manualFlags
	cmd.Args = noArguments
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := m.parse(cmd.Name()); err != nil {
			return err
		}
		return runFixManual(cmd.Context(), o, m, plan, io)
	}
	f := cmd.Flags()
	f.StringVar(&m.local, "local", "", "this host's address (`ADDR`)")
	f.StringVar(&m.peer, "peer", "", "the peer's address (`ADDR`)")
	f.StringVar(&m.mode, "mode", "transport", "`MODE` of the SAs: transport or tunnel")
	f.StringVar(&m.localNet, "local-net", "", "`NET` behind this host, for a tunnel")
	f.StringVar(&m.peerNet, "peer-net", "", "`NET` behind the peer, for a tunnel")
	f.StringVar(&m.Enc, "enc", "", "encryption `ALG` (aes256)")
	f.StringVar(&m.Auth, "auth", "", "authentication `ALG` (sha256)")
	f.BoolVar(&m.AH, "ah", false, "AH around the ESP")
	f.BoolVar(&m.Legacy, "legacy", false, "3DES with HMAC-SHA1, or what old ifcfg files use")
	f.StringVar(&m.spiIn, "spi-in", "", "`SPI` of what comes in, at least 0x100")
	f.StringVar(&m.spiOut, "spi-out", "", "`SPI` of what goes out")
	f.StringVar(&m.keys, "keys", "", "take the keys from this `FILE`")
	completeFlag(cmd, "mode", []string{"transport", "tunnel"})
	applyFlags(cmd, o)
	return cmd
}

// parse reads what was given as text.
func (m *manualFlags) parse(command string) (err error) {
	if m.local == "" || m.peer == "" {
		return fmt.Errorf("fix %s needs --local and --peer", command)
	}
	var errs [6]error
	m.Local, errs[0] = address("local", m.local)
	m.Peer, errs[1] = address("peer", m.peer)
	m.LocalNet, errs[2] = network("local-net", m.localNet)
	m.PeerNet, errs[3] = network("peer-net", m.peerNet)
	m.SPIIn, errs[4] = spi("spi-in", m.spiIn)
	m.SPIOut, errs[5] = spi("spi-out", m.spiOut)
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	switch m.mode {
	case "transport":
		m.Mode = spd.Transport
	case "tunnel":
		m.Mode = spd.Tunnel
	default:
		return fmt.Errorf("--mode %q: there are transport and tunnel", m.mode)
	}
	return nil
}

func network(flag, value string) (netip.Prefix, error) {
	if value == "" {
		return netip.Prefix{}, nil
	}
	p, err := netip.ParsePrefix(value)
	if err != nil {
		return p, fmt.Errorf("--%s %q is not a network, such as 192.0.2.0/24", flag, value)
	}
	return p.Masked(), nil
}

// minSPI is the smallest SPI that is not reserved (RFC 4303 section 2.1).
const minSPI = 0x100

// spi parses an SPI, decimal or with 0x; 0 where none is given.
func spi(flag, value string) (uint32, error) {
	if value == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(strings.ToLower(value), 0, 32)
	switch {
	case err != nil:
		return 0, fmt.Errorf("--%s %q is not an SPI: 0x100 to 0xffffffff", flag, value)
	case n < minSPI:
		return 0, fmt.Errorf("--%s %#x is reserved: the smallest is %#x (RFC 4303 section 2.1)", flag, n, minSPI)
	}
	return uint32(n), nil
}

func runFixManual(ctx context.Context, o *fixOptions, m manualFlags, planner manualPlanner, io streams) error {
	r, err := prepareFix(o, io)
	if err != nil {
		return err
	}
	var keyFile string
	if m.keys != "" {
		if m.Keys, err = apply.ReadKeys(m.keys); err != nil {
			return r.fail(err)
		}
		if keyFile, err = filepath.Abs(m.keys); err != nil {
			return r.fail(err)
		}
	}
	if err := r.confine(); err != nil {
		return err
	}
	m.Formats = r.formats()
	state, err := r.read(ctx)
	if err != nil {
		return err
	}
	plan, keys, err := planner(state, m.ManualOptions, rand.Reader)
	if err = r.unlessHalfGone(ctx, &m, &plan, err); err != nil {
		return r.propose(ctx, proposal{}, err)
	}
	return r.propose(ctx, proposal{
		plan: plan, keys: keys, keyFile: keyFile,
		prove: func(now *analyze.KernelState) []apply.Proof { return m.prove(plan.Action, now) },
		verify: func(ctx context.Context, p apply.Prober) ([]apply.Proof, error) {
			return m.verify(ctx, p, state)
		},
	}, nil)
}

// unlessHalfGone refuses to make new SAs for a pair for which some stand that
// were applied before and of which a part is gone since: the peer has their
// keys. It returns refused otherwise.
func (r *fixRun) unlessHalfGone(ctx context.Context, m *manualFlags, plan *remedy.Plan, refused error) error {
	var refusal *remedy.Refusal
	if refused == nil && plan.Empty() || refused != nil && !errors.As(refused, &refusal) {
		return refused
	}
	e, lost, err := r.journal.Standing(ctx, r.kernel, func(e *apply.Entry) bool {
		return (e.Plan.Action == remedy.ActionManualSA || e.Plan.Action == remedy.ActionBringUp) &&
			e.Plan.Params["local"] == m.Local.String() && e.Plan.Params["peer"] == m.Peer.String()
	})
	switch {
	case err != nil:
		return err
	case e == nil:
		return refused
	case len(lost) > 0:
		return fmt.Errorf("number %d has applied this, and of it is gone since: %s; %s first", e.ID, lost[0], r.command("undo", e.ID))
	case refused != nil:
		return fmt.Errorf("%w (applied as number %d)", refused, e.ID)
	}
	return refused
}

// prove asks the model of the kernel's policies and SAs whether the pair's
// packets are protected now.
func (m *manualFlags) prove(action remedy.Action, now *analyze.KernelState) []apply.Proof {
	db := spd.Database{Policies: now.Policies, SAs: now.SAs, Defaults: now.Defaults}
	local, peer := m.Local, m.Peer
	if m.LocalNet.IsValid() {
		local = m.LocalNet.Addr()
	}
	if m.PeerNet.IsValid() {
		peer = m.PeerNet.Addr()
	}
	p := apply.Proof{
		Subject: fmt.Sprintf("traffic between %s and %s", local, peer), Holds: true,
		Text: fmt.Sprintf("the kernel's policies protect what passes between %s and %s, and have SAs for it, in both directions", local, peer),
	}
	out := spd.Flow{Src: local, Dst: peer, Proto: spd.ProtoTCP, SrcPort: 50000, DstPort: 50001}
	in := out
	in.Src, in.Dst = out.Dst, out.Src
	for dir, f := range map[spd.Direction]spd.Flow{spd.Out: out, spd.In: in} {
		if v := db.Lookup(dir, f); v.Decision != spd.Protect || v.Dies() {
			p.Holds, p.Wrong = false, apply.Local
			p.Text = fmt.Sprintf("%s → %s is not protected by an SA: another policy comes first, or the SA is gone", f.Src, f.Dst)
		}
	}
	proofs := []apply.Proof{p}
	if _, _, neighbour := sourceFor(now, m.Peer); action == remedy.ActionBringUp && m.Peer.Is6() && neighbour {
		proofs = append(proofs, proveND(now, remedy.NDOptions{Peers: []netip.Addr{m.Peer}}))
	}
	return proofs
}

// verify solicits the peer where it is an IPv6 neighbour, and pings it.
func (m *manualFlags) verify(ctx context.Context, p apply.Prober, state *analyze.KernelState) ([]apply.Proof, error) {
	var out []apply.Proof
	if src, dev, ok := sourceFor(state, m.Peer); ok && m.Peer.Is6() {
		proof, err := apply.VerifyND(ctx, p, src, m.Peer, dev)
		if out = append(out, proof); err != nil || !proof.Holds {
			return out, err
		}
	}
	if m.LocalNet.IsValid() || m.PeerNet.IsValid() {
		return append(out, apply.Proof{
			Subject: "traffic between the networks",
			Text:    "who answers in the peer's network is not known here: send something, and look at the counters of ip -s xfrm state",
		}), nil
	}
	proof, err := apply.VerifySAs(ctx, p, m.Local, m.Peer)
	return append(out, proof), err
}
