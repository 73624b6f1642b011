package server

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cattlecounter/cloud/config"
	"cattlecounter/deploy/testkit/port"
	"cattlecounter/shared/secret"
)

func TestProbeReadsTheAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   string // part of the error, "" for none
	}{
		"ready":          {200, `{"status":"ok","checks":{"ledger":{"ok":true}}}`, ""},
		"ready, hidden":  {200, `{"status":"ok"}`, ""},
		"failing":        {503, `{"status":"failing","checks":{"queue":{"ok":false,"detail":"gone"},"blobs":{"ok":true}}}`, "queue: gone"},
		"failing twice":  {503, `{"status":"failing","checks":{"b":{"detail":"2"},"a":{"detail":"1"}}}`, "a: 1; b: 2"},
		"failing hidden": {503, `{"status":"failing"}`, "its log"},
		"another server": {200, `<html>hello</html>`, "health document"},
		"another JSON":   {200, `{"name":"x"}`, "health document"},
		"a lie":          {503, `{"status":"ok"}`, "health document"},
		"failing as 200": {200, `{"status":"failing","checks":{"queue":{"ok":false,"detail":"gone"}}}`, "queue: gone"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/readyz" {
					t.Errorf("asked for %s", r.URL.Path)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer s.Close()
			cfg := config.Default()
			cfg.HTTP.Listen = s.Listener.Addr().String()
			err := Probe(t.Context(), cfg)
			if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrNotReady) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// A probe over TLS accepts the listener's certificate whatever its name is.
func TestProbeOverTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"status":"ok"}`))
	}))
	defer s.Close()
	cfg := config.Default()
	cfg.HTTP.Listen = s.Listener.Addr().String()
	cfg.HTTP.TLS = config.TLS{CertFile: "cert.pem", KeyFile: "key.pem"} // of the server; a probe does not read them
	if err := Probe(t.Context(), cfg); err != nil {
		t.Error(err)
	}
	cfg.HTTP.TLS = config.TLS{}
	if err := Probe(t.Context(), cfg); err == nil {
		t.Error("a probe without TLS takes an answer of a TLS server for ready")
	}
}

func TestProbeWithoutServer(t *testing.T) {
	free := port.Free(t)
	cfg := config.Default()
	cfg.HTTP.Listen, cfg.MQTT.EmbeddedListen = free, free
	cfg.MQTT.Username, cfg.MQTT.Password = "@cloud", secret.New("p")
	for name, probe := range map[string]func(context.Context, config.Config) error{"api": Probe, "broker": ProbeBroker} {
		if err := probe(t.Context(), cfg); err == nil {
			t.Errorf("%s: a closed port is ready", name)
		}
	}
	cfg.HTTP.Listen, cfg.MQTT.EmbeddedListen = "127.0.0.1:0", "127.0.0.1:0"
	for name, probe := range map[string]func(context.Context, config.Config) error{"api": Probe, "broker": ProbeBroker} {
		if err := probe(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "free port") {
			t.Errorf("%s with port 0: error %v", name, err)
		}
	}
}

func TestLoopback(t *testing.T) {
	for listen, want := range map[string]string{
		"0.0.0.0:8080": "127.0.0.1:8080", ":8080": "127.0.0.1:8080", "[::]:8080": "[::1]:8080",
		"10.0.0.1:80": "10.0.0.1:80", "localhost:80": "localhost:80", "[::1]:80": "[::1]:80",
	} {
		if got, err := loopback(listen); err != nil || got != want {
			t.Errorf("loopback(%q) = %q, %v; want %q", listen, got, err, want)
		}
	}
}

// No answer with another status than 200 is ready.
func FuzzReadiness(f *testing.F) {
	f.Add(200, []byte(`{"status":"ok"}`))
	f.Add(503, []byte(`{"status":"failing","checks":{"a":{"detail":"x"}}}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if err := readiness(status, body); err == nil && status != http.StatusOK {
			t.Errorf("status %d is ready", status)
		}
	})
}
