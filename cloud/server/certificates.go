package server

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/server/certificate"
	"cattlecounter/cloud/server/overview"
)

// certified is where the certificates of a listener come from.
type certified interface {
	Config() *tls.Config
	Newest() *tls.Certificate
}

// certificates are those of the listeners. http and broker are nil for a listener without TLS.
type certificates struct {
	http, broker certified
	acme         *certificate.Managed // nil for files
	// states are read for the overview and the metrics, by the sections of the configuration.
	states map[string]func() overview.Certificate
}

// newCertificates reads the files, or what an ACME server gave before.
func newCertificates(cfg config.Config, log *slog.Logger) (*certificates, error) {
	c := &certificates{states: map[string]func() overview.Certificate{}}
	switch t := cfg.HTTP.TLS; {
	case t.ACME.On():
		roots, err := authorities(t.ACME.CAFile)
		if err != nil {
			return nil, fmt.Errorf("http.tls.acme.ca_file: %w", err)
		}
		c.acme = certificate.Manage(certificate.ACMEOptions{Domains: t.ACME.Domains, Email: t.ACME.Email,
			Directory: t.ACME.Directory, Roots: roots, Folder: cfg.ACMEDir(), Log: log})
		c.http, c.states["http.tls"] = c.acme, managedState(c.acme)
	case t.On():
		f, err := certificate.Load(t.CertFile, t.KeyFile, log)
		if err != nil {
			return nil, fmt.Errorf("http.tls: %w", err)
		}
		c.http, c.states["http.tls"] = f, fileState(f)
	}
	if cfg.MQTT.URL != "" || cfg.MQTT.EmbeddedListen == config.Off || !cfg.MQTT.TLS.On() {
		return c, nil
	}
	if cfg.MQTT.TLS.OfHTTP {
		c.broker, c.states["mqtt.tls"] = c.http, c.states["http.tls"]
		return c, nil
	}
	f, err := certificate.Load(cfg.MQTT.TLS.CertFile, cfg.MQTT.TLS.KeyFile, log)
	if err != nil {
		return nil, fmt.Errorf("mqtt.tls: %w", err)
	}
	c.broker, c.states["mqtt.tls"] = f, fileState(f)
	return c, nil
}

func fileState(f *certificate.Files) func() overview.Certificate {
	return func() overview.Certificate { return overview.Certificate{Ends: f.Newest().Leaf.NotAfter} }
}

func managedState(m *certificate.Managed) func() overview.Certificate {
	return func() overview.Certificate {
		since, err := m.Fault()
		return overview.Certificate{Ends: m.Ends(), Managed: true, Fault: err, FaultSince: since}
	}
}

// stages get and renew certificates for the listener at address, and answer the checks of the authority over HTTP.
func (c *certificates) stages(cfg config.Config, at net.Addr, log *slog.Logger) ([]stage, error) {
	if c.acme == nil {
		return nil, nil
	}
	tlsPort := at.(*net.TCPAddr).Port
	if cfg.HTTP.TLS.ACME.HTTPListen == config.Off {
		c.acme.At(tlsPort, 0)
		return []stage{c.acme.Run}, nil
	}
	plain, err := newPlain(cfg, c.acme.Challenges, log)
	if err != nil {
		return nil, err
	}
	c.acme.At(tlsPort, plain.ln.Addr().(*net.TCPAddr).Port)
	return []stage{plain.run, c.acme.Run}, nil
}

// close releases what newCertificates took when the stages will not run.
func (c *certificates) close() {
	if c.acme != nil {
		c.acme.Close()
	}
}

// files are the files of a certificate, also of one that an ACME server gave.
func files(cfg config.Config, t config.TLS) (cert, key string) {
	if t.ACME.On() {
		return certificate.Stored(cfg.ACMEDir(), t.ACME.Directory, t.ACME.Domains[0])
	}
	return t.CertFile, t.KeyFile
}

// authorities reads a file in PEM format; nil means those of the system.
func authorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM format", path)
	}
	return pool, nil
}

// seconds is a time as Prometheus has it, 0 for none.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / float64(time.Second/time.Millisecond)
}
