package web

import (
	"context"
	"net/http"
	"testing"

	"cattlecounter/cloud/store/ledger"
)

// A revoked token ends the upload that runs with it, and answers 401.
func TestRevocationEndsARunningUpload(t *testing.T) {
	got, first := make(chan seen, 1), make(chan []byte, 1)
	s := open(t, func(o *Options) { o.Uploads = reading(got, first) })
	c := s.dial()
	c.send("%s", s.patch("Content-Length: 1000000"))
	c.send("abc")
	<-first
	if err := s.ledger.Devices.Revoke(t.Context(), "device1"); err != nil {
		t.Fatal(err)
	}
	if g := <-got; g.err == nil {
		t.Errorf("the handler read the whole body: %d bytes", len(g.body))
	}
	resp, body := c.answer()
	if resp.StatusCode != http.StatusUnauthorized || !resp.Close {
		t.Errorf("got %d, close %v: %s", resp.StatusCode, resp.Close, body)
	}
	c.wantClosed()
}

// Events end with the access of their listener: a revoked and a renewed token, and a person who is disabled.
func TestRevocationEndsEvents(t *testing.T) {
	for name, end := range map[string]func(context.Context, *ledger.Ledger) error{
		"revoked": func(ctx context.Context, l *ledger.Ledger) error { return l.Devices.Revoke(ctx, "reader1") },
		"renewed": func(ctx context.Context, l *ledger.Ledger) error {
			token, err := l.Devices.Renew(ctx, "reader1")
			if err == nil {
				_, err = l.Devices.Authenticate(ctx, token.Reveal())
			}
			return err
		},
		"other sites": func(ctx context.Context, l *ledger.Ledger) error {
			return l.Devices.SetSites(ctx, "reader1", ledger.SiteSet{"south"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, nil)
			l := s.listenAs(s.tokens[ledger.RoleReader], "0")
			defer l.close()
			for l.next().name != "ready" {
			}
			if err := end(t.Context(), s.ledger); err != nil {
				t.Fatal(err)
			}
			for e := l.next(); e.name != "bye"; e = l.next() {
			}
		})
	}
}
