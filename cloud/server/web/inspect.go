package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cattlecounter/cloud/server/access"
	"cattlecounter/shared/wire"
)

// Metrics and the details of readiness name workers, disks and hosts. They are for those who may read everything, and for
// every client of the listener of their own.

// mayInspect reports whether a request may read metrics and the details of readiness.
func (s *Server) mayInspect(c *fiber.Ctx) bool {
	return holderOf(c.UserContext()).May(access.Inspect)
}

// sendMetrics answers with the metrics in the text format of Prometheus.
func (s *Server) sendMetrics(c *fiber.Ctx) error {
	return s.bridge.serve(c, promhttp.HandlerFor(s.o.Metrics, promhttp.HandlerOpts{DisableCompression: true}))
}

// Inspector serves metrics and readiness on a listener of their own, without a login.
type Inspector struct {
	server *Server
	ln     net.Listener
}

// NewInspector listens on an address. Call Run next: it closes the listener.
func (s *Server) NewInspector(ctx context.Context, address string) (*Inspector, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics listener %s: %w", address, err)
	}
	return &Inspector{server: s, ln: ln}, nil
}

// Addr is the address that it listens on.
func (i *Inspector) Addr() net.Addr { return i.ln.Addr() }

// Close releases the address when Run will not be called.
func (i *Inspector) Close() { _ = i.ln.Close() }

// Run serves until ctx ends.
func (i *Inspector) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(i.server.o.Metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		v := i.server.readiness(r.Context())
		status := http.StatusOK
		if v.Status != wire.HealthOK {
			status = http.StatusServiceUnavailable
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v) // fails only when the client is gone
	})
	srv := &http.Server{Handler: i.namedOnly(mux), ReadHeaderTimeout: headTime, WriteTimeout: writeTime,
		IdleTimeout: keepAlive, MaxHeaderBytes: headerBytes}
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if srv.Shutdown(last) != nil {
			_ = srv.Close()
		}
	})
	defer stop()
	i.server.log.Info("metrics listener is ready", "address", i.Addr().String())
	if err := srv.Serve(i.ln); err != nil && ctx.Err() == nil {
		return fmt.Errorf("metrics listener: %w", err)
	}
	return nil
}

// namedOnly refuses requests for other hosts, like the main listener.
func (i *Inspector) namedOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !i.server.hosts.allows(r.Host) {
			http.Error(w, "wrong host", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
