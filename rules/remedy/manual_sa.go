package remedy

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"

	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/spd/secret"
)

// addSA adds the SA for one template.
func (m *manual) addSA(s side, t *spd.Template) error {
	sa := spd.SA{
		Src: s.src, Dst: s.dst, SPI: s.spi, Proto: t.Proto, Mode: t.Mode, ReqID: t.ReqID, Family: familyOf(s.src), Auth: m.auth.spd(),
	}
	if t.Proto == spd.ProtoESP {
		sa.Enc = m.enc.spd()
	}
	if err := m.chooseSPI(&sa); err != nil {
		return err
	}
	keys, err := m.keys(s, &sa)
	if err != nil {
		return err
	}
	if t.Optional {
		m.note("the policy says level use: without the SA its packets pass in the clear, as before")
	}
	why := fmt.Sprintf("%s from %s", spd.ProtocolName(sa.Proto), s.src)
	if s.dir == spd.Out {
		why = fmt.Sprintf("%s to %s", spd.ProtocolName(sa.Proto), s.dst)
	}
	return m.add(Step{Op: AddSA, SA: &sa, Keys: &keys, Why: why})
}

// spiDraws bounds the search for an SPI: with a million SAs one of them is
// taken with a chance of 1 in 4000.
const spiDraws = 64

// chooseSPI draws an SPI that nothing has, or checks the one that is given.
func (m *manual) chooseSPI(sa *spd.SA) error {
	if sa.SPI != 0 {
		if old := m.taken(sa); old != nil {
			return refuse(SPIInUse, "the SPI %#x is in use for %s to %s: %s", sa.SPI, spd.ProtocolName(sa.Proto), sa.Dst, old)
		}
		return nil
	}
	for range spiDraws {
		var b [4]byte
		if _, err := io.ReadFull(m.random, b[:]); err != nil {
			return fmt.Errorf("draw an SPI: %w", err)
		}
		if sa.SPI = binary.BigEndian.Uint32(b[:]); sa.SPI >= 0x100 && m.taken(sa) == nil {
			return nil
		}
	}
	return refuse(SPIInUse, "no free SPI was found in %d draws", spiDraws)
}

// taken returns the SA that has the SPI already, whatever its mark.
func (m *manual) taken(sa *spd.SA) *spd.SA {
	for i := range m.db.SAs {
		if o := &m.db.SAs[i]; o.Dst == sa.Dst && o.Proto == sa.Proto && o.SPI == sa.SPI {
			return o
		}
	}
	return nil
}

// keys draws the keys of an SA, or takes those that are given, and names them
// by the SA's SPI, which is the same at both ends.
func (m *manual) keys(s side, sa *spd.SA) (SAKeys, error) {
	var out SAKeys
	name := fmt.Sprintf("%s-%#08x-", spd.ProtocolName(sa.Proto), sa.SPI)
	if sa.Enc != nil {
		out.Enc = KeyRef(name + "enc")
		if err := m.key(s, sa, out.Enc, "enc", m.enc); err != nil {
			return out, err
		}
	}
	out.Auth = KeyRef(name + "auth")
	return out, m.key(s, sa, out.Auth, "auth", m.auth)
}

func (m *manual) key(s side, sa *spd.SA, ref KeyRef, what string, a *algorithm) error {
	if len(m.o.Keys) == 0 {
		b := make([]byte, a.bits/8)
		if _, err := io.ReadFull(m.random, b); err != nil {
			return fmt.Errorf("draw a key: %w", err)
		}
		m.ring[ref] = secret.New(b)
		clear(b)
		return nil
	}
	for _, name := range append([]KeyRef{ref}, keyNames(sa.Proto, s.word, what)...) {
		key, ok := m.o.Keys[name]
		if !ok {
			continue
		}
		if key.Len() != a.bits {
			return refuse(KeyLength, "the key %s has %d bits, and %s takes %d", name, key.Len(), a.name, a.bits)
		}
		m.ring[ref], m.used = key, append(m.used, name)
		return nil
	}
	return refuse(MissingKey, "keys are given, and none of them is %s", keyNames(sa.Proto, s.word, what)[0])
}

// keyNames are the names under which a key may be given: by direction as in
// esp-in-enc, for both directions as in esp-enc, and those of keys-ipsecN files.
func keyNames(proto uint8, word, what string) []KeyRef {
	p := spd.ProtocolName(proto)
	stem := map[string]string{"esp enc": "KEY_ESP", "esp auth": "KEY_AESP", "ah auth": "KEY_AH"}[p+" "+what]
	upper := map[string]string{"in": "_IN", "out": "_OUT"}[word]
	return []KeyRef{
		KeyRef(p + "-" + word + "-" + what), KeyRef(p + "-" + what), KeyRef(stem + upper), KeyRef(stem),
	}
}

// given returns the length of a key for encryption that is given, in bits; 0
// where none is.
func (m *manual) given(proto uint8, what string) int {
	for _, s := range m.sides() {
		for _, name := range append(keyNames(proto, s.word, what), KeyRef(fmt.Sprintf("%s-%#08x-%s", spd.ProtocolName(proto), s.spi, what))) {
			if key, ok := m.o.Keys[name]; ok {
				return key.Len()
			}
		}
	}
	return 0
}

// strangers refuses given keys that belong to nothing: a name that is misspelt
// would have another key in its place.
func (m *manual) strangers() error {
	for _, name := range slices.Sorted(maps.Keys(m.o.Keys)) {
		if !slices.Contains(m.used, name) {
			return refuse(MissingKey, "the key %s belongs to none of the SAs", name)
		}
	}
	return nil
}
