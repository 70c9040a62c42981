package ike

import "fmt"

// KeyExchange is the public value of one side. RFC 2408 section 3.7 has the
// value alone; in IKEv2 the group stands before it, RFC 7296 section 3.4:
//
//	                     1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Diffie-Hellman Group Num    |           RESERVED            |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                       Key Exchange Data                       ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type KeyExchange struct {
	Group DHGroup // 0 in IKEv1, where the SA payload names it
	Data  []byte
}

func parseKEV2(c *cursor) *KeyExchange {
	k := &KeyExchange{Group: DHGroup(c.u16("Diffie-Hellman Group Num"))}
	c.u16("RESERVED")
	k.Data = c.rest("Key Exchange Data")
	return k
}

func (k *KeyExchange) String() string {
	if k.Group == 0 {
		return plural(len(k.Data), "byte")
	}
	return k.Group.String()
}
func (*KeyExchange) body() {}

// Nonce is a nonce: RFC 2408 section 3.13, RFC 7296 section 3.9.
type Nonce struct{ Data []byte }

func (n *Nonce) String() string { return fmt.Sprint(len(n.Data)) }
func (*Nonce) body()            {}

// Hash is IKEv1's proof over an exchange: RFC 2408 section 3.11.
type Hash struct{ Data []byte }

func (h *Hash) String() string { return plural(len(h.Data), "byte") }
func (*Hash) body()            {}

// Signature is IKEv1's signature over an exchange: RFC 2408 section 3.12.
type Signature struct{ Data []byte }

func (s *Signature) String() string { return plural(len(s.Data), "byte") }
func (*Signature) body()            {}
