package stream

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

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
		t.Error("it answers after stop")
	}
}

// Half of it must not look like all of it.
func TestTorn(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	url, stop, err := Serve(t.Context(), torn{strings.NewReader(long), 1 << 19}, int64(len(long)), ".mp4")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if _, body, err := get(t, url, ""); err == nil {
		t.Errorf("%d of %d bytes came, without an error", len(body), len(long))
	}
}
