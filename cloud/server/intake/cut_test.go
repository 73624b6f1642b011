package intake

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// watched reports when bytes have reached the blob store.
type watched struct {
	Blobs
	mu      sync.Mutex
	arrived int64
	changed chan struct{}
}

func watch(b Blobs) *watched { return &watched{Blobs: b, changed: make(chan struct{})} }

func (w *watched) Append(ctx context.Context, id string, offset int64, r io.Reader) (int64, error) {
	return w.Blobs.Append(ctx, id, offset, readFunc(func(b []byte) (int, error) {
		n, err := r.Read(b)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.arrived += int64(n)
		close(w.changed)
		w.changed = make(chan struct{})
		return n, err
	}))
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

func (w *watched) count() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.arrived
}

// wait returns once n bytes have been read for the store.
func (w *watched) wait(t *testing.T, n int64) {
	t.Helper()
	for {
		w.mu.Lock()
		have, changed := w.arrived, w.changed
		w.mu.Unlock()
		if have >= n {
			return
		}
		select {
		case <-changed:
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d bytes arrived", have, n)
		}
	}
}

// lines puts raw header lines into a request.
func lines(header []string) string {
	var b strings.Builder
	for _, h := range header {
		b.WriteString(h + "\r\n")
	}
	return b.String()
}

// rawConn is a client's end of a connection.
type rawConn struct {
	*net.TCPConn
	end <-chan struct{} // closed when the server is done with the connection
}

// rawPatch begins a PATCH of size bytes on a new connection and sends its first part.
func (s *site) rawPatch(path string, offset, size int, part []byte, header ...string) rawConn {
	s.t.Helper()
	c := must.Get(new(net.Dialer).DialContext(context.Background(), "tcp", s.server.Listener.Addr().String()))(s.t)
	must.Do(s.t, c.SetDeadline(time.Now().Add(time.Minute))) // a fault must not hang the test
	s.t.Cleanup(func() { _ = c.Close() })
	end := make(chan struct{})
	s.raw.Store(c.LocalAddr().String(), end)
	_, err := fmt.Fprintf(c, "PATCH %s HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nContent-Type: "+
		"application/offset+octet-stream\r\n"+
		"Upload-Offset: %d\r\nContent-Length: %d\r\n%s\r\n%s", path, offset, size, lines(header), part)
	must.Do(s.t, err)
	return rawConn{c.(*net.TCPConn), end}
}

func TestBytesOfCutConnectionCount(t *testing.T) {
	s := newSite(t, t.TempDir())
	w := watch(s.blobs)
	s.in.blobs = w
	content := clip("x", 3<<20)
	path := s.create(len(content), "sha256", digestOf(content))
	sent := 0
	for _, part := range []int{1, 500, 1000, 700_000, 1_500_000} {
		c := s.rawPatch(path, sent, len(content)-sent, content[sent:sent+part])
		sent += part
		if sent > footage.SniffLen { // below, the bytes wait for the rest of the first kilobyte
			w.wait(t, int64(sent))
		}
		// A reset, as after a lost link.
		must.Do(t, c.SetLinger(0))
		must.Do(t, c.Close())
		if sent <= footage.SniffLen {
			<-c.end             // before, the request may not even have begun
			sent = s.head(path) // the reset may have thrown some away, in the kernel
			continue
		}
		if got := s.head(path); got != sent {
			t.Fatalf("%d bytes count, %d had arrived", got, sent)
		}
	}
	s.wantPatch(path, sent, content[sent:])
	if f := s.footageOf(path); f.SHA256 != footage.Sum(content) {
		t.Fatalf("got footage %+v", f)
	}
}

// withoutDeadlines hides the deadlines of the writer, as some servers do. Its body cannot
// be interrupted.
func withoutDeadlines(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
	})
}

func TestHeadDoesNotWaitForADeadPatch(t *testing.T) {
	for name, hide := range map[string]bool{"deadlines": false, "no deadlines": true} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, t.TempDir())
			if hide {
				s.server.Config.Handler = withoutDeadlines(s)
			}
			w := watch(s.blobs)
			s.in.blobs = w
			content := clip("x", 400_000)
			path := s.create(len(content))
			hanging := s.rawPatch(path, 0, len(content), content[:150_000])
			w.wait(t, 150_000)
			began := time.Now()
			if got := s.head(path); got != 150_000 {
				t.Fatalf("%d bytes count, 150000 had arrived", got)
			}
			if took := time.Since(began); took >= interruptGrace {
				t.Errorf("the answer took %s", took)
			}
			if !hide { // the hanging request gets an answer, if its client still reads
				resp := must.Get(http.ReadResponse(bufio.NewReader(hanging), nil))(t)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusConflict {
					t.Errorf("the hanging request got %d", resp.StatusCode)
				}
			}
			// A new PATCH ends a hanging one as well.
			second := s.rawPatch(path, 150_000, 250_000, content[150_000:200_000])
			w.wait(t, 200_000)
			r := s.patch(path, 200_000, content[200_000:])
			if r.status != http.StatusNoContent || s.footageOf(path).SHA256 != footage.Sum(content) {
				t.Fatalf("got status %d, body %s", r.status, r.body)
			}
			// Without deadlines the goroutines of the server end with their connections.
			must.Do(t, errors.Join(hanging.Close(), second.Close()))
		})
	}
}

func TestIdleConnectionEnds(t *testing.T) {
	s := newSite(t, t.TempDir(), func(o *Options) { o.IdleTimeout = 4 * time.Second })
	content := clip("x", 100_000)
	path := s.create(len(content))
	c := s.rawPatch(path, 0, len(content), content[:60_000])
	resp := must.Get(http.ReadResponse(bufio.NewReader(c), nil))(t)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusConflict {
		t.Fatalf("got status %d", resp.StatusCode)
	}
	s.close()
	s = newSite(t, s.dir) // the time limit of the first one also ends slow requests
	n := s.head(path)
	if n != 60_000 {
		t.Fatalf("%d bytes count", n)
	}
	s.wantPatch(path, n, content[n:])
}

func TestTwoClientsAtOnce(t *testing.T) {
	s := newSite(t, t.TempDir())
	content := clip("x", 2<<20)
	path := s.create(len(content), "footage", "f1", "sha256", digestOf(content))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				r := s.do("HEAD", path, nil)
				if r.status == http.StatusLocked {
					continue
				}
				var n int
				_, _ = fmt.Sscan(r.header.Get("Upload-Offset"), &n)
				if n == len(content) {
					return
				}
				s.patch(path, n, content[n:min(n+300_000, len(content))])
			}
			t.Error("the uploads do not end")
		})
	}
	wg.Wait()
	s.wantOnce("f1", content)
}

// full is a store whose disk has room for so many bytes.
type full struct {
	Blobs
	room int64
}

func (f *full) Append(ctx context.Context, id string, offset int64, r io.Reader) (int64, error) {
	n, err := f.Blobs.Append(ctx, id, offset, io.LimitReader(r, f.room))
	f.room -= n
	if err == nil && f.room == 0 {
		// As on a real disk: some bytes were read and not stored.
		_, _ = r.Read(make([]byte, 1000))
		err = fmt.Errorf("write: %w", blob.ErrNoSpace)
	}
	return n, err
}

func TestFullDisk(t *testing.T) {
	s := newSite(t, t.TempDir())
	disk := &full{s.blobs, 250_000}
	s.in.blobs = disk
	content := clip("x", 1_000_000)
	path := s.create(len(content), "sha256", digestOf(content))
	s.wantPatch(path, 0, content[:100_000])
	r := s.patch(path, 100_000, content[100_000:])
	s.want(r, http.StatusInsufficientStorage, wire.SlugNoSpace)
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if got := s.head(path); got != 250_000 {
		t.Fatalf("%d bytes count", got)
	}
	disk.room = 1 << 30
	s.wantPatch(path, 250_000, content[250_000:])
	if f := s.footageOf(path); !bytes.Equal(s.blob(f.BlobKey), content) {
		t.Fatal("the blob differs from the upload")
	}
}

func TestPump(t *testing.T) {
	stop := make(chan struct{})
	block := make(chan struct{})
	first := true
	p := newPump(readFunc(func(b []byte) (int, error) {
		if first {
			first = false
			return copy(b, "arrived"), nil
		}
		<-block
		return copy(b, "late"), io.EOF
	}), stop)
	b := make([]byte, 100)
	if n, err := p.Read(b); string(b[:n]) != "arrived" || err != nil {
		t.Fatalf("got bytes %q, error %v", b[:n], err)
	}
	close(stop)
	for range 2 {
		if n, err := p.Read(b); n != 0 || !errors.Is(err, io.EOF) || !p.stopped.Load() {
			t.Fatalf("got number %d, error %v", n, err)
		}
	}
	p.close(func() bool { return false })
	close(block)
	<-p.done
	whole := clip("x", 2_000_000)
	p = newPump(bytes.NewReader(whole), nil)
	got, err := io.ReadAll(p)
	if err != nil || !bytes.Equal(got, whole) || p.stopped.Load() {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	p.close(func() bool { return false })
}
