package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/acme"
	"cattlecounter/deploy/testkit/must"
)

// listening serves TLS with the certificates, and returns its port.
func listening(t *testing.T, m func() *Managed) int {
	t.Helper()
	var lc net.ListenConfig
	ln := must.Get(lc.Listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = tls.Server(c, m().Config()).HandshakeContext(context.Background()) // the client sees a fault
			}()
		}
	}()
	return ln.Addr().(*net.TCPAddr).Port
}

// managed runs certificates for the domains with a real ACME server.
type managed struct {
	*Managed
	t      *testing.T
	server *acme.Server
	port   int
	events chan string
	ready  chan struct{} // closed when Managed is set
}

// started waits until the certificates are managed.
func (m *managed) started() *Managed {
	<-m.ready
	return m.Managed
}

func manage(t *testing.T, life time.Duration, byHTTP bool, domains ...string) *managed {
	t.Helper()
	m := &managed{t: t, events: make(chan string, 100_000), ready: make(chan struct{})}
	m.port = listening(t, m.started)
	options := acme.Options{TLSPort: m.port, Life: life}
	if byHTTP {
		challenges := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.started().Challenges(http.NotFoundHandler()).ServeHTTP(w, r)
		}))
		t.Cleanup(challenges.Close)
		options.TLSPort, options.HTTPPort = 1, challenges.Listener.Addr().(*net.TCPAddr).Port
	}
	m.server = acme.Start(t, options)
	m.Managed = Manage(ACMEOptions{Domains: domains, Email: "admin@cattle.test", Directory: m.server.Directory,
		Roots: m.server.Roots, Folder: filepath.Join(t.TempDir(), "acme"), CheckEvery: 100 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(eventWriter{m.events}, &slog.HandlerOptions{Level: slog.LevelInfo}))})
	m.At(m.port, options.HTTPPort)
	close(m.ready)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return m
}

// eventWriter sends log lines to a channel.
type eventWriter struct{ lines chan string }

// Write implements io.Writer.
func (w eventWriter) Write(p []byte) (int, error) {
	select {
	case w.lines <- string(p):
	default: // no test reads so many
	}
	return len(p), nil
}

// await returns the next line of the log with a text.
func (m *managed) await(text string) string {
	m.t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case line := <-m.events:
			if strings.Contains(line, text) {
				return line
			}
		case <-limit:
			m.t.Fatalf("the log has no %q", text)
		}
	}
}

// until repeats a condition that follows an event within moments.
func (m *managed) until(what string, holds func() bool) {
	m.t.Helper()
	tick, limit := time.NewTicker(20*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			m.t.Fatalf("not in time: %s; the log: %s", what, m.log())
		}
	}
}

// serial connects as a client that trusts the authority, and returns the serial number of the certificate. The client takes
// certificates that have just ended: they live for seconds, and a busy machine is slower.
func (m *managed) serial(name string) (string, error) {
	m.t.Helper()
	verify := func(c tls.ConnectionState) error {
		leaf, others := c.PeerCertificates[0], x509.NewCertPool()
		for _, o := range c.PeerCertificates[1:] {
			others.AddCert(o)
		}
		_, err := leaf.Verify(x509.VerifyOptions{Roots: m.server.Issued, Intermediates: others, DNSName: name, CurrentTime: leaf.NotBefore})
		return err
	}
	d := tls.Dialer{Config: &tls.Config{ServerName: name, InsecureSkipVerify: true, VerifyConnection: verify}}
	c, err := d.DialContext(m.t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(m.port)))
	if err != nil {
		return "", err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

// A certificate is got by TLS-ALPN-01 at the listener itself, renewed before it ends, and kept when the authority is down.
// Everything that is stored is for the owner only.
func TestCertificateByACME(t *testing.T) {
	m := manage(t, 12*time.Second, false, "cattle.test")
	m.until("a certificate", func() bool { return m.Newest() != nil })
	first := must.Get(m.serial("cattle.test"))(t)
	if _, err := m.serial("other.test"); err == nil {
		t.Error("a name of another server gets a certificate")
	}
	must.Do(t, filepath.WalkDir(m.o.Folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may read %s: %s", path, info.Mode())
		}
		return err
	}))
	cert, key := Stored(m.o.Folder, m.o.Directory, "cattle.test")
	for _, f := range []string{cert, key} {
		if _, err := os.Stat(f); err != nil {
			t.Errorf("Stored names a file that is not there: %v", err)
		}
	}
	second := first
	m.until("the renewal", func() bool { second = must.Get(m.serial("cattle.test"))(t); return second != first })
	m.server.SetDown(true)
	m.until("the fault", func() bool { _, err := m.Fault(); return err != nil })
	m.await("level=WARN")
	if since, err := m.Fault(); since.IsZero() || !strings.Contains(err.Error(), "cattle.test") {
		t.Errorf("fault since %s: %v", since, err)
	}
	newest := m.Newest().Leaf.SerialNumber.String() // the second one, or one more of before the authority went down
	if kept, err := m.serial("cattle.test"); err != nil || kept != newest || kept == first {
		t.Errorf("while the authority is down: certificate %s, %v; want %s", kept, err, newest)
	}
	if m.Ends().IsZero() || !m.Ends().Equal(m.Newest().Leaf.NotAfter) {
		t.Errorf("ends %s", m.Ends())
	}
}

// A domain that points elsewhere gets none, and the fault names it. The other one has its certificate, by HTTP-01.
func TestDomainElsewhere(t *testing.T) {
	m := manage(t, time.Hour, true, "www.elsewhere.test", "cattle.test")
	m.until("a certificate", func() bool { return m.Newest() != nil })
	if _, err := m.serial("cattle.test"); err != nil {
		t.Error(err)
	}
	m.until("the fault", func() bool { _, err := m.Fault(); return err != nil })
	if _, err := m.Fault(); !strings.Contains(err.Error(), "www.elsewhere.test") {
		t.Errorf("fault: %v", err)
	}
	if !m.Ends().IsZero() {
		t.Error("there is an end although a certificate is missing")
	}
	if _, err := m.find(&tls.ClientHelloInfo{}); err != nil {
		t.Errorf("a client without a name: %v", err)
	}
}

// Before there is a certificate, a client without a name gets an error that says so.
func TestNoCertificateYet(t *testing.T) {
	m := Manage(ACMEOptions{Domains: []string{"cattle.test"}, Directory: "https://127.0.0.1:1/directory", Folder: t.TempDir(),
		Log: slog.New(slog.DiscardHandler)})
	defer m.Close()
	if _, err := m.find(&tls.ClientHelloInfo{}); !errors.Is(err, ErrNone) {
		t.Errorf("got %v", err)
	}
	if m.Newest() != nil || !m.Ends().IsZero() {
		t.Error("there is a certificate")
	}
}

// log returns the lines of the log that no test has read.
func (m *managed) log() string {
	var all strings.Builder
	for {
		select {
		case line := <-m.events:
			all.WriteString(line)
		default:
			return all.String()
		}
	}
}
