// Package stream serves content over HTTP on this machine while it is still being downloaded, for a library that reads
// only URLs and files.
package stream

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Serve serves size bytes of r, with ranges, under a URL that cannot be guessed. The URL ends in ext, such as ".mp4".
// When a read of r fails, the connection is closed in the middle of the answer. stop ends the server and waits for its
// goroutines, so no read of r may block forever.
func Serve(ctx context.Context, r io.ReaderAt, size int64, ext string) (url string, stop func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("serve footage on this machine: %w", err)
	}
	var active requests
	name := "/" + strings.ToLower(rand.Text()) + ext
	s := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if !active.begin() {
				return
			}
			defer active.end()
			if req.URL.Path != name {
				http.NotFound(w, req)
				return
			}
			w.Header().Set("Content-Type", "application/octet-stream")
			http.ServeContent(w, req, "", time.Time{}, io.NewSectionReader(r, 0, size))
		}),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l) // returns after Close
	}()
	return "http://" + l.Addr().String() + name, func() {
		_ = s.Close() // its connections are not needed any more
		<-done
		active.wait()
	}, nil
}

// requests counts the requests that read the content. http.Server.Close does not wait for them.
type requests struct {
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// begin returns false after wait.
func (r *requests) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.running.Add(1)
	}
	return !r.closed
}

func (r *requests) end() { r.running.Done() }

// wait refuses further requests and waits for the running ones.
func (r *requests) wait() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.running.Wait()
}
