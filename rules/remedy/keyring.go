package remedy

import "ipsecdiag/analyze/spd/secret"

// KeyRef names a key in a Keyring, such as "esp-0x1f2e3d4c-enc". It says
// nothing of the key.
type KeyRef string

// SAKeys name the keys of one SA; empty where the SA has no such algorithm.
type SAKeys struct {
	Enc  KeyRef `json:"enc,omitempty"`
	Auth KeyRef `json:"auth,omitempty"`
}

// Keyring holds the keys that a plan's steps refer to. It never prints them:
// see secret.Key.
type Keyring map[KeyRef]secret.Key
