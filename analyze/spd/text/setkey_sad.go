package text

import (
	"ipsecdiag/analyze/spd"
	"ipsecdiag/analyze/spd/secret"
)

// nattPort is the UDP port where none is written (parse.y DEFAULT_NATT_PORT).
const nattPort = 4500

// add reads "add [-46n] src dst protocol spi [options] algorithms".
func (p *confParser) add(at Pos, w *confWords) {
	s, src, dst := w.said()
	encap := s.Encap
	if encap != nil {
		encap.SrcPort, encap.DstPort = or(src.port, nattPort), or(dst.port, nattPort)
	}
	w.options(&s)
	keys := w.algorithms(&s)
	w.end()
	if w.bad == "" {
		p.r.addSA(s, keys, at)
	}
}

func or(v, otherwise uint16) uint16 {
	if v == 0 {
		return otherwise
	}
	return v
}

// said reads what names an SA: "[-46n] src dst protocol spi".
func (w *confWords) said() (s spd.SA, src, dst rangeSpec) {
	w.flags()
	src, dst = w.address("source"), w.address("destination")
	s.Src, s.Dst = src.prefix.Addr(), dst.prefix.Addr()
	s.Family = familyOf(s.Src)
	if w.bad == "" && s.Family != familyOf(s.Dst) {
		w.fail("source and destination are of different families")
	}
	s.Proto, s.Encap = w.protocol()
	if s.Encap != nil && len(w.tokens) > 1 {
		if _, ok := address(w.peek()); ok { // esp-udp with the original address
			w.next()
		}
	}
	s.SPI = w.u32("SPI")
	return s, src, dst
}

// protocol reads the protocol of an SA, with UDP encapsulation for esp-udp.
func (w *confWords) protocol() (uint8, *spd.Encap) {
	switch w.next() {
	case "esp":
		return spd.ProtoESP, nil
	case "ah":
		return spd.ProtoAH, nil
	case "ipcomp":
		return spd.ProtoIPComp, nil
	case "esp-udp":
		return spd.ProtoESP, &spd.Encap{Type: 2}
	case "esp-old", "ah-old", "tcp":
		w.fail("esp-old, ah-old and tcp do not exist on Linux")
	default:
		w.fail("the protocol is not esp, ah, ipcomp or esp-udp")
	}
	return 0, nil
}

// options reads the extensions, which stand before the algorithms. Where no
// mode is written, or any, the kernel takes transport (pfkey_mode_to_xfrm).
func (w *confWords) options(s *spd.SA) {
	for {
		switch w.peek() {
		case "-m":
			w.next()
			w.mode(s)
		case "-u":
			w.next()
			s.ReqID = w.u32("-u")
		case "-r":
			w.next()
			s.Replay.Window = w.u32("-r")
		case "-lh":
			w.next()
			s.Limits.HardAdd = uint64(w.u32("-lh"))
		case "-ls":
			w.next()
			s.Limits.SoftAdd = uint64(w.u32("-ls"))
		case "-bh":
			w.next()
			s.Limits.HardBytes = uint64(w.u32("-bh"))
		case "-bs":
			w.next()
			s.Limits.SoftBytes = uint64(w.u32("-bs"))
		case "-f": // padding and cyclic sequence numbers: not on Linux
			w.next()
			switch w.next() {
			case "random-pad", "seq-pad", "zero-pad", "nocyclic-seq":
			default:
				w.fail("-f: not a known option")
			}
		case "-ctx":
			w.context()
		default:
			return
		}
	}
}

func (w *confWords) mode(s *spd.SA) {
	switch w.next() {
	case "transport", "any":
		s.Mode = spd.Transport
	case "tunnel":
		s.Mode = spd.Tunnel
	default:
		w.fail("-m: not transport, tunnel or any")
	}
}

// algorithms reads "-E alg key [-A alg key]", "-A alg key" or "-C alg [-R]".
func (w *confWords) algorithms(s *spd.SA) (k Keys) {
	if w.peek() == "-C" {
		w.next()
		if a := bySetkey(forComp, w.next()); a == nil {
			w.fail("-C: not a compression algorithm of Linux")
		} else {
			s.Comp = a.spd(0)
		}
		if w.peek() == "-R" {
			w.next()
		}
	}
	if w.peek() == "-E" {
		w.next()
		s.Enc, k.Enc = w.algorithm(forEnc, "-E: not an encryption algorithm of setkey and Linux")
	}
	if w.peek() == "-A" {
		w.next()
		s.Auth, k.Auth = w.algorithm(forAuth, "-A: not an authentication algorithm of setkey and Linux")
	}
	switch {
	case s.Proto == spd.ProtoESP && s.Enc == nil:
		w.fail("esp without its encryption algorithm (-E), or an option after the algorithms")
	case s.Proto == spd.ProtoAH && s.Auth == nil:
		w.fail("ah without its authentication algorithm (-A), or an option after the algorithms")
	case s.Proto == spd.ProtoIPComp && s.Comp == nil:
		w.fail("ipcomp without its compression algorithm (-C)")
	}
	return k
}

// algorithm reads an algorithm with its key; null has none.
func (w *confWords) algorithm(u use, unknown string) (*spd.Algorithm, Secret) {
	a := bySetkey(u, w.next())
	if a == nil {
		w.fail(unknown)
		return nil, Secret{}
	}
	if a.takes(0) {
		return a.spd(0), Secret{}
	}
	t, _ := w.take()
	key, ok := confKey(t.text, t.quoted)
	if !ok {
		w.fail("the key is neither a string in quotation marks nor a hexadecimal number after 0x")
		return nil, Secret{}
	}
	return a.spd(key.Len()), key
}

// confKey reads a key as setkey's grammar has it.
func confKey(s string, quoted bool) (Secret, bool) {
	if quoted {
		return secret.New([]byte(s)), true
	}
	if len(s) < 3 || (s[:2] != "0x" && s[:2] != "0X") {
		return Secret{}, false
	}
	return hexKey(s[2:])
}

// deleteSA reads "delete src dst protocol spi" and "deleteall src dst protocol".
func (p *confParser) deleteSA(_ Pos, w *confWords) {
	w.flags()
	src, dst := w.address("source"), w.address("destination")
	proto, _ := w.protocol()
	var spi uint32
	if len(w.tokens) > 0 {
		spi = w.u32("SPI")
		w.options(new(spd.SA))
	}
	w.end()
	if w.bad != "" {
		return
	}
	p.r.deleteSAs(func(s *spd.SA) bool {
		return s.Src == src.prefix.Addr() && s.Dst == dst.prefix.Addr() && s.Proto == proto && (spi == 0 || s.SPI == spi)
	})
}
