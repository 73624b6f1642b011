package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"cattlecounter/cloud/config"
)

const (
	mostPlain  = 64 // connections at once
	plainTime  = 10 * time.Second
	plainHead  = 8 << 10
	plainDrain = time.Second
)

// plain serves http.tls.acme.http_listen: the checks of the authority, and redirects to https.
type plain struct {
	ln     net.Listener
	server *http.Server
	log    *slog.Logger
}

func newPlain(cfg config.Config, challenges func(http.Handler) http.Handler, log *slog.Logger) (*plain, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", cfg.HTTP.TLS.ACME.HTTPListen)
	if err != nil {
		return nil, fmt.Errorf("http.tls.acme.http_listen: %w", err)
	}
	return &plain{ln: netutil.LimitListener(ln, mostPlain), log: log, server: &http.Server{
		Handler: challenges(toHTTPS(cfg)), ReadTimeout: plainTime, WriteTimeout: plainTime, IdleTimeout: plainTime,
		MaxHeaderBytes: plainHead, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}}, nil
}

func (p *plain) run(ctx context.Context) error {
	p.log.Info("checks of the certificate authority are answered", "address", p.ln.Addr().String())
	done := make(chan error, 1)
	go func() { done <- p.server.Serve(p.ln) }()
	select {
	case err := <-done:
		return fmt.Errorf("http.tls.acme.http_listen: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), plainDrain)
	defer cancel()
	if err := p.server.Shutdown(last); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("http.tls.acme.http_listen: %w", err)
	}
	err := p.server.Close()
	if served := <-done; err == nil && !errors.Is(served, http.ErrServerClosed) {
		err = served
	}
	return err
}

// toHTTPS sends readers to the same address at https. It names only hosts of the configuration, whatever the request says,
// and refuses changes: what they sent has crossed the network in the clear already.
func toHTTPS(cfg config.Config) http.Handler {
	domains := cfg.HTTP.TLS.ACME.Domains
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "This address takes no changes. Use https://.", http.StatusForbidden)
			return
		}
		host := strings.ToLower(r.Host)
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		base := "https://" + host
		if !slices.Contains(domains, host) {
			base = strings.TrimSuffix(cmp.Or(cfg.HTTP.PublicURL, "https://"+domains[0]), "/")
		}
		w.Header().Set("Location", base+r.URL.EscapedPath()+query(r.URL.RawQuery))
		w.WriteHeader(http.StatusPermanentRedirect)
	})
}

func query(raw string) string {
	if raw == "" {
		return ""
	}
	return "?" + raw
}
