package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Local control runs over a Unix socket in the spool's folder: the running agent
// holds the spool, and whoever may enter that folder may ask it.
const (
	socketName    = "agent.sock"
	statusPath    = "/v1/status"
	localTimeout  = 5 * time.Second
	maxStatusSize = 64 << 20
)

// ErrNotRunning says that no agent answers for this spool.
var ErrNotRunning = errors.New("the agent is not running")

// SocketPath is where the agent of a spool listens.
func SocketPath(spoolDir string) string { return filepath.Join(spoolDir, socketName) }

// serve answers local requests until ctx ends.
func serve(ctx context.Context, path string, status func() Status) error {
	// The spool's lock says that no other agent lives: a socket that is there is
	// left over from a crash.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("status socket: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("status socket: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return errors.Join(fmt.Errorf("status socket: %w", err), l.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+statusPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(status()) // the asker went away
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: localTimeout, WriteTimeout: localTimeout}
	stopped := make(chan struct{})
	defer func() { <-stopped }()
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = srv.Shutdown(bye)
	})
	err = srv.Serve(l)
	if stop() {
		close(stopped)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("status socket: %w", err)
}

// AskStatus asks the running agent. The error wraps ErrNotRunning when there is
// none.
func AskStatus(ctx context.Context, spoolDir string) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, localTimeout)
	defer cancel()
	path := SocketPath(spoolDir)
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	defer t.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent"+statusPath, nil)
	if err != nil {
		return Status{}, err
	}
	r, err := (&http.Client{Transport: t}).Do(req)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return Status{}, fmt.Errorf("%w: nobody answers at %s; start it with: edge-agent run --config FILE", ErrNotRunning, path)
	}
	if err != nil {
		return Status{}, fmt.Errorf("ask the agent at %s: %w", path, err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(io.LimitReader(r.Body, maxStatusSize))
	if err != nil {
		return Status{}, fmt.Errorf("ask the agent at %s: %w", path, err)
	}
	return ParseStatus(b)
}

// ParseStatus reads a status document.
func ParseStatus(b []byte) (Status, error) {
	var s Status
	if err := json.Unmarshal(b, &s); err != nil {
		return Status{}, fmt.Errorf("status document: %w", err)
	}
	if s.V != StatusVersion {
		return Status{}, fmt.Errorf("status document of version %d, want %d: agent and command are of different releases", s.V, StatusVersion)
	}
	return s, nil
}
