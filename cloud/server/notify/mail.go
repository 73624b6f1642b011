package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

const longestAddress = 254 // of a mailbox, RFC 5321

// Email sends messages through an SMTP server. It opens a connection for each. It is safe for concurrent use.
type Email struct {
	smtp config.SMTP
	from *mail.Address
	host string
	port int
	tls  *tls.Config // nil for the authorities of the system
}

// NewEmail returns a channel that uses a server whose configuration is valid.
func NewEmail(c config.SMTP) (*Email, error) {
	e := &Email{smtp: c}
	host, port, err := net.SplitHostPort(c.Server)
	if err == nil {
		e.host = host
		e.port, err = strconv.Atoi(port)
	}
	if err != nil {
		return nil, fmt.Errorf("notify.smtp.server: %w", err)
	}
	if e.from, err = mail.ParseAddress(c.From); err != nil {
		return nil, fmt.Errorf("notify.smtp.from: %w", err)
	}
	return e, nil
}

// Check implements Channel.
func (e *Email) Check(target string) error {
	a, err := mail.ParseAddress(target)
	if err != nil || a.Address != target || len(target) > longestAddress {
		return errors.New("it is not the address of a mailbox such as anna@ranch.example")
	}
	return nil
}

// Send implements Channel. The message has the same Message-ID in every attempt.
func (e *Email) Send(ctx context.Context, r ledger.NotificationRule, m wire.NotificationMessage) error {
	if err := e.Check(r.Target); err != nil {
		return fmt.Errorf("target: %w: %w", err, ErrRefused)
	}
	msg := gomail.NewMsg()
	msg.FromMailAddress(e.from)
	if err := msg.To(r.Target); err != nil {
		return fmt.Errorf("target: %w: %w", err, ErrRefused)
	}
	_, domain, _ := strings.Cut(e.from.Address, "@")
	msg.SetMessageIDWithValue(m.ID + "@" + domain)
	msg.SetDateWithValue(m.At)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no answer of a person on holiday, RFC 3834
	msg.Subject(m.Subject)
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	client, err := gomail.NewClient(e.host, e.options()...)
	if err != nil {
		return fmt.Errorf("SMTP server: %w", err)
	}
	err = client.DialAndSendWithContext(ctx, msg)
	var refused *gomail.SendError
	if errors.As(err, &refused) && !refused.IsTemp() && refused.ErrorCode() >= 500 {
		return fmt.Errorf("SMTP server: %w: %w", err, ErrRefused)
	}
	if err != nil {
		return fmt.Errorf("SMTP server: %w", err)
	}
	return nil
}

func (e *Email) options() []gomail.Option {
	o := []gomail.Option{gomail.WithPort(e.port), gomail.WithTimeout(sendTime / 2)}
	if e.tls != nil {
		o = append(o, gomail.WithTLSConfig(e.tls))
	}
	switch e.smtp.TLS {
	case config.MailImplicit:
		o = append(o, gomail.WithSSL())
	case config.MailNoTLS:
		o = append(o, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		o = append(o, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if e.smtp.Username != "" {
		o = append(o, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(e.smtp.Username),
			gomail.WithPassword(e.smtp.Password.Reveal()))
	}
	return o
}
