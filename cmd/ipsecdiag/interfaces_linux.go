package main

import (
	"net"

	"ipsecdiag/capture/netns"
)

// interfacesIn names the interfaces of a network namespace, of the present one
// where it has no name; none where it cannot be entered.
func interfacesIn(namespace string) (names []string) {
	_ = netns.Do(namespace, func() error { // a completion that fails is none
		interfaces, err := net.Interfaces()
		for _, i := range interfaces {
			names = append(names, i.Name)
		}
		return err
	})
	return names
}
