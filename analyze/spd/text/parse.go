package text

import (
	"maps"
	"slices"

	"ipsecdiag/analyze/spd"
)

// Parse reads the files as one host's state: policies and SAs in two files or
// in one, an ifcfg file beside its keys file. Each file may be of another kind.
// It never fails as a whole: see Result.Errors.
func Parse(o Options, files ...File) Result {
	r := Result{
		Keys: map[spd.SAKey]Keys{}, Secrets: map[string]bool{}, Devices: map[string]int{},
		policies: map[spd.Identity]placed{}, sas: map[spd.SAKey]Pos{},
	}
	maps.Copy(r.Devices, o.Devices)
	var ifcfg []File
	for _, f := range files {
		kind := Detect(f.Data)
		if len(f.Data) > maxInput || (kind == KindSetkeyConf && len(f.Data) > maxConf) {
			r.Errors.add(Pos{File: f.Name}, "the file is too large for what it is; it is left out")
			kind, f.Data = KindEmpty, nil
		}
		r.Sources = append(r.Sources, Source{Name: f.Name, Kind: kind})
		switch kind {
		case KindIPXfrm:
			parseIPXfrm(&r, o, f)
		case KindSetkeyDump:
			parseSetkeyDump(&r, o, f)
		case KindSetkeyConf:
			parseSetkeyConf(&r, f)
		case KindIfcfg, KindIfcfgKeys:
			ifcfg = append(ifcfg, f)
		case KindUnknown:
			r.Errors.add(Pos{File: f.Name, Line: firstLine(f.Data)}, "neither the output of ip xfrm or setkey, nor a setkey.conf, nor an ifcfg file")
		}
	}
	parseIfcfgs(&r, ifcfg)
	return r
}

// firstLine returns the number of the first line that says anything.
func firstLine(b []byte) int {
	for l := range lines(b) {
		if !idle(l.text) {
			return l.n
		}
	}
	return 1
}

// oldestFirst turns a dump, which lists the newest policy first
// (xfrm_policy_insert adds at the head of policy_all), into the order of age.
func oldestFirst[T any](s []T) []T {
	slices.Reverse(s)
	return s
}
