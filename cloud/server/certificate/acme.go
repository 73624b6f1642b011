package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
)

// ErrNone says that there is no certificate yet for a name that a client asks for.
var ErrNone = errors.New("there is no certificate")

// ACMEOptions of Manage. Domains, Directory, Folder and Log are required.
type ACMEOptions struct {
	Domains   []string // lower case; the first one is that of clients which name none
	Email     string   // where the authority writes to; may be empty
	Directory string   // URL of the ACME server
	Roots     *x509.CertPool
	Folder    string // where account, keys and certificates are stored, with mode 0600
	// CheckEvery is how often the end of the certificates is looked at; 0 means ten minutes.
	CheckEvery time.Duration
	Log        *slog.Logger
}

// Managed are certificates that an ACME server gives (RFC 8555), one for each domain. They are renewed when a third of
// their life is left, or when the authority asks for it (RFC 9773). While that fails the one before stays in use. It is
// safe for concurrent use. Close ends it.
type Managed struct {
	o      ACMEOptions
	cache  *certmagic.Cache
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer

	mu     sync.Mutex
	faults map[string]fault // by domain
}

type fault struct {
	err   error
	since time.Time
}

// Manage returns the certificates in the folder. Run gets what is missing.
func Manage(o ACMEOptions) *Managed {
	m := &Managed{o: o, faults: map[string]fault{}}
	logger := bridgeLog(o.Log)
	m.cache = certmagic.NewCache(certmagic.CacheOptions{RenewCheckInterval: o.CheckEvery, Logger: logger,
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return m.config, nil }})
	m.config = certmagic.New(m.cache, certmagic.Config{Storage: &certmagic.FileStorage{Path: o.Folder}, Logger: logger,
		OnEvent: m.note})
	m.issuer = certmagic.NewACMEIssuer(m.config, certmagic.ACMEIssuer{CA: o.Directory, Email: o.Email, Agreed: true,
		TrustedRoots: o.Roots, DisableHTTPChallenge: true, Logger: logger})
	m.config.Issuers = []certmagic.Issuer{m.issuer}
	return m
}

// At says where the authority checks the domains: the port of a listener with Config (TLS-ALPN-01, RFC 8737), and that of
// one with Challenges (HTTP-01), 0 for none. Call it before Run.
func (m *Managed) At(tlsPort, httpPort int) {
	m.issuer.AltTLSALPNPort, m.issuer.AltHTTPPort, m.issuer.DisableHTTPChallenge = tlsPort, httpPort, httpPort == 0
}

// Run gets the certificates that are missing or end soon, in the background, until ctx ends.
func (m *Managed) Run(ctx context.Context) error {
	defer m.cache.Stop()
	m.o.Log.Info("certificates are requested where they are missing or end soon", "domains", m.o.Domains, "directory",
		m.o.Directory)
	if err := m.config.ManageAsync(ctx, m.o.Domains); err != nil && ctx.Err() == nil {
		return fmt.Errorf("http.tls.acme: %w", err)
	}
	<-ctx.Done()
	return nil
}

// Close ends what Manage began when Run will not be called.
func (m *Managed) Close() { m.cache.Stop() }

// note records what happened to a certificate.
func (m *Managed) note(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch event {
	case "cert_failed":
		err, _ := data["error"].(error)
		f, again := m.faults[name]
		if !again {
			f.since = time.Now().UTC()
		}
		f.err = fmt.Errorf("%s: %w", name, err)
		m.faults[name] = f
	case "cert_obtained":
		delete(m.faults, name)
		m.o.Log.Info("certificate obtained", "domain", name)
	}
	return nil
}

// Fault returns why the certificate of the first faulty domain could not be got or renewed, and since when; nil while
// nothing is wrong.
func (m *Managed) Fault() (since time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.o.Domains {
		if f, ok := m.faults[d]; ok {
			return f.since, f.err
		}
	}
	return time.Time{}, nil
}

// Config returns the configuration of a listener: TLS 1.2 or newer, with the newest certificate of the domain that the
// client names. It also answers the checks of the authority.
func (m *Managed) Config() *tls.Config {
	check := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: m.find, NextProtos: []string{acmez.ACMETLS1Protocol}}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: m.find,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if slices.Contains(hello.SupportedProtos, acmez.ACMETLS1Protocol) {
				return check, nil
			}
			return nil, nil // the one above
		}}
}

// find returns the certificate for a client.
func (m *Managed) find(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello.ServerName != "" {
		return m.config.GetCertificate(hello)
	}
	if c := m.Newest(); c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("http.tls.acme: %w for %v yet", ErrNone, m.o.Domains)
}

// Newest returns the certificate of the first domain that has one, nil while none has.
func (m *Managed) Newest() *tls.Certificate {
	for _, d := range m.o.Domains {
		for _, c := range m.cache.AllMatchingCertificates(d) {
			return &c.Certificate
		}
	}
	return nil
}

// Ends returns when the first certificate ends, of those of all domains; zero while one is missing.
func (m *Managed) Ends() time.Time {
	var first time.Time
	for _, d := range m.o.Domains {
		all := m.cache.AllMatchingCertificates(d)
		if len(all) == 0 {
			return time.Time{}
		}
		if end := all[0].Leaf.NotAfter; first.IsZero() || end.Before(first) {
			first = end
		}
	}
	return first
}

// Challenges answers the checks of the authority by HTTP-01; every other request goes to next.
func (m *Managed) Challenges(next http.Handler) http.Handler {
	return m.issuer.HTTPChallengeHandler(next)
}

// Stored are the files of the certificate and the key of a domain below a folder.
func Stored(folder, directory, domain string) (cert, key string) {
	issuer := (&certmagic.ACMEIssuer{CA: directory}).IssuerKey()
	return filepath.Join(folder, certmagic.StorageKeys.SiteCert(issuer, domain)),
		filepath.Join(folder, certmagic.StorageKeys.SitePrivateKey(issuer, domain))
}
