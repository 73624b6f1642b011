// Package acme is an ACME server for tests: Pebble, the one of Let's Encrypt, within the test program. It checks every
// domain for real, by TLS-ALPN-01 or HTTP-01, at ports of this machine. No program imports this package.
package acme

import (
	"crypto/x509"
	"encoding/pem"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"cattlecounter/deploy/testkit/must"
)

// Options of Start.
type Options struct {
	TLSPort  int           // where domains are checked by TLS-ALPN-01
	HTTPPort int           // where domains are checked by HTTP-01
	Life     time.Duration // of a certificate, whole seconds
}

// Server is a running ACME server.
type Server struct {
	Directory string         // its URL
	Roots     *x509.CertPool // who signed its own certificate
	RootsFile string         // the same as a PEM file
	Issued    *x509.CertPool // who signs the certificates that it gives

	down atomic.Bool
}

// SetDown makes every request fail, or work again.
func (s *Server) SetDown(down bool) { s.down.Store(down) }

// Start runs a server until the test ends. Names below "elsewhere.test" have the address 127.0.0.9, all others 127.0.0.1.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	logger := log.New(testWriter{t}, "", 0) //nolint:forbidigo // what Pebble takes
	store := db.NewMemoryStore()
	authority := ca.New(logger, store, "", "ecdsa", 0, 1,
		map[string]ca.Profile{"default": {ValidityPeriod: uint64(o.Life / time.Second)}})
	checker := va.New(logger, o.HTTPPort, o.TLSPort, false, nameServer(t), store)
	front := wfe.New(logger, store, checker, authority, []string{"acme.test"}, false, false, 1, 1)
	handler := front.Handler()
	s := &Server{Issued: x509.NewCertPool(), Roots: x509.NewCertPool()}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.down.Load() {
			http.Error(w, "the authority is being repaired", http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.Directory = server.URL + wfe.DirectoryPath
	s.Roots.AddCert(server.Certificate())
	s.RootsFile = filepath.Join(t.TempDir(), "authority.pem")
	must.Do(t, os.WriteFile(s.RootsFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	s.Issued.AppendCertsFromPEM(authority.GetRootCert(0).PEM())
	return s
}

// testWriter writes what the server logs to the log of the test.
type testWriter struct{ t testing.TB }

// Write implements io.Writer.
func (w testWriter) Write(p []byte) (int, error) {
	if os.Getenv("ACME_LOG") != "" {
		w.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

// nameServer answers for every name over TCP, and returns its address.
func nameServer(t testing.TB) string {
	t.Helper()
	var lc net.ListenConfig
	ln := must.Get(lc.Listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
	up := make(chan struct{})
	server := &dns.Server{Listener: ln, NotifyStartedFunc: func() { close(up) }, Handler: dns.HandlerFunc(answer)}
	done := make(chan error, 1)
	go func() { done <- server.ActivateAndServe() }()
	<-up
	t.Cleanup(func() {
		must.Do(t, server.Shutdown())
		must.Do(t, <-done)
	})
	return ln.Addr().String()
}

func answer(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	for _, question := range q.Question {
		if question.Qtype != dns.TypeA {
			continue
		}
		ip := net.IPv4(127, 0, 0, 1)
		if strings.HasSuffix(question.Name, "elsewhere.test.") {
			ip = net.IPv4(127, 0, 0, 9)
		}
		m.Answer = append(m.Answer, &dns.A{A: ip,
			Hdr: dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}})
	}
	_ = w.WriteMsg(m) // a client that is gone needs no answer
}
