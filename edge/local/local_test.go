package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/edge/status"
	"cattlecounter/shared/topic"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// desk accepts every order but "refused" and finishes it at the second look.
type desk struct{ looks atomic.Int64 }

func (d *desk) HandleLocal(_ context.Context, b []byte) (topic.Reply, error) {
	var c topic.Command
	if err := json.Unmarshal(b, &c); err != nil {
		return topic.Reply{}, err
	}
	if c.Name == "refused" {
		return topic.Reply{}, errors.New("unknown order")
	}
	return topic.Reply{ID: c.ID, State: topic.Accepted}, nil
}

func (d *desk) Reply(id string) (topic.Reply, error) {
	if id != "o1" {
		return topic.Reply{}, fmt.Errorf("no order %s", id)
	}
	if d.looks.Add(1) < 2 {
		return topic.Reply{ID: id, State: topic.Accepted}, nil
	}
	return topic.Reply{ID: id, State: topic.Finished, Why: "done"}, nil
}

// serve runs the server on a socket in a new folder, which it returns.
func serve(t *testing.T, v int) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "local") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	// A socket that a crash left behind does not matter.
	if err := os.WriteFile(SocketPath(dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	current := func() status.Status { return status.Status{V: v, Agent: status.Agent{Device: "dock-1"}} }
	go func() { done <- Serve(ctx, SocketPath(dir), current, new(desk)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	limit := time.Now().Add(time.Minute)
	for {
		_, err := ask(t.Context(), dir, "GET", statusPath, nil)
		if err == nil {
			return dir
		}
		if !errors.Is(err, ErrNotRunning) || time.Now().After(limit) {
			t.Fatal(err)
		}
	}
}

func TestStatus(t *testing.T) {
	dir := serve(t, status.Version)
	if s, err := Status(t.Context(), dir); err != nil || s.Agent.Device != "dock-1" {
		t.Errorf("%+v %v", s, err)
	}
	if info, err := os.Stat(SocketPath(dir)); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v %v", info, err)
	}
}

func TestStatusOfAnotherRelease(t *testing.T) {
	if _, err := Status(t.Context(), serve(t, status.Version+1)); err == nil ||
		!strings.Contains(err.Error(), "another release") {
		t.Error(err)
	}
}

func TestOrderWaitsUntilItIsDone(t *testing.T) {
	dir := serve(t, status.Version)
	r, err := Order(t.Context(), dir, topic.Command{ID: "o1", Name: "pause"})
	if err != nil || r.State != topic.Finished || r.Why != "done" {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := Order(t.Context(), dir, topic.Command{ID: "o2", Name: "refused"}); err == nil ||
		!strings.Contains(err.Error(), "unknown order (HTTP 400)") {
		t.Error(err)
	}
	if _, err := Order(t.Context(), dir, topic.Command{ID: "o3", Name: "forgotten"}); err == nil ||
		!strings.Contains(err.Error(), "HTTP 404") {
		t.Error(err)
	}
}

func TestOrderEndsWithItsContext(t *testing.T) {
	dir := serve(t, status.Version)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Order(ctx, dir, topic.Command{ID: "o1", Name: "pause"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestNoAgent(t *testing.T) {
	if _, err := Status(t.Context(), t.TempDir()); !errors.Is(err, ErrNotRunning) ||
		!strings.Contains(err.Error(), "edge-agent run") {
		t.Error(err)
	}
}
