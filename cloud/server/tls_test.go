package server

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/cloud/config"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/wire"
)

// TestTLS serves API and broker with a certificate: the API answers https only and with HSTS, and the cloud's own
// connection to the broker works. The listener for metrics needs no login and knows every check.
func TestTLS(t *testing.T) {
	example := httptest.NewTLSServer(http.NotFoundHandler())
	pair, roots := example.TLS.Certificates[0], x509.NewCertPool()
	roots.AddCert(example.Certificate())
	example.Close()
	dir := t.TempDir()
	files := config.BrokerTLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	key := must.Get(x509.MarshalPKCS8PrivateKey(pair.PrivateKey))(t)
	must.Do(t, os.WriteFile(files.CertFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600))
	must.Do(t, os.WriteFile(files.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))

	s := serve(t, func(c *config.Config) {
		c.HTTP.TLS.CertFile, c.HTTP.TLS.KeyFile, c.MQTT.TLS = files.CertFile, files.KeyFile, files
		c.HTTP.OpenReading, c.HTTP.MetricsListen = false, "127.0.0.1:0"
	})
	if !strings.HasPrefix(s.at.HTTP, "https://") || !strings.HasPrefix(s.at.Broker, "ssl://") {
		t.Fatalf("addresses %+v", s.at)
	}
	s.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	r := must.Get(s.client.Get(s.at.HTTP + "/healthz"))(t)
	r.Body.Close()
	if r.StatusCode != http.StatusOK || r.Header.Get("Strict-Transport-Security") == "" || r.TLS.Version < tls.VersionTLS12 {
		t.Errorf("got %s, headers %v, TLS %x", r.Status, r.Header, r.TLS.Version)
	}
	if plain, err := http.Get("http" + strings.TrimPrefix(s.at.HTTP, "https") + "/healthz"); err == nil {
		plain.Body.Close()
		if plain.StatusCode == http.StatusOK {
			t.Error("plain HTTP is answered")
		}
	}
	var bare, full wire.Health
	eventually(t, "the cloud's own connection to the broker", func() bool { return s.get("/readyz", &bare) == http.StatusOK })
	if bare.Checks != nil {
		t.Errorf("a stranger reads the checks: %+v", bare.Checks)
	}
	inner := &running{t: t, at: Addresses{HTTP: s.at.Metrics}, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	if inner.get("/readyz", &full); !full.Checks["broker"].OK {
		t.Errorf("the listener for metrics: %+v", full)
	}
	if text := inner.text("/metrics"); !strings.Contains(text, "cattle_footage ") {
		t.Error("the listener for metrics has none")
	}
	for _, listener := range []string{"http.tls", "mqtt.tls"} {
		want := fmt.Sprintf("cattle_certificate_expires_timestamp_seconds{listener=%q} %v\n", listener, float64(example.Certificate().NotAfter.Unix()))
		if text := inner.text("/metrics"); !strings.Contains(text, want) {
			t.Errorf("the metrics lack %q", want)
		}
	}
}
