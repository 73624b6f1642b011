package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cattlecounter/shared/topic"
)

// Local control runs over a Unix socket in the spool's folder: the running agent
// holds the spool, and whoever may enter that folder may ask it.
const (
	socketName    = "agent.sock"
	statusPath    = "/v1/status"
	ordersPath    = "/v1/orders"
	localTimeout  = 5 * time.Second
	maxStatusSize = 64 << 20
	maxOrderSize  = 64 << 10
	pollEvery     = 200 * time.Millisecond
)

// ErrNotRunning says that no agent answers for this spool.
var ErrNotRunning = errors.New("the agent is not running")

// SocketPath is where the agent of a spool listens.
func SocketPath(spoolDir string) string { return filepath.Join(spoolDir, socketName) }

// serve answers local requests until ctx ends.
func serve(ctx context.Context, path string, a *Agent) error {
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
	srv := &http.Server{Handler: a.local(), ReadHeaderTimeout: localTimeout, ReadTimeout: localTimeout, WriteTimeout: localTimeout}
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

// local answers status and orders: the same orders that come over MQTT.
func (a *Agent) local() http.Handler {
	mux := http.NewServeMux()
	send := func(w http.ResponseWriter, status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v) // the asker went away
	}
	mux.HandleFunc("GET "+statusPath, func(w http.ResponseWriter, _ *http.Request) { send(w, http.StatusOK, a.Status()) })
	mux.HandleFunc("POST "+ordersPath, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOrderSize))
		if err == nil {
			var reply topic.Reply
			if reply, err = a.orders.HandleLocal(r.Context(), b); err == nil {
				send(w, http.StatusOK, reply)
				return
			}
		}
		http.Error(w, err.Error(), http.StatusBadRequest)
	})
	mux.HandleFunc("GET "+ordersPath+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		reply, err := a.orders.Reply(r.PathValue("id"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		send(w, http.StatusOK, reply)
	})
	return mux
}

// AskStatus asks the running agent. The error wraps ErrNotRunning when there is
// none.
func AskStatus(ctx context.Context, spoolDir string) (Status, error) {
	b, err := ask(ctx, spoolDir, http.MethodGet, statusPath, nil)
	if err != nil {
		return Status{}, err
	}
	return ParseStatus(b)
}

// Order gives the running agent an order and waits until it is done or refused.
// The error wraps ErrNotRunning when there is no agent, and ctx's when it ends
// before the order does; the order goes on then.
func Order(ctx context.Context, spoolDir string, c topic.Command) (topic.Reply, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return topic.Reply{}, err
	}
	method, path := http.MethodPost, ordersPath
	for {
		answer, err := ask(ctx, spoolDir, method, path, b)
		if err != nil {
			return topic.Reply{}, err
		}
		var r topic.Reply
		if err := json.Unmarshal(answer, &r); err != nil {
			return topic.Reply{}, fmt.Errorf("answer to the order: %w", err)
		}
		if r.State != topic.Accepted {
			return r, nil
		}
		method, path, b = http.MethodGet, ordersPath+"/"+c.ID, nil
		timer := time.NewTimer(pollEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return r, ctx.Err()
		case <-timer.C:
		}
	}
}

// ask sends one request to the agent's socket and returns the body of its answer.
func ask(ctx context.Context, spoolDir, method, to string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, localTimeout)
	defer cancel()
	path := SocketPath(spoolDir)
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	defer t.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+to, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r, err := (&http.Client{Transport: t}).Do(req)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w: nobody answers at %s; start it with: edge-agent run --config FILE", ErrNotRunning, path)
	}
	if err != nil {
		return nil, fmt.Errorf("ask the agent at %s: %w", path, err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(io.LimitReader(r.Body, maxStatusSize))
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s (HTTP %d)", strings.TrimSpace(string(b)), r.StatusCode)
	}
	if err != nil {
		return nil, fmt.Errorf("ask the agent at %s: %w", path, err)
	}
	return b, nil
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
