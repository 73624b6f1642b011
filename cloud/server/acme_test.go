package server

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/config"
	"cattlecounter/deploy/testkit/acme"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/deploy/testkit/port"
)

// TestCertificatesOfAPIAndBroker gets one certificate from an ACME server, which checks at the API itself or over HTTP. API
// and broker use it, and the address for checks sends people to https.
func TestCertificatesOfAPIAndBroker(t *testing.T) {
	for _, over := range []string{"TLS", "HTTP"} {
		t.Run(over, func(t *testing.T) {
			listen, plain := port.Free(t), port.Free(t)
			checks := acme.Options{TLSPort: port.Number(t, listen), HTTPPort: port.Number(t, plain), Life: time.Hour}
			if over == "HTTP" {
				checks.TLSPort = 1
			}
			authority := acme.Start(t, checks)
			s := serve(t, func(c *config.Config) {
				c.HTTP.Listen, c.HTTP.OpenReading, c.HTTP.MetricsListen, c.MQTT.TLS.OfHTTP = listen, false, "127.0.0.1:0", true
				c.HTTP.TLS.ACME = config.ACME{Domains: []string{"cattle.test"}, Email: "admin@cattle.test",
					Directory: authority.Directory, CAFile: authority.RootsFile, HTTPListen: config.Off}
				if over == "HTTP" {
					c.HTTP.TLS.ACME.HTTPListen = plain
				}
			})
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
				TLSClientConfig: &tls.Config{RootCAs: authority.Issued, ServerName: "cattle.test"}}}
			eventually(t, "an answer with the certificate, and the cloud's own connection to the broker", func() bool {
				r, err := client.Get(s.at.HTTP + "/readyz")
				if err != nil {
					return false
				}
				r.Body.Close()
				return r.StatusCode == http.StatusOK
			})
			d := tls.Dialer{Config: &tls.Config{RootCAs: authority.Issued, ServerName: "cattle.test"}}
			c := must.Get(d.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.at.Broker, "ssl://")))(t)
			c.Close()
			if over == "HTTP" {
				redirects(t, "http://"+plain)
			}
		})
	}
}

// redirects checks that readers are sent to https at this server only, and that changes are refused.
func redirects(t *testing.T, address string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, c := range []struct{ method, host, path, want string }{
		{"GET", "cattle.test", "/flights/a%2Fb?x=1", "https://cattle.test/flights/a%2Fb?x=1"},
		{"GET", "cattle.test:80", "/", "https://cattle.test/"},
		{"GET", "evil.test", "/", "https://cattle.test/"},
		{"GET", "evil.test", "//evil.test/", "https://cattle.test//evil.test/"},
		{"POST", "cattle.test", "/api/v1/login", ""},
	} {
		r := must.Get(http.NewRequestWithContext(t.Context(), c.method, address+c.path, nil))(t)
		r.Host = c.host
		answer := must.Get(client.Do(r))(t)
		answer.Body.Close()
		if got := answer.Header.Get("Location"); got != c.want {
			t.Errorf("%s %s at %s: %s, location %q, want %q", c.method, c.path, c.host, answer.Status, got, c.want)
		}
	}
}
