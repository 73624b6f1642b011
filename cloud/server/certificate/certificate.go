// Package certificate has the certificate of a listener: read from files, and again when they change, or got and renewed
// from an ACME server. Neither needs a restart.
package certificate

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// checkEvery is how often the files are looked at while clients connect.
const checkEvery = time.Second

// Files are a certificate and its key. They are safe for concurrent use.
type Files struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	now     *tls.Certificate
	seen    [2]stamp
	checked time.Time
}

// stamp is what tells a changed file.
type stamp struct {
	modified time.Time
	size     int64
}

// Load reads the files, which have PEM format.
func Load(cert, key string, log *slog.Logger) (*Files, error) {
	f := &Files{cert: cert, key: key, log: log}
	pair, seen, err := f.read()
	if err != nil {
		return nil, err
	}
	f.now, f.seen, f.checked = pair, seen, time.Now()
	return f, nil
}

// Config returns the configuration of a listener: TLS 1.2 or newer, with the newest certificate.
func (f *Files) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.Newest(), nil }}
}

// Newest returns the certificate. Files that have changed are read again. While they cannot be read, such as between the
// writes of certificate and key, the one before stays.
func (f *Files) Newest() *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.checked) < checkEvery {
		return f.now
	}
	f.checked = time.Now()
	seen, err := f.stamps()
	if err == nil && seen == f.seen {
		return f.now
	}
	var pair *tls.Certificate
	if err == nil {
		pair, seen, err = f.read()
	}
	if err != nil {
		f.log.Warn("certificate not read again; the one before stays in use", "err", err)
		return f.now
	}
	f.now, f.seen = pair, seen
	f.log.Info("certificate read again", "file", f.cert, "expires", pair.Leaf.NotAfter)
	return f.now
}

func (f *Files) read() (*tls.Certificate, [2]stamp, error) {
	seen, err := f.stamps()
	if err != nil {
		return nil, seen, err
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, seen, fmt.Errorf("certificate %s with key %s: %w", f.cert, f.key, err)
	}
	return &pair, seen, nil
}

func (f *Files) stamps() (s [2]stamp, err error) {
	for i, path := range []string{f.cert, f.key} {
		info, err := os.Stat(path)
		if err != nil {
			return s, fmt.Errorf("certificate: %w", err)
		}
		s[i] = stamp{info.ModTime(), info.Size()}
	}
	return s, nil
}
