// Package local controls a running agent from the same machine, over a Unix socket in the
// spool's folder. Everybody who may enter that folder may use it.
package local

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

	"cattlecounter/edge/status"
	"cattlecounter/shared/interrupt"
	"cattlecounter/shared/topic"
)

const (
	socketName    = "agent.sock"
	statusPath    = "/v1/status"
	ordersPath    = "/v1/orders"
	timeout       = 5 * time.Second
	maxStatusSize = 64 << 20
	maxOrderSize  = 64 << 10
	pollEvery     = 200 * time.Millisecond
)

// ErrNotRunning means that no agent answers for this spool.
var ErrNotRunning = errors.New("the agent is not running")

// SocketPath is the path of the socket of a spool's agent.
func SocketPath(spoolDir string) string { return filepath.Join(spoolDir, socketName) }

// Status returns the status of the running agent. The error wraps ErrNotRunning when no
// agent runs.
func Status(ctx context.Context, spoolDir string) (status.Status, error) {
	b, err := ask(ctx, spoolDir, http.MethodGet, statusPath, nil)
	if err != nil {
		return status.Status{}, err
	}
	return status.Parse(b)
}

// Order sends an order to the running agent and waits until it is done or refused. The
// error wraps ErrNotRunning when no agent runs. When ctx ends first, Order returns ctx's
// cause and the order continues.
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
			return topic.Reply{}, fmt.Errorf("answer to order %s: %w", c.Name, err)
		}
		if r.State != topic.Accepted {
			return r, nil
		}
		method, path, b = http.MethodGet, ordersPath+"/"+c.ID, nil
		if err := interrupt.Pause(ctx, pollEvery); err != nil {
			return r, err
		}
	}
}

// ask sends one request to the agent's socket and returns the body of the answer.
func ask(ctx context.Context, spoolDir, method, to string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
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
		return nil, fmt.Errorf("%w: no answer at %s; start it with: edge-agent run --config FILE", ErrNotRunning, path)
	}
	if err != nil {
		return nil, fmt.Errorf("request to the agent at %s: %w", path, err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(io.LimitReader(r.Body, maxStatusSize))
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s (HTTP %d)", strings.TrimSpace(string(b)), r.StatusCode)
	}
	if err != nil {
		return nil, fmt.Errorf("request to the agent at %s: %w", path, err)
	}
	return b, nil
}
