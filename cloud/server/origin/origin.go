// Package origin names where a connection comes from, for limits that one client must not go around.
package origin

import (
	"net"
	"net/netip"
)

// customer is how many bits of an IPv6 address name the network of one customer, who may use all addresses of it.
const customer = 64

// Of is the origin of the address of a connection.
func Of(a net.Addr) string { return OfText(a.String()) }

// OfText is the origin of a text host:port. A text of another form is its own origin.
func OfText(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	return OfIP(ip)
}

// OfIP is the origin of an IP address: itself, or of IPv6 the network of a customer.
func OfIP(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		if p, err := ip.Prefix(customer); err == nil {
			return p.String()
		}
	}
	return ip.String()
}
