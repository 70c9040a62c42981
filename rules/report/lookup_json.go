package report

import (
	"io"

	"ipsecdiag/analyze"
	"ipsecdiag/analyze/spd"
)

// lookupVersion is the version of the lookup's JSON. Fields are only ever added
// within a version.
const lookupVersion = 1

type lookupDocument struct {
	Version int            `json:"version"`
	Lookups []lookupAnswer `json:"lookups"`
}

type lookupAnswer struct {
	What       string        `json:"what,omitempty"`
	Direction  spd.Direction `json:"dir"`
	Packet     lookupPacket  `json:"packet"`
	Decision   string        `json:"decision"` // clear, protect, block
	Passes     bool          `json:"passes"`
	Unsure     bool          `json:"unsure,omitempty"` // it passes where there is an SA, and the SAs are not known
	Verdict    string        `json:"verdict"`          // in words
	Counter    string        `json:"counter,omitempty"`
	Exempt     string        `json:"exempt,omitempty"`
	SAs        []spd.SA      `json:"sas,omitempty"`     // that carry it
	Missing    *spd.Template `json:"missing,omitempty"` // for which there is no SA
	Conclusion string        `json:"conclusion,omitempty"`
	Depends    string        `json:"depends,omitempty"`
	Weighed    []weighedJSON `json:"weighed"`
	Near       []nearJSON    `json:"near"`
	Sockets    []*spd.Policy `json:"sockets,omitempty"`
}

type lookupPacket struct {
	Src     string `json:"src"`
	Dst     string `json:"dst"`
	Proto   uint8  `json:"proto"`
	SrcPort uint16 `json:"sport"` // the type of ICMP and ICMPv6
	DstPort uint16 `json:"dport"` // their code
	Mark    uint32 `json:"mark,omitempty"`
	IfID    uint32 `json:"if_id,omitempty"`
	IfIndex int    `json:"ifindex,omitempty"` // with which selectors are compared
	Via     int    `json:"via,omitempty"`     // by which it leaves or comes in
	Device  string `json:"dev,omitempty"`     // the name of Via
}

type weighedJSON struct {
	Policy   *spd.Policy `json:"policy"`
	Text     string      `json:"text"`
	Standing string      `json:"standing"` // wins, loses, not asked
	By       string      `json:"by"`       // alone, type, priority, age
	Reason   string      `json:"reason"`
	Would    string      `json:"would"`
	Depends  bool        `json:"depends,omitempty"`
}

type nearJSON struct {
	Policy  *spd.Policy  `json:"policy"`
	Text    string       `json:"text"`
	Differs []differJSON `json:"differs"`
}

type differJSON struct {
	Aspect string `json:"aspect"`
	Policy string `json:"policy"`
	Packet string `json:"packet"`
	Text   string `json:"text"`
}

// LookupJSON writes what LookupText does, for programs: one document
// {"version":1,"lookups":[...]}.
func LookupJSON(w io.Writer, lookups []Lookup, d Devices) error {
	doc := lookupDocument{Version: lookupVersion, Lookups: []lookupAnswer{}}
	for i := range lookups {
		doc.Lookups = append(doc.Lookups, answerOf(&lookups[i], d))
	}
	return analyze.WriteJSON(w, doc, true)
}

func answerOf(k *Lookup, d Devices) lookupAnswer {
	e := &k.Explanation
	v, f := &e.Verdict, &e.Flow
	a := lookupAnswer{
		What: k.What, Direction: e.Direction, Decision: v.Decision.String(), Passes: !v.Dies(), Unsure: e.Unsure(),
		Packet: lookupPacket{
			Src: f.Src.String(), Dst: f.Dst.String(), Proto: f.Proto, SrcPort: f.SrcPort, DstPort: f.DstPort,
			Mark: f.Mark, IfID: f.IfID, IfIndex: f.IfIndex, Via: f.Via, Device: d[f.Via],
		},
		Verdict: d.name(e.Line()), Counter: v.Counter(e.Direction), Conclusion: e.Conclusion(), Depends: e.Depends(),
		Weighed: weighedOf(e, d), Near: nearOf(e, d), Sockets: e.Sockets,
	}
	if v.Exempt != spd.NotExempt {
		a.Exempt = v.Exempt.String()
	}
	for _, n := range v.Needs {
		if n.SA != nil {
			a.SAs = append(a.SAs, *n.SA)
		}
	}
	if n := v.MissingSA(); n != nil {
		a.Missing = n.Template
	}
	return a
}

func weighedOf(e *spd.Explanation, d Devices) []weighedJSON {
	out := []weighedJSON{}
	for i := range e.Weighed {
		w := &e.Weighed[i]
		out = append(out, weighedJSON{
			Policy: w.Policy, Text: d.name(w.Policy.String()), Standing: w.Standing.String(), By: w.By.String(),
			Reason: w.Reason(), Would: e.Would(w), Depends: w.Depends,
		})
	}
	return out
}

func nearOf(e *spd.Explanation, d Devices) []nearJSON {
	out := []nearJSON{}
	for _, n := range e.Near {
		j := nearJSON{Policy: n.Policy, Text: d.name(n.Policy.String()), Differs: []differJSON{}}
		for _, x := range n.Differs {
			j.Differs = append(j.Differs, differJSON{x.Aspect, d.name(x.Policy), d.name(x.Packet), d.name(x.String())})
		}
		out = append(out, j)
	}
	return out
}
