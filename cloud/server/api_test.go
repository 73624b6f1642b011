package server

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/emptyledger"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp's pool sleeps for ten seconds before it sees that it was
		// stopped, and its clock lives as long as the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// Paho lets a goroutine end a moment after a disconnect.
		goleak.IgnoreAnyFunction("github.com/eclipse/paho%2emqtt%2egolang.(*client).Disconnect.func1"),
		// One for each address of an ACME server lives as long as the process.
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"),
		// It ends some seconds after the lock of a certificate was released.
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"),
		// The ACME server of the tests has no end.
		goleak.IgnoreAnyFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"))
}

// running is a cloud-api in this process.
type running struct {
	t      testing.TB
	cfg    config.Config
	at     Addresses
	stop   func() // twice is fine
	client *http.Client
}

func serve(t testing.TB, change func(*config.Config)) *running {
	t.Helper()
	r := &running{t: t, cfg: config.Default(), client: &http.Client{Transport: &http.Transport{}}}
	r.cfg.Data = t.TempDir()
	r.cfg.HTTP.Listen, r.cfg.MQTT.EmbeddedListen = "127.0.0.1:0", "127.0.0.1:0"
	r.cfg.HTTP.OpenReading = true // a loopback address, as the tests' clients read without a login
	dir := r.cfg.Data
	if change != nil {
		change(&r.cfg)
	}
	if r.cfg.Data == dir && r.cfg.Ledger.URL.IsZero() {
		emptyledger.In(t, dir)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan Addresses, 1), make(chan error, 1)
	go func() {
		done <- Serve(ctx, r.cfg, Options{Log: slog.New(slog.DiscardHandler), Ready: func(a Addresses) { ready <- a }})
	}()
	select {
	case r.at = <-ready:
	case err := <-done:
		cancel()
		t.Fatal(err)
	}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		r.client.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

func (r *running) addDevice(name string, role ledger.Role) string {
	r.t.Helper()
	l, err := OpenLedger(r.t.Context(), r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	token, err := l.Devices.Add(r.t.Context(), name, "farm", role)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		r.t.Fatal(err)
	}
	return token.Reveal()
}

// eventually calls f every 50 ms until it returns true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for !f() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("not in time: " + what)
		}
	}
}

func (r *running) get(path string, into any) int {
	r.t.Helper()
	resp, err := r.client.Get(r.at.HTTP + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && into != nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode
}
