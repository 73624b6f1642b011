package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
)

// TLS is the certificate of a listener: files, or what an ACME server gives. It is empty for a listener without TLS. The
// programs read changed files again without a restart.
type TLS struct {
	CertFile string `yaml:"cert_file"` // PEM: the certificate, then those of the authorities in between
	KeyFile  string `yaml:"key_file"`  // PEM
	ACME     ACME   `yaml:"acme"`
}

// ACME configures certificates that cloud-api gets and renews by itself (RFC 8555).
type ACME struct {
	Domains   []string `yaml:"domains"`   // the names of the server; empty for no ACME
	Email     string   `yaml:"email"`     // where the authority writes to; may be empty
	Directory string   `yaml:"directory"` // URL of the ACME server
	CAFile    string   `yaml:"ca_file"`   // PEM: who signed the certificate of Directory; empty means the system's authorities
	// HTTPListen is the address at which the authority checks domains by HTTP-01, or Off.
	HTTPListen string `yaml:"http_listen"`
}

// BrokerTLS is the certificate of the built-in broker.
type BrokerTLS struct {
	CertFile string `yaml:"cert_file"` // PEM
	KeyFile  string `yaml:"key_file"`  // PEM
	OfHTTP   bool   `yaml:"of_http"`   // the certificate is that of http.tls
}

// On reports whether the listener speaks TLS.
func (t TLS) On() bool { return t.CertFile != "" || t.ACME.On() }

// On reports whether certificates come from an ACME server.
func (a ACME) On() bool { return len(a.Domains) > 0 }

// On reports whether the broker speaks TLS.
func (t BrokerTLS) On() bool { return t.CertFile != "" || t.OfHTTP }

// BrokerTLS is the certificate of the built-in broker.
func (c Config) BrokerTLS() TLS {
	if c.MQTT.TLS.OfHTTP {
		return c.HTTP.TLS
	}
	return TLS{CertFile: c.MQTT.TLS.CertFile, KeyFile: c.MQTT.TLS.KeyFile}
}

// ACMEDir is the folder of keys and certificates that come from an ACME server.
func (c Config) ACMEDir() string { return filepath.Join(c.Data, "acme") }

const bothFiles = "%s: set both cert_file and key_file, or neither"

func (t TLS) validate(f *faults) {
	const key = "http.tls"
	f.addIf((t.CertFile == "") != (t.KeyFile == ""), bothFiles, key)
	a := t.ACME
	f.addIf(a.On() && t.CertFile != "", key+": cert_file and acme.domains are two certificates for one listener; set one of them")
	for _, d := range a.Domains {
		f.addIf(!domain(d), key+".acme.domains: %q is not a name such as cattle.example", d)
	}
	u, err := url.Parse(a.Directory)
	f.addIf(err != nil || u.Scheme != "https" || u.Host == "", key+".acme.directory: %q is not an https:// URL", a.Directory)
	f.addIf(a.Email != "" && !strings.Contains(a.Email, "@"), key+".acme.email: %q is not an address", a.Email)
	f.addIf(a.HTTPListen != Off && !hostPort(a.HTTPListen), key+".acme.http_listen: %q is not host:port, such as 0.0.0.0:80, or %q",
		a.HTTPListen, Off)
}

// domain reports whether an ACME server can check a name: not an address, and no wildcard, which needs DNS.
func domain(name string) bool {
	_, err := netip.ParseAddr(name)
	return err != nil && strings.Contains(name, ".") && !strings.ContainsAny(name, "/@ *:") && name == strings.ToLower(name)
}

func (c *Config) validateBrokerTLS(f *faults) {
	const key = "mqtt.tls"
	t := c.MQTT.TLS
	f.addIf((t.CertFile == "") != (t.KeyFile == ""), bothFiles, key)
	f.addIf(t.OfHTTP && t.CertFile != "", key+": of_http and cert_file are two certificates for one listener; set one of them")
	f.addIf(t.OfHTTP && !c.HTTP.TLS.On(), key+".of_http: http.tls has no certificate")
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
func exposed(address string, encrypted, insecure bool) bool {
	return hostPort(address) && !Loopback(address) && !encrypted && !insecure
}

const inTheClear = "%s %s can be reached from other machines without TLS; set %s, or %s: true where strangers cannot listen in, " +
	"such as behind a TLS proxy"

func (h HTTP) validateExposure(f *faults) {
	h.TLS.validate(f)
	f.addIf(exposed(h.Listen, h.TLS.On(), h.Insecure), "http.listen: "+inTheClear, "address", h.Listen, "http.tls.cert_file",
		"http.insecure")
	if h.MetricsListen != Off {
		f.addIf(!hostPort(h.MetricsListen), "http.metrics_listen: %q is not host:port, such as 127.0.0.1:9090, or %q",
			h.MetricsListen, Off)
		f.addIf(exposed(h.MetricsListen, false, h.Insecure), "http.metrics_listen: "+inTheClear, "address", h.MetricsListen,
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
	if m.URL == "" && m.EmbeddedListen != Off {
		f.addIf(exposed(m.EmbeddedListen, m.TLS.On(), m.Insecure), "mqtt.embedded_listen: "+inTheClear, "address",
			m.EmbeddedListen, "mqtt.tls.cert_file", "mqtt.insecure")
	}
}
