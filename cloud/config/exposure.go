package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// TLS names the files of a certificate. Both are empty for a listener without TLS. The programs read changed files again
// without a restart.
type TLS struct {
	CertFile string `yaml:"cert_file"` // PEM: the certificate, then those of the authorities in between
	KeyFile  string `yaml:"key_file"`  // PEM
}

// On reports whether the listener speaks TLS.
func (t TLS) On() bool { return t.CertFile != "" }

func (t TLS) validate(f *faults, key string) {
	f.addIf((t.CertFile == "") != (t.KeyFile == ""), "%s: set both cert_file and key_file, or neither", key)
}

// Loopback reports whether an address host:port can be reached from this machine only.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// exposed reports an address that others can reach in the clear.
func exposed(address string, t TLS, insecure bool) bool {
	return hostPort(address) && !Loopback(address) && !t.On() && !insecure
}

const inTheClear = "%s %s can be reached from other machines without TLS; set %s, or %s: true where strangers cannot listen in, " +
	"such as behind a TLS proxy"

func (h HTTP) validateExposure(f *faults) {
	h.TLS.validate(f, "http.tls")
	f.addIf(exposed(h.Listen, h.TLS, h.Insecure), "http.listen: "+inTheClear, "address", h.Listen, "http.tls.cert_file",
		"http.insecure")
	if h.MetricsListen != Off {
		f.addIf(!hostPort(h.MetricsListen), "http.metrics_listen: %q is not host:port, such as 127.0.0.1:9090, or %q",
			h.MetricsListen, Off)
		f.addIf(exposed(h.MetricsListen, TLS{}, h.Insecure), "http.metrics_listen: "+inTheClear, "address", h.MetricsListen,
			"a loopback address", "http.insecure")
	}
	for _, host := range h.Hosts {
		f.addIf(host == "" || strings.ContainsAny(host, "/@ *:"), "http.hosts: %q is not a name such as cattle.example", host)
	}
	if _, err := h.ProxyNetworks(); err != nil {
		f.addIf(true, "http.proxies: %v", err)
	}
	if !h.OpenReading {
		return
	}
	f.addIf(!Loopback(h.Listen), "http.open_reading: works only while http.listen is a loopback address, not %s", h.Listen)
	u, err := url.Parse(h.PublicURL)
	f.addIf(h.PublicURL != "" && (err != nil || !Loopback(net.JoinHostPort(u.Hostname(), "0"))),
		"http.open_reading: works only on this machine, but http.public_url is %s", h.PublicURL)
}

// ProxyNetworks are the networks of Proxies.
func (h HTTP) ProxyNetworks() ([]netip.Prefix, error) { return prefixes(h.Proxies) }

// prefixes reads addresses and networks.
func prefixes(texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if ip, ipErr := netip.ParseAddr(text); ipErr == nil {
			p, err = netip.PrefixFrom(ip, ip.BitLen()), nil
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q is neither an address nor a network such as 10.1.0.0/16", text)
		case p.Bits() == 0:
			return nil, fmt.Errorf("%q is every address; name those that you mean", text)
		}
		all = append(all, p)
	}
	return all, nil
}

func (m MQTT) validateExposure(f *faults) {
	m.TLS.validate(f, "mqtt.tls")
	if m.URL == "" && m.EmbeddedListen != Off {
		f.addIf(exposed(m.EmbeddedListen, m.TLS, m.Insecure), "mqtt.embedded_listen: "+inTheClear, "address",
			m.EmbeddedListen, "mqtt.tls.cert_file", "mqtt.insecure")
	}
}
