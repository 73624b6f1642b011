package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"cattlecounter/edge/status"
	"cattlecounter/shared/topic"
)

// orders execute orders and know their answers.
type orders interface {
	HandleLocal(context.Context, []byte) (topic.Reply, error)
	Reply(id string) (topic.Reply, error)
}

// Serve answers requests on the socket at path until ctx ends, and then returns nil. It
// accepts the same orders as MQTT. The caller must hold the spool's lock.
func Serve(ctx context.Context, path string, current func() status.Status, o orders) error {
	// With the spool's lock no other agent runs: an existing socket is left from a crash.
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
	srv := &http.Server{Handler: handler(current, o), ReadHeaderTimeout: timeout, ReadTimeout: timeout,
		WriteTimeout: timeout}
	stopped := make(chan struct{})
	defer func() { <-stopped }()
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = srv.Shutdown(stopping)
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

func handler(current func() status.Status, o orders) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+statusPath, func(w http.ResponseWriter, _ *http.Request) { send(w, current()) })
	mux.HandleFunc("POST "+ordersPath, func(w http.ResponseWriter, r *http.Request) {
		var reply topic.Reply
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOrderSize))
		if err == nil {
			reply, err = o.HandleLocal(r.Context(), b)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		send(w, reply)
	})
	mux.HandleFunc("GET "+ordersPath+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		reply, err := o.Reply(r.PathValue("id"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		send(w, reply)
	})
	return mux
}

func send(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may have disconnected
}
