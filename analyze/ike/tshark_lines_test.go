package ike

import (
	"fmt"
	"strconv"
	"strings"
)

// ourLines renders what the decoder found, one line a fact.
func ourLines(m *Message) []string {
	out := []string{
		fmt.Sprintf("spi %v %v next %d version %d.%d", m.InitiatorSPI, m.ResponderSPI, m.NextPayload, m.Major, m.Minor),
		fmt.Sprintf("exchange %d flags %#x id %#x length %d", m.Exchange, m.Flags, m.MessageID, m.Length),
	}
	if m.EncryptedBody != nil {
		return append(out, fmt.Sprintf("encrypted %d", len(m.EncryptedBody)))
	}
	for _, p := range m.Payloads {
		out = append(out, fmt.Sprintf("payload %d next %d length %d critical %v", p.Type, p.Next, p.Length, p.Critical))
		out = append(out, bodyLines(p.Body)...)
	}
	return out
}

func bodyLines(b Body) []string {
	switch b := b.(type) {
	case *SA:
		return saLines(b)
	case *KeyExchange:
		return []string{fmt.Sprintf("ke %d %x", b.Group, b.Data)}
	case *Nonce:
		return []string{fmt.Sprintf("nonce %x", b.Data)}
	case *Hash:
		return []string{fmt.Sprintf("hash %x", b.Data)}
	case *VendorID:
		return []string{fmt.Sprintf("vendor %x", b.Data)}
	case *NATD:
		return []string{fmt.Sprintf("nat-d %x", b.Hash)}
	case *Notify:
		return []string{fmt.Sprintf("notify %d protocol %d spi %x data %x", b.Type, b.Protocol, b.SPI, b.Data)}
	case *Identification:
		return []string{fmt.Sprintf("id %d", b.Type)}
	case *CertificateRequest:
		if b.Major == 1 { // a name, of which tshark gives no bytes
			return []string{fmt.Sprintf("certreq %d", b.Encoding)}
		}
		return []string{fmt.Sprintf("certreq %d %x", b.Encoding, b.Authority)}
	case *Encrypted:
		return []string{fmt.Sprintf("sk %d", b.Length)}
	case *EncryptedFragment:
		return []string{fmt.Sprintf("skf %d of %d", b.Number, b.Total)}
	}
	return []string{fmt.Sprintf("%T", b)}
}

func saLines(sa *SA) []string {
	out := []string{fmt.Sprintf("sa doi %d situation %d", sa.DOI, sa.Situation)}
	for _, p := range sa.Proposals {
		out = append(out, fmt.Sprintf("proposal %d protocol %d spi %x transforms %d", p.Number, p.Protocol, p.SPI, p.Count))
		for _, t := range p.Transforms {
			out = append(out, fmt.Sprintf("transform %d type %d id %d", t.Number, t.Type, t.ID))
			for _, a := range t.Attributes {
				out = append(out, fmt.Sprintf("attribute %d tv %v value %x", a.Type, a.TV, a.Value))
			}
		}
	}
	return out
}

// tsharkLines renders tshark's dissection in the same way.
func tsharkLines(f *pdmlField) []string {
	version := f.field("isakmp.version")
	out := []string{
		fmt.Sprintf("spi %s %s next %d version %d.%d", f.hex("isakmp.ispi"), f.hex("isakmp.rspi"), f.number("isakmp.nextpayload"),
			version.number("isakmp.mjver"), version.number("isakmp.mnver")),
		fmt.Sprintf("exchange %d flags %#x id %#x length %d", f.number("isakmp.exchangetype"), f.number("isakmp.flags"),
			f.number("isakmp.messageid"), f.number("isakmp.length")),
	}
	if enc := f.field("isakmp.enc.data"); enc != nil {
		return append(out, fmt.Sprintf("encrypted %d", enc.Size)) // it gives no bytes
	}
	v1 := version.number("isakmp.mjver") == 1
	for i := range f.Fields {
		p := &f.Fields[i]
		if p.Name != "isakmp.typepayload" {
			continue
		}
		kind, _ := strconv.Atoi(p.Show)
		out = append(out, fmt.Sprintf("payload %d next %d length %d critical %v", kind, p.number("isakmp.nextpayload"),
			p.number("isakmp.payloadlength"), p.number("isakmp.criticalpayload") == 1))
		out = append(out, tsharkBody(p, PayloadType(kind), v1)...)
	}
	return out
}

func tsharkBody(p *pdmlField, kind PayloadType, v1 bool) []string {
	switch kind {
	case PayloadSA, PayloadSAV1:
		return tsharkSA(p, v1)
	case PayloadKE, PayloadKEV1:
		return []string{fmt.Sprintf("ke %d %s", p.number("isakmp.key_exchange.dh_group"), p.hex("isakmp.key_exchange.data"))}
	case PayloadNonce, PayloadNonceV1:
		return []string{"nonce " + p.hex("isakmp.nonce")}
	case PayloadHashV1:
		return []string{"hash " + p.hex("isakmp.hash")}
	case PayloadVendorID, PayloadVendorIDV1:
		return []string{"vendor " + p.hex("isakmp.vid_bytes")}
	case PayloadNATDV1, PayloadNATDDraft00:
		return []string{"nat-d " + p.hex("isakmp.ike.nat_hash")}
	case PayloadNotify, PayloadNotifyV1:
		return []string{fmt.Sprintf("notify %d protocol %d spi %s data %s", p.number("isakmp.notify.msgtype"),
			p.number("isakmp.notify.protoid"), p.hex("isakmp.spi"), p.hex("isakmp.notify.data"))}
	case PayloadIDi, PayloadIDr, PayloadIDV1:
		return []string{fmt.Sprintf("id %d", p.number("isakmp.id.type"))}
	case PayloadCertReqV1:
		return []string{fmt.Sprintf("certreq %d", p.number("isakmp.certreq.type"))}
	case PayloadCertReq:
		return []string{fmt.Sprintf("certreq %d %s", p.number("isakmp.certreq.type"), p.hex("isakmp.ike.certreq.authority"))}
	case PayloadEncryptedFrag:
		return []string{fmt.Sprintf("skf %d of %d", p.number("isakmp.frag.number"), p.number("isakmp.frag.total"))}
	case PayloadEncrypted:
		return []string{fmt.Sprintf("sk %d", p.number("isakmp.payloadlength")-4)}
	}
	return nil
}

func tsharkSA(sa *pdmlField, v1 bool) []string {
	situation, _ := strconv.ParseUint(sa.hex("isakmp.sa.situation"), 16, 32)
	out := []string{fmt.Sprintf("sa doi %d situation %d", sa.number("isakmp.sa.doi"), situation)}
	for i := range sa.Fields {
		p := &sa.Fields[i]
		if p.Name != "isakmp.typepayload" {
			continue
		}
		out = append(out, fmt.Sprintf("proposal %d protocol %d spi %s transforms %d", p.number("isakmp.prop.number"),
			p.number("isakmp.prop.protoid"), p.hex("isakmp.spi"), p.number("isakmp.prop.transforms")))
		for j := range p.Fields {
			if p.Fields[j].Name == "isakmp.typepayload" {
				out = append(out, tsharkTransform(&p.Fields[j], v1)...)
			}
		}
	}
	return out
}

func tsharkTransform(t *pdmlField, v1 bool) []string {
	id := t.number("isakmp.trans.id")
	if !v1 {
		for _, f := range t.Fields {
			if strings.HasPrefix(f.Name, "isakmp.tf.id") {
				id, _ = strconv.ParseUint(f.Show, 0, 16)
			}
		}
	}
	out := []string{fmt.Sprintf("transform %d type %d id %d", t.number("isakmp.trans.number"), t.number("isakmp.tf.type"), id)}
	for i := range t.Fields {
		a := &t.Fields[i]
		switch a.Name {
		case "isakmp.ike.attr", "isakmp.ipsec.attr", "isakmp.ike2.attr":
			out = append(out, fmt.Sprintf("attribute %d tv %v value %s", a.number(a.Name+".type"),
				a.number(a.Name+".format") == 1, a.hex(a.Name+".value")))
		}
	}
	return out
}
