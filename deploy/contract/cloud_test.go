package contract

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/server"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/edge/uplink"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		// fasthttp's pool sleeps for ten seconds before it sees that it was
		// stopped, and its clock lives as long as the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// Paho lets a goroutine end a moment after a disconnect.
		goleak.IgnoreAnyFunction("github.com/eclipse/paho%2emqtt%2egolang.(*client).Disconnect.func1"))
}

const (
	site   = "ranch"
	device = "dock-1"
)

// cloud is a real cloud-api in this process, behind a proxy that notes the calls.
type cloud struct {
	t      *testing.T
	url    string
	ledger *ledger.Ledger
	token  secret.String // of the station
	blobs  string        // folder of the blob store

	mu    sync.Mutex
	calls map[string]bool
}

func newCloud(t *testing.T, change ...func(*config.Config)) *cloud {
	t.Helper()
	cfg := config.Default()
	cfg.Data = t.TempDir()
	cfg.HTTP.Listen, cfg.MQTT.EmbeddedListen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.HTTP.OpenReading = true // a loopback address, as the tests read without a login
	for _, f := range change {
		f(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan server.Addresses, 1), make(chan error, 1)
	go func() {
		done <- server.Serve(ctx, cfg, server.Options{Log: slog.New(slog.DiscardHandler),
			Ready: func(a server.Addresses) { ready <- a }})
	}()
	c := &cloud{t: t, calls: map[string]bool{}, blobs: cfg.BlobDir()}
	var at server.Addresses
	select {
	case at = <-ready:
	case err := <-done:
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	var err error
	if c.ledger, err = server.OpenLedger(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.ledger.Close() })
	c.token = c.add(device, ledger.RoleDevice)
	c.url = c.front(at.HTTP)
	return c
}

// front is a proxy before the server that notes every call.
func (c *cloud) front(to string) string {
	target, err := url.Parse(to)
	if err != nil {
		c.t.Fatal(err)
	}
	transport := &http.Transport{}
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.calls[r.Method+" "+pattern(r.URL.Path)] = true
		c.mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	c.t.Cleanup(func() { srv.Close(); transport.CloseIdleConnections() })
	return srv.URL
}

// pattern replaces the last part of the paths that name one thing.
func pattern(path string) string {
	for _, prefix := range []string{wire.FilesPath, wire.FootagePath("")} {
		if rest, ok := strings.CutPrefix(path, prefix); ok && rest != "" {
			return prefix + "{id}"
		}
	}
	return path
}

func (c *cloud) add(name string, role ledger.Role) secret.String {
	c.t.Helper()
	token, err := c.ledger.Devices.Add(c.t.Context(), name, site, role)
	if err != nil {
		c.t.Fatal(err)
	}
	return token
}

// blob returns the content of a blob.
func (c *cloud) blob(t *testing.T, key string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.blobs, filepath.FromSlash(key)))
	if err != nil {
		t.Error(err)
	}
	return b
}

// client is the station's client with a token.
func (c *cloud) client(t *testing.T, token secret.String, clock *hints) *uplink.Cloud {
	t.Helper()
	o := uplink.CloudOptions{URL: c.url, Token: uplink.NewToken(token, "", nil), IdleTimeout: 10 * time.Second}
	if clock != nil {
		o.Clock = clock
	}
	u, err := uplink.NewCloud(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	return u
}

// upload sends content as one file.
func upload(t *testing.T, c *uplink.Cloud, m wire.Metadata, content []byte) error {
	t.Helper()
	size := int64(len(content))
	to, err := c.Create(t.Context(), size, m)
	if err != nil {
		return err
	}
	at, err := c.Patch(t.Context(), to, 0, size, bytes.NewReader(content))
	if err == nil && at != size {
		t.Errorf("%d of %d bytes arrived", at, size)
	}
	return err
}

// clip is content that begins like an MP4.
func clip(seed string) []byte {
	return append([]byte("\x00\x00\x00\x20ftypisom"), bytes.Repeat([]byte(seed), 50_000)...)
}

func video(id footage.ID, content []byte) wire.Metadata {
	return wire.Metadata{Filename: "DJI_0001.MP4", Filetype: "video/mp4", Footage: id, SHA256: footage.Sum(content),
		Captured: time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC), Kind: wire.KindVideo}
}
