package text

import (
	"strings"

	"ipsecdiag/analyze/spd"
)

// ipAlgorithm reads "enc NAME 0xKEY [(N bits)]", and with an ICV "auth-trunc
// NAME 0xKEY [(N bits)] N" (__xfrm_algo_print). The key may be missing, where
// its length is 0, hidden ("<<Keys hidden>>", ip xfrm state nokeys) or blacked
// out by who pasted it; its length is then 0, for unknown.
func ipAlgorithm(w *words, u use, icv bool) (*spd.Algorithm, Secret) {
	w.next()
	name := w.next()
	if !plausible(u, name) {
		w.fail("not the kernel's name of an algorithm")
		return nil, Secret{}
	}
	a := &spd.Algorithm{Name: name}
	if known := byKernel(u, name); known != nil {
		a.ICVBits = known.icv
	}
	key := ipKey(w, icv)
	a.KeyBits = key.Len()
	if strings.HasPrefix(w.peek(), "(") { // (N bits)
		bits, ok := number(strings.TrimPrefix(w.next(), "("), 16)
		w.expect("bits)")
		if !ok || (key.Known() && int(bits) != key.Len()) {
			w.fail("the key has not as many bits as are written beside it")
		}
		a.KeyBits = int(bits)
	}
	if icv {
		a.ICVBits = int(w.uint("length of the ICV", 16))
	}
	return a, key
}

// ipKey reads the key, if one stands there: an ICV or the end of the line may
// follow the name at once.
func ipKey(w *words, icv bool) Secret {
	s := w.peek()
	switch {
	case s == "" || strings.HasPrefix(s, "(") || (icv && len(w.w) == 1):
		return Secret{}
	case s == "<<Keys":
		w.expect("<<Keys", "hidden>>")
		return Secret{}
	case blackedOut(s):
		w.next()
		return Secret{}
	}
	digits, hex := strings.CutPrefix(s, "0x")
	key, ok := hexKey(digits)
	if !hex || !ok {
		w.fail("the key is not a hexadecimal number")
	}
	w.next()
	return key
}

// blackedOut reports whether a word stands for a key that was removed: 0xXXXX,
// ****, <removed>.
func blackedOut(s string) bool {
	if strings.HasPrefix(s, "<") && strings.HasSuffix(s, ">") {
		return true
	}
	s = strings.TrimPrefix(s, "0x")
	return s != "" && strings.Trim(s, "xX*.-_…#") == ""
}
