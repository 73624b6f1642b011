package config

import (
	"strings"
	"testing"

	"cattlecounter/shared/secret"
)

func TestNotify(t *testing.T) {
	mail := SMTP{Server: "smtp.example.com:587", TLS: MailStartTLS, From: "cattle@ranch.example"}
	for name, c := range map[string]struct {
		change func(*Notify)
		want   string // key of the fault, "" for a valid configuration
	}{
		"mail":                  {func(n *Notify) { n.SMTP = mail }, ""},
		"sender with a name":    {func(n *Notify) { n.SMTP = mail; n.SMTP.From = "Herd <a@b.example>" }, ""},
		"mail without a sender": {func(n *Notify) { n.SMTP = mail; n.SMTP.From = "" }, "notify.smtp.from"},
		"mail without a port":   {func(n *Notify) { n.SMTP = mail; n.SMTP.Server = "smtp" }, "notify.smtp.server"},
		"mail without a host":   {func(n *Notify) { n.SMTP = mail; n.SMTP.Server = ":25" }, "notify.smtp.server"},
		"unknown encryption":    {func(n *Notify) { n.SMTP.TLS = "ssl" }, "notify.smtp.tls"},
		"mail in the clear":     {func(n *Notify) { n.SMTP = mail; n.SMTP.TLS = MailNoTLS }, "notify.smtp.tls"},
		"in the clear, same host": {func(n *Notify) {
			n.SMTP = mail
			n.SMTP.TLS, n.SMTP.Server = MailNoTLS,
				"127.0.0.1:25"
		}, ""},
		"password alone":  {func(n *Notify) { n.SMTP.Password = secret.New("x") }, "notify.smtp.username"},
		"networks":        {func(n *Notify) { n.Networks = []string{"10.0.0.0/8", "::1"} }, ""},
		"network by name": {func(n *Notify) { n.Networks = []string{"intranet"} }, "notify.networks"},
		"every network":   {func(n *Notify) { n.Networks = []string{"::/0"} }, "notify.networks"},
	} {
		cfg := Default()
		c.change(&cfg.Notify)
		err := cfg.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want+":") {
			t.Errorf("%s: error %v, want one of %q", name, err, c.want)
		}
	}
}
