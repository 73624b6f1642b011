// Package stream gives content out over HTTP on this machine alone, for a library that
// reads addresses and files and nothing else, while the content is still on its way.
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
	"time"
)

// Serve gives size bytes of r out under an address that nobody can guess, with ranges,
// until stop is called. A reader that fails cuts the answer off. ext is the end of the
// address, such as ".mp4".
func Serve(ctx context.Context, r io.ReaderAt, size int64, ext string) (url string, stop func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("give footage out on this machine: %w", err)
	}
	name := "/" + strings.ToLower(rand.Text()) + ext
	s := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
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
		_ = s.Serve(l) // ends with Close
	}()
	return "http://" + l.Addr().String() + name, func() {
		_ = s.Close() // its connections are of no use any more
		<-done
	}, nil
}
