package spd

import (
	"net/netip"
	"slices"
	"testing"
)

func admitSA(mode Mode, reqid uint32) *SA {
	return &SA{
		Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), SPI: 0x1001, Proto: ProtoESP, Mode: mode, ReqID: reqid,
		Enc: &Algorithm{Name: "cbc(aes)", KeyBits: 128},
	}
}

func admitPolicy(dir Direction, src, dst string, t ...Template) Policy {
	return Policy{
		Selector:  Selector{Src: netip.MustParsePrefix(src), Dst: netip.MustParsePrefix(dst), Family: IPv4},
		Direction: dir, Priority: 100, Templates: t,
	}
}

func TestMisfitsNamesEveryDifference(t *testing.T) {
	ends := func(a, b string) Template {
		return Template{Src: netip.MustParseAddr(a), Dst: netip.MustParseAddr(b), Proto: ProtoESP, Mode: Tunnel}
	}
	for _, c := range []struct {
		name string
		t    Template
		s    *SA
		want []Misfit
	}{
		{"any reqid", Template{Proto: ProtoESP}, admitSA(Transport, 7), nil},
		{"another reqid", Template{Proto: ProtoESP, ReqID: 8}, admitSA(Transport, 7), []Misfit{MisfitReqID}},
		{"mode and protocol", Template{Proto: ProtoAH, Mode: Tunnel}, admitSA(Transport, 7), []Misfit{MisfitProto, MisfitMode}},
		{"its SPI", Template{Proto: ProtoESP, SPI: 0x1001}, admitSA(Transport, 7), nil},
		{"another SPI", Template{Proto: ProtoESP, SPI: 0x1002}, admitSA(Transport, 7), []Misfit{MisfitSPI}},
		{"its tunnel", ends("10.0.0.1", "10.0.0.2"), admitSA(Tunnel, 0), nil},
		{"an open tunnel", ends("0.0.0.0", "0.0.0.0"), admitSA(Tunnel, 0), nil},
		{"another tunnel", ends("10.0.0.9", "10.0.0.2"), admitSA(Tunnel, 0), []Misfit{MisfitEnds}},
	} {
		if got := c.t.Misfits(c.s); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAdmitTellsWhoTakesAndWhoRefuses(t *testing.T) {
	esp := func(reqid uint32) Template { return Template{Proto: ProtoESP, ReqID: reqid} }
	optional := Template{Proto: ProtoESP, ReqID: 9, Optional: true}
	db := &Database{Policies: []Policy{
		admitPolicy(In, "10.0.0.1/32", "10.0.0.2/32", esp(7)),
		admitPolicy(In, "10.0.0.1/32", "10.0.0.2/32", esp(8)),
		admitPolicy(In, "10.0.0.0/24", "10.0.0.0/24", optional),
		admitPolicy(In, "10.0.0.3/32", "10.0.0.2/32", esp(9)),
		admitPolicy(In, "10.0.0.0/24", "10.0.0.0/24"),
		admitPolicy(Out, "10.0.0.1/32", "10.0.0.2/32", esp(9)),
	}}
	a := db.Admit(admitSA(Transport, 8), In)
	if len(a.Taking) != 1 || a.Taking[0] != &db.Policies[1] || len(a.Refusing) != 1 || a.Refusing[0] != &db.Policies[0] {
		t.Errorf("reqid 8 is taken by %v and refused by %v, want the second and the first", a.Taking, a.Refusing)
	}
	a = db.Admit(admitSA(Transport, 5), In)
	if len(a.Taking) != 0 || len(a.Refusing) != 2 {
		t.Errorf("reqid 5 is taken by %v and refused by %v, want nobody and two", a.Taking, a.Refusing)
	}
	if a = db.Admit(admitSA(Tunnel, 9), Out); len(a.Taking) != 0 {
		t.Errorf("a tunnel is taken by %v", a.Taking)
	}
}
