package text

import (
	"net/netip"
	"strings"

	"ipsecdiag/analyze/spd"
)

// ipsecIf is what ifup-ipsec makes of an ifcfg file.
type ipsecIf struct {
	*ifcfg
	src, dst       netip.Addr
	srcNet, dstNet netip.Prefix
	mode           spd.Mode
	manual         bool
}

// bringUp does what ifup-ipsec does: SAs from the keys, policies out and in.
func (c *ifcfg) bringUp() {
	if t, ok := c.get("TYPE"); ok && !strings.EqualFold(t.value, "IPSEC") {
		c.r.Errors.add(t.at, "TYPE is not IPSEC")
		return
	}
	u := ipsecIf{ifcfg: c, manual: c.manual()}
	if !u.addresses() {
		return
	}
	out := policySpec{dir: spd.Out, action: "ipsec", priority: priorityDefault}
	in := policySpec{dir: spd.In, action: "ipsec", priority: priorityDefault}
	for _, proto := range []uint8{spd.ProtoESP, spd.ProtoAH} {
		if c.off(proto) {
			continue
		}
		if !u.manual || u.sa(proto, "IN", u.dst, u.src) {
			in.requests = append(in.requests, u.request(proto, u.dst, u.src))
		}
		if !u.manual || u.sa(proto, "OUT", u.src, u.dst) {
			out.requests = append(out.requests, u.request(proto, u.src, u.dst))
		}
	}
	u.policies(out, in)
}

// manual reports whether the keys are in the file: nothing of IKE is set.
func (c *ifcfg) manual() bool {
	if _, ike := c.get("IKE_PSK", "IKE_CERTFILE", "IKE_PEER_CERTFILE", "IKE_DNSSEC", "IKE_METHOD"); ike {
		return false
	}
	_, keyed := c.get("KEY_AH", "KEY_ESP")
	return keyed || c.or("manual", "KEYING").value == "manual"
}

// off reports whether a protocol is switched off: ESP_PROTO=none.
func (c *ifcfg) off(proto uint8) bool {
	return c.or("", name(proto)+"_PROTO").value == "none"
}

func name(proto uint8) string { return strings.ToUpper(spd.ProtocolName(proto)) }

// addresses reads the ends and, of tunnels, the networks behind them.
func (u *ipsecIf) addresses() bool {
	var ok, ok2 bool
	src, dst := u.or("", "SRC"), u.or("", "DST")
	if u.src, ok = address(src.value); !ok {
		u.r.Errors.add(src.at, "SRC is not an IP address (without SRC ifup-ipsec asks the routing table, which is not known here)")
	}
	if u.dst, ok2 = address(dst.value); !ok2 {
		u.r.Errors.add(dst.at, "DST is not an IP address")
	}
	if !ok || !ok2 {
		return false
	}
	if familyOf(u.src) != familyOf(u.dst) {
		u.r.Errors.add(dst.at, "SRC and DST are of different families")
		return false
	}
	u.srcNet, ok = u.network("SRCNET", u.src)
	u.dstNet, ok2 = u.network("DSTNET", u.dst)
	return ok && ok2
}

// network reads SRCNET or DSTNET, either of which makes it a tunnel.
func (u *ipsecIf) network(name string, addr netip.Addr) (netip.Prefix, bool) {
	s, ok := u.get(name)
	if !ok {
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	u.mode = spd.Tunnel
	p, err := netip.ParsePrefix(s.value)
	if err != nil || familyOf(p.Addr()) != familyOf(addr) {
		u.r.Errors.add(s.at, name+" is not an IP prefix of the family of the addresses")
		return p, false
	}
	return p, true
}

// sa adds the SA of a protocol in a direction, IN or OUT, and reports whether
// its key is set: ifup-ipsec asks for no other.
func (u *ipsecIf) sa(proto uint8, dir string, src, dst netip.Addr) bool {
	p := name(proto)
	key, ok := u.get("KEY_"+p+"_"+dir, "KEY_"+p)
	if !ok {
		return false
	}
	spi, ok := u.get("SPI_" + p + "_" + dir)
	v, isNumber := number(spi.value, 32)
	if !ok || !isNumber {
		u.r.Errors.add(spi.at, "SPI_"+p+"_"+dir+" is not a number; the SA is left out")
		return true
	}
	s := spd.SA{Src: src, Dst: dst, SPI: uint32(v), Proto: proto, Mode: u.mode, Family: familyOf(src)}
	var keys Keys
	if proto == spd.ProtoAH {
		s.Auth, keys.Auth, ok = u.algorithm(forAuth, key, "hmac-sha1", "AH_PROTO_"+dir, "AH_PROTO")
	} else {
		s.Enc, keys.Enc, ok = u.algorithm(forEnc, key, "3des-cbc", "ESP_PROTO_"+dir, "ESP_PROTO")
		if auth, set := u.get("KEY_AESP_"+dir, "KEY_AESP"); set && ok {
			s.Auth, keys.Auth, ok = u.algorithm(forAuth, auth, "hmac-sha1", "AESP_PROTO_"+dir, "AESP_PROTO")
		}
	}
	if ok {
		u.r.addSA(s, keys, spi.at)
	}
	return true
}

// algorithm reads an algorithm's name and its key: a string unless it begins
// with 0x (ifup-ipsec, handle_keys).
func (u *ipsecIf) algorithm(what use, key setting, otherwise string, names ...string) (*spd.Algorithm, Secret, bool) {
	proto := u.or(otherwise, names...)
	a := bySetkey(what, proto.value)
	if a == nil {
		u.r.Errors.add(proto.at, names[1]+" is not an algorithm of setkey and Linux; the SA is left out")
		return nil, Secret{}, false
	}
	if a.takes(0) {
		return a.spd(0), Secret{}, true
	}
	secret, ok := confKey(key.value, !strings.HasPrefix(key.value, "0x"))
	if !ok {
		u.r.Errors.add(key.at, "the key is not a hexadecimal number; the SA is left out")
		return nil, Secret{}, false
	}
	return a.spd(secret.Len()), secret, true
}

func (u *ipsecIf) request(proto uint8, src, dst netip.Addr) request {
	r := request{proto: proto, mode: u.mode, level: "require"}
	if u.mode == spd.Tunnel {
		r.src, r.dst = src, dst
	}
	return r
}

// policies adds the policies, in ifup-ipsec's order.
func (u *ipsecIf) policies(out, in policySpec) {
	at := u.or("", "DST").at
	if len(out.requests) == 0 || len(in.requests) == 0 {
		u.r.Warnings.add(at, "no keys are set in a direction: its packets pass in the clear")
	}
	p := confParser{r: u.r, file: u.file, reqid: firstReqID - 1}
	src, dst := rangeSpec{prefix: u.srcNet}, rangeSpec{prefix: u.dstNet}
	if u.withinPeer() {
		sel := pfkeySelector(src, src, spd.ProtoAny)
		p.put(at, sel, policySpec{dir: spd.Out, action: "none", priority: priorityDefault})
		p.put(at, sel, policySpec{dir: spd.In, action: "none", priority: priorityDefault})
	}
	p.put(at, pfkeySelector(src, dst, spd.ProtoAny), out)
	p.put(at, pfkeySelector(dst, src, spd.ProtoAny), in)
}

// withinPeer reports whether SRCNET is a part of DSTNET: its own traffic is
// then excluded.
func (u *ipsecIf) withinPeer() bool {
	if u.mode != spd.Tunnel || u.srcNet.Bits() <= u.dstNet.Bits() {
		return false
	}
	return netip.PrefixFrom(u.srcNet.Addr(), u.dstNet.Bits()).Masked().Addr() == u.dstNet.Addr()
}
