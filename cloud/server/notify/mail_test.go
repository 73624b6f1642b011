package notify

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"net"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

// mailbox is an SMTP server that keeps what it gets. It takes mail of "herd" with the password "s3cret" only.
type mailbox struct {
	mu      sync.Mutex
	letters []letter
	addr    string
	roots   *x509.CertPool
}

type letter struct {
	from, to, text string
	encrypted      bool
}

type session struct {
	box  *mailbox
	conn *smtp.Conn
	user string
	letter
}

func (b *mailbox) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{box: b, conn: c}, nil
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "herd" || password != "s3cret" {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.user == "" {
		return smtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	switch {
	case strings.HasPrefix(to, "missing@"):
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
	case strings.HasPrefix(to, "full@"):
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "mailbox full"}
	}
	s.to = to
	return nil
}

func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	_, s.encrypted = s.conn.TLSConnectionState()
	s.text = string(b)
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.letters = append(s.box.letters, s.letter)
	return err
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// startMailbox serves until the test ends. With a certificate it offers STARTTLS, and takes a password only then.
func startMailbox(t *testing.T, encrypted bool) *mailbox {
	t.Helper()
	b := &mailbox{roots: x509.NewCertPool()}
	srv := smtp.NewServer(b)
	srv.Domain, srv.AllowInsecureAuth, srv.ReadTimeout, srv.WriteTimeout = "localhost", !encrypted, time.Minute,
		time.Minute
	if encrypted {
		tlsServer := httptest.NewUnstartedServer(nil) // for its certificate, which is that of 127.0.0.1
		tlsServer.StartTLS()
		b.roots.AddCert(tlsServer.Certificate())
		srv.TLSConfig = &tls.Config{Certificates: tlsServer.TLS.Certificates}
		tlsServer.Close()
	}
	ln := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	b.addr = ln.Addr().String()
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return b
}

func (b *mailbox) channel(t *testing.T, change func(*config.SMTP)) *Email {
	t.Helper()
	c := config.SMTP{Server: b.addr, TLS: config.MailStartTLS, Username: "herd", Password: secret.New("s3cret"),
		From: "Cattle Ñandú <cattle@ranch.example>"}
	if change != nil {
		change(&c)
	}
	e := must.Get(NewEmail(c))(t)
	e.tls = &tls.Config{RootCAs: b.roots, ServerName: e.host}
	return e
}

var letterOf = wire.NotificationMessage{ID: "01M", At: time.Unix(1_700_000_000, 0),
	Subject: "CattleCounter north: Estación sin señal", Text: "Línea 1\n.\nlínea 3\n"}

func to(address string) ledger.NotificationRule {
	return ledger.NotificationRule{Channel: wire.ChannelEmail, Target: address}
}

func TestEmail(t *testing.T) {
	b := startMailbox(t, true)
	must.Do(t, b.channel(t, nil).Send(t.Context(), to("anna@ranch.example"), letterOf))
	if len(b.letters) != 1 {
		t.Fatalf("got %+v", b.letters)
	}
	got := b.letters[0]
	m := must.Get(mail.ReadMessage(strings.NewReader(got.text)))(t)
	var words mime.WordDecoder
	subject := must.Get(words.DecodeHeader(m.Header.Get("Subject")))(t)
	if !got.encrypted || got.from != "cattle@ranch.example" || got.to != "anna@ranch.example" ||
		subject != letterOf.Subject ||
		m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("Message-Id") != "<01M@ranch.example>" ||
		!strings.Contains(got.text, "L=C3=ADnea 1\r\n.\r\nl=C3=ADnea 3") {
		t.Errorf("got %+v", got)
	}
}

// What will fail again is distinguished from what passes.
func TestEmailFaults(t *testing.T) {
	b := startMailbox(t, true)
	for name, c := range map[string]struct {
		to      string
		change  func(*config.SMTP)
		refused bool
	}{
		"no mailbox":      {"missing@ranch.example", nil, true},
		"full mailbox":    {"full@ranch.example", nil, false},
		"wrong password":  {"anna@ranch.example", func(c *config.SMTP) { c.Password = secret.New("guess") }, false},
		"no address":      {"Anna <anna@ranch.example>", nil, true},
		"two addresses":   {"a@ranch.example, b@ranch.example", nil, true},
		"a line too many": {"a@ranch.example\r\nBcc: b@ranch.example", nil, true},
		"no server":       {"anna@ranch.example", func(c *config.SMTP) { c.Server = "127.0.0.1:1" }, false},
	} {
		err := b.channel(t, c.change).Send(t.Context(), to(c.to), letterOf)
		if err == nil || errors.Is(err, ErrRefused) != c.refused || strings.Contains(err.Error(), "s3cret") ||
			strings.Contains(err.Error(), "guess") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if len(b.letters) != 0 {
		t.Errorf("got %+v", b.letters)
	}
}

// A password never crosses a connection that is not encrypted, unless the server is this machine and the configuration
// says so.
func TestEmailIsEncrypted(t *testing.T) {
	b := startMailbox(t, false)
	if err := b.channel(t, nil).Send(t.Context(), to("anna@ranch.example"), letterOf); err == nil || len(b.letters) != 0 {
		t.Errorf("a server without STARTTLS: error %v, got %+v", err, b.letters)
	}
	stranger := startMailbox(t, true).channel(t, nil)
	stranger.tls = nil // the authorities of the system do not know its certificate
	if err := stranger.Send(t.Context(), to("anna@ranch.example"), letterOf); err == nil {
		t.Error("a certificate of an unknown authority was accepted")
	}
}

// FuzzEmailTarget looks for an address that is taken and would be more than one mailbox or header.
func FuzzEmailTarget(f *testing.F) {
	for _, s := range []string{"anna@ranch.example", "a@b\r\nBcc: c@d", "a@b,c@d", "\"a b\"@c", "<a@b>"} {
		f.Add(s)
	}
	e := &Email{}
	f.Fuzz(func(t *testing.T, s string) {
		if e.Check(s) == nil && strings.ContainsAny(s, "\r\n\x00<>") {
			t.Errorf("%q was taken", s)
		}
	})
}
