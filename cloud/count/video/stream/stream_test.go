package stream

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// torn fails from a byte on.
type torn struct {
	io.ReaderAt
	from int64
}

func (t torn) ReadAt(b []byte, at int64) (int, error) {
	if at+int64(len(b)) > t.from {
		return 0, errors.New("torn")
	}
	return t.ReaderAt.ReadAt(b, at)
}

func get(t *testing.T, url, span string) (int, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if span != "" {
		r.Header.Set("Range", span)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func TestServe(t *testing.T) {
	url, stop, err := Serve(t.Context(), strings.NewReader("0123456789"), 10, ".mp4")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(url, "http://127.0.0.1:") || !strings.HasSuffix(url, ".mp4") {
		t.Errorf("the address is %s", url)
	}
	for _, c := range []struct {
		url, span, want string
		status          int
	}{{url, "", "0123456789", 200}, {url, "bytes=4-", "456789", 206}, {url, "bytes=10-", "", 416}, {strings.TrimSuffix(url, ".mp4"), "", "", 404}} {
		status, body, err := get(t, c.url, c.span)
		if status != c.status || err != nil || c.want != "" && body != c.want {
			t.Errorf("%s: %d %q %v, want %d %q", c.span, status, body, err, c.status, c.want)
		}
	}
	stop()
	if _, _, err := get(t, url, ""); err == nil {
		t.Error("the server answers after stop")
	}
}

// TestFailedReadEndsTheAnswer checks that a part of the content does not look complete.
func TestFailedReadEndsTheAnswer(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	url, stop, err := Serve(t.Context(), torn{strings.NewReader(long), 1 << 19}, int64(len(long)), ".mp4")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if _, body, err := get(t, url, ""); err == nil {
		t.Errorf("%d of %d bytes arrived without an error", len(body), len(long))
	}
}

// blocked is content whose reads block until free is closed.
type blocked struct {
	io.ReaderAt
	reading, free chan struct{}
	once          *sync.Once
}

func (b blocked) ReadAt(p []byte, at int64) (int, error) {
	b.once.Do(func() { close(b.reading) })
	<-b.free
	return b.ReaderAt.ReadAt(p, at)
}

// TestStopWaitsForReads checks that no request reads the content after stop has returned.
func TestStopWaitsForReads(t *testing.T) {
	content := blocked{strings.NewReader("0123456789"), make(chan struct{}), make(chan struct{}), new(sync.Once)}
	url, stop, err := Serve(t.Context(), content, 10, ".mp4")
	if err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	clients.Go(func() { _, _, _ = get(t, url, "") })
	<-content.reading
	stopped := make(chan struct{})
	clients.Go(func() {
		stop()
		close(stopped)
	})
	select {
	case <-stopped:
		t.Error("stop returned during a read")
	case <-time.After(20 * time.Millisecond):
	}
	close(content.free)
	clients.Wait()
}
