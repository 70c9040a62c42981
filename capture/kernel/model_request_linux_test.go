package kernel

import (
	"errors"
	"fmt"

	"ipsecdiag/analyze/spd"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// This file writes the requests by which the model's test fills a kernel's
// databases, all at once.

// Message types that package nl lacks (include/uapi/linux/xfrm.h).
const msgSetDefault = 0x27

// saKey is the key of every SA of the test: rfc4106(gcm(aes)) with a salt. It
// protects nothing but test packets.
var saKey = make([]byte, 20)

// modelSA is an SA of the test, with its key.
func modelSA(s *spd.SA) []byte {
	b := encodeSA(s, nil, nil)
	alg := nl.XfrmAlgoAEAD{AlgKeyLen: uint32(8 * len(saKey)), AlgICVLen: 128, AlgKey: saKey}
	copy(alg.AlgName[:], "rfc4106(gcm(aes))")
	return appendAttr(b, nl.XFRMA_ALG_AEAD, alg.Serialize())
}

// batch is requests that go to the kernel at once.
type batch struct {
	seq  uint32
	data []byte
}

func (b *batch) add(kind int, payload []byte) {
	b.seq++
	r := nl.NewNetlinkRequest(kind, unix.NLM_F_ACK)
	r.Seq = b.seq
	r.AddRawData(payload)
	b.data = append(b.data, r.Serialize()...)
}

func (b *batch) flush() {
	b.add(nl.XFRM_MSG_FLUSHSA, []byte{255, 0, 0, 0})
	for _, t := range []spd.PolicyType{spd.Main, spd.Sub} {
		b.add(nl.XFRM_MSG_FLUSHPOLICY, appendAttr(nil, nl.XFRMA_POLICY_TYPE, []byte{byte(t), 0, 0, 0, 0, 0}))
	}
}

func (b *batch) defaults(d spd.Defaults) {
	value := func(a spd.Action) byte {
		if a == spd.Block {
			return userpolicyBlock
		}
		return 2 // XFRM_USERPOLICY_ACCEPT
	}
	b.add(msgSetDefault, []byte{value(d.In), value(d.Fwd), value(d.Out), 0})
}

// run sends the batch and returns the first error of the kernel.
func (b *batch) run(s *socket) error {
	if err := s.send(b.data); err != nil {
		return err
	}
	var first error
	for acked := uint32(0); acked < b.seq; {
		err := s.receive(func(m message) {
			if m.kind != unix.NLMSG_ERROR {
				return
			}
			acked++
			if e := m.errno(); e != nil && first == nil {
				first = fmt.Errorf("request %d of %d: %w", m.seq, b.seq, e)
			}
		})
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("read acknowledgements: %w", err) // the kernel answers while it is asked
		}
	}
	return first
}
