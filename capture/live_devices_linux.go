package capture

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"ipsecdiag/analyze"
	"ipsecdiag/capture/confine"
)

// devices asks the kernel about the interfaces of one namespace, through
// ioctls on a socket that stays in it. Any family will do (netdevice(7)): this one
// has nobody to talk to on the network.
type devices struct {
	fd int
}

// openDevices opens the socket in the thread's namespace.
func openDevices() (*devices, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open socket for interfaces: %w", err)
	}
	if fd, err = confine.ReceiveOnly(fd); err != nil {
		return nil, fmt.Errorf("open socket for interfaces: %w", err)
	}
	return &devices{fd: fd}, nil
}

func (d *devices) close() { unix.Close(d.fd) }

// ioctl makes a request about the named interface.
func (d *devices) ioctl(name string, request uint) (*unix.Ifreq, error) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	return req, unix.IoctlIfreq(d.fd, request, req)
}

// index returns the index of the named interface.
func (d *devices) index(name string) (int, error) {
	req, err := d.ioctl(name, unix.SIOCGIFINDEX)
	if err != nil {
		return 0, err
	}
	return int(req.Uint32()), nil
}

// hatype returns the ARPHRD_ type of the named interface.
func (d *devices) hatype(name string) (uint16, error) {
	req, err := d.ioctl(name, unix.SIOCGIFHWADDR)
	if err != nil {
		return 0, err
	}
	return req.Uint16(), nil
}

// up reports whether the named interface is up.
func (d *devices) up(name string) bool {
	req, err := d.ioctl(name, unix.SIOCGIFFLAGS)
	return err == nil && req.Uint16()&unix.IFF_UP != 0
}

// lookup asks for the name of an interface; !ok means that it is gone.
func (d *devices) lookup(index int) (name string, ok bool) {
	req, err := unix.NewIfreq("")
	if err != nil {
		return "", false
	}
	req.SetUint32(uint32(index))
	if err := unix.IoctlIfreq(d.fd, unix.SIOCGIFNAME, req); err != nil {
		return "", false
	}
	return req.Name(), true
}

// errNoInterface says which interface does not exist and which do. It must be
// called on a thread in the namespace.
func errNoInterface(name, netns string) error {
	where := ""
	if netns != "" {
		where = " in namespace " + analyze.Printable(netns)
	}
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("no interface %q%s", name, where)
	}
	var names []string
	for _, i := range all {
		names = append(names, analyze.Printable(i.Name))
	}
	slices.Sort(names)
	return fmt.Errorf("no interface %q%s; there are: %s", name, where, strings.Join(names, ", "))
}
