package kernel

import (
	"errors"
	"fmt"
	"syscall"
)

// verb is what a request does to an object, in the words of its errors.
type verb string

// The verbs.
const (
	verbAdd     verb = "add"
	verbReplace verb = "replace"
	verbDelete  verb = "delete"
	verbSet     verb = "set"
	verbAddSA   verb = "add SA"
	verbDelSA   verb = "delete SA"
)

// explain says what an errno of the kernel means for that verb. What it says
// for an SA comes from __xfrm_init_state and xfrm_state_construct.
func (v verb) explain(err error) error {
	meaning := ""
	switch {
	case errors.Is(err, syscall.EPERM):
		meaning = "CAP_NET_ADMIN is missing"
	case errors.Is(err, syscall.EEXIST):
		meaning = "it exists already"
	case errors.Is(err, syscall.ESRCH), errors.Is(err, syscall.ENOENT) && v != verbAddSA:
		meaning = "it does not exist"
	case errors.Is(err, syscall.EPROTONOSUPPORT) && v == verbAddSA:
		meaning = "kernel without ESP or AH, or without that mode"
	case errors.Is(err, syscall.EPROTONOSUPPORT):
		meaning = "this kernel has no such interface, CONFIG_XFRM_USER is off"
	case errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.ENOENT):
		meaning = "kernel without one of its algorithms"
	case errors.Is(err, syscall.EINVAL) && v == verbAddSA:
		meaning = "the kernel refuses its values, such as a key of that length"
	case errors.Is(err, syscall.EINVAL):
		meaning = "the kernel refuses its values"
	case errors.Is(err, syscall.ENETDOWN):
		meaning = "the interface is down"
	case errors.Is(err, syscall.ENODEV):
		meaning = "no such interface"
	default:
		return err
	}
	return fmt.Errorf("%s (%w)", meaning, err)
}
