package scrub

import (
	"ipsecdiag/analyze"
)

// Scrubber replaces what names somebody's network in events. It remembers
// nothing but what it can compute again, and may not be used concurrently.
type Scrubber struct {
	secret    *Secret
	addresses *addresses
	// Left is how many frames were left out: they are of kinds that it does not
	// know.
	Left int
}

// New returns a scrubber of which all stand-ins follow from the secret.
func New(secret *Secret) *Scrubber {
	return &Scrubber{secret: secret, addresses: newAddresses(secret)}
}

// Event returns an event with stand-ins, nil for a frame of a kind that is not
// known. The event that it is given stays as it was.
func (s *Scrubber) Event(e analyze.Event) analyze.Event {
	if f, ok := e.(*analyze.Frame); ok {
		if f = s.frame(f); f == nil {
			s.Left++
			return nil
		}
		e = f
	} else {
		e = s.values(e)
	}
	h := e.Head()
	h.Origin = s.Origin(h.Origin)
	return e
}

// Origin returns an origin with stand-ins for its names.
func (s *Scrubber) Origin(o analyze.Origin) analyze.Origin {
	if o.Host != "" {
		o.Host = s.secret.name("host-", o.Host)
	}
	if o.Netns != "" {
		o.Netns = s.secret.name("netns-", o.Netns)
	}
	o.Interface = s.interfaceName(o.Interface)
	return o
}
