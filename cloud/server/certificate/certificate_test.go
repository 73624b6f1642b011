package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

// pair writes a certificate for localhost with a serial number.
func pair(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	private := must.Get(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	form := x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der := must.Get(x509.CreateCertificate(rand.Reader, &form, &form, &private.PublicKey, private))(t)
	secret := must.Get(x509.MarshalPKCS8PrivateKey(private))(t)
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must.Do(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must.Do(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return cert, key
}

// A renewed certificate is used without a restart. While the files do not fit together the one before stays.
func TestChangedFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	cert, key := pair(t, dir, 1)
	f := must.Get(Load(cert, key, slog.New(slog.DiscardHandler)))(t)
	serial := func() int64 {
		t.Helper()
		client, server := net.Pipe()
		defer client.Close()
		defer server.Close()
		done := make(chan error, 1)
		go func() { done <- tls.Server(server, f.Config()).HandshakeContext(t.Context()) }()
		c := tls.Client(client, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
		must.Do(t, c.HandshakeContext(t.Context()))
		must.Do(t, <-done)
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	due := func() { f.checked = time.Time{} }
	if n := serial(); n != 1 {
		t.Fatalf("certificate %d, want 1", n)
	}
	must.Do(t, os.WriteFile(key, []byte("half a key"), 0o600))
	due()
	if n := serial(); n != 1 {
		t.Errorf("certificate %d while the key is being written, want 1", n)
	}
	pair(t, dir, 2)
	due()
	if n := serial(); n != 2 {
		t.Errorf("certificate %d after the renewal, want 2", n)
	}
	if _, err := Load(filepath.Join(dir, "nope"), key, nil); err == nil {
		t.Error("a missing file is accepted")
	}
}

// TLS 1.1 is refused.
func TestOldVersionsAreRefused(t *testing.T) {
	cert, key := pair(t, t.TempDir(), 1)
	f := must.Get(Load(cert, key, nil))(t)
	var lc net.ListenConfig
	ln := must.Get(lc.Listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
	defer ln.Close()
	client := make(chan error, 1)
	go func() {
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}}
		c, err := d.DialContext(t.Context(), "tcp", ln.Addr().String())
		if err == nil {
			c.Close()
		}
		client <- err
	}()
	conn := must.Get(ln.Accept())(t)
	defer conn.Close()
	if err := tls.Server(conn, f.Config()).HandshakeContext(t.Context()); err == nil {
		t.Error("TLS 1.1 is accepted")
	}
	if err := <-client; err == nil {
		t.Error("the client has a connection with TLS 1.1")
	}
}
