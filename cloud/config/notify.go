package config

import (
	"net"
	"net/mail"
	"net/netip"
	"slices"
	"strings"

	"cattlecounter/shared/secret"
)

// Notify configures how people hear of what happened. Who hears of what are rules in the ledger.
type Notify struct {
	SMTP SMTP `yaml:"smtp"`
	// Networks are addresses and networks besides public ones that webhooks may go to. To these alone they may go without
	// TLS.
	Networks []string `yaml:"networks"`
}

// SMTP is the server that takes e-mails.
type SMTP struct {
	Server   string        `yaml:"server"` // host:port; empty for no e-mail
	TLS      string        `yaml:"tls"`    // one of MailTLS
	Username string        `yaml:"username"`
	Password secret.String `yaml:"password"`
	From     string        `yaml:"from"` // address of the sender
}

// Values of SMTP.TLS.
const (
	MailStartTLS = "starttls" // the connection becomes encrypted, or no e-mail is sent
	MailImplicit = "implicit" // encrypted from its first byte, usually at port 465
	MailNoTLS    = "none"     // only for a server on this machine
)

// MailTLS returns the values of SMTP.TLS.
func MailTLS() []string { return []string{MailStartTLS, MailImplicit, MailNoTLS} }

// On reports whether e-mails can be sent.
func (s SMTP) On() bool { return s.Server != "" }

// TargetNetworks are the networks of Networks.
func (n Notify) TargetNetworks() ([]netip.Prefix, error) { return prefixes(n.Networks) }

func (n Notify) validate(f *faults) {
	if _, err := n.TargetNetworks(); err != nil {
		f.addIf(true, "notify.networks: %v", err)
	}
	s := n.SMTP
	f.addIf(!slices.Contains(MailTLS(), s.TLS), "notify.smtp.tls: %q is not one of %s", s.TLS, strings.Join(MailTLS(),
		", "))
	f.addIf(s.Username == "" && !s.Password.IsZero(),
		"notify.smtp.username: is empty, but notify.smtp.password is set; set both")
	if !s.On() {
		return
	}
	host, _, _ := net.SplitHostPort(s.Server)
	f.addIf(!hostPort(s.Server) || host == "", "notify.smtp.server: %q is not host:port, such as smtp.example.com:587",
		s.Server)
	f.addIf(s.TLS == MailNoTLS && !Loopback(s.Server),
		"notify.smtp.tls: %s is only for a server on this machine, and %s is none; set %s or %s", MailNoTLS, s.Server,
		MailStartTLS, MailImplicit)
	if _, err := mail.ParseAddress(s.From); err != nil {
		f.addIf(true, "notify.smtp.from: %q is not an address such as cattle@ranch.example: %v", s.From, err)
	}
}
