package uplink

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// recorder records the dates of answers.
type recorder struct {
	dates []string
	took  []time.Duration
	blame bool
}

func (l *recorder) AddDate(date string, took time.Duration) {
	l.dates, l.took = append(l.dates, date), append(l.took, took)
}

func (l *recorder) Certificate(*x509.Certificate) (string, bool) { return "by GNSS", l.blame }

// The Date counts of every answer to a request without a body, and of no other answer.
func TestDatesOfAnswers(t *testing.T) {
	aged := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", "Tue, 24 Nov 2026 12:00:00 GMT")
		if aged != "" {
			w.Header().Set("Age", aged)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPatch {
			w.Header().Set("Upload-Offset", "4")
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	defer srv.Close()
	var l recorder
	c, err := NewCloud(CloudOptions{URL: srv.URL, Clock: &l})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	if err := c.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(l.dates) != 1 || l.dates[0] != "Tue, 24 Nov 2026 12:00:00 GMT" || l.took[0] <= 0 ||
		l.took[0] > time.Since(began) {
		t.Errorf("got link %+v", l)
	}
	if _, err := c.Patch(t.Context(), srv.URL+"/files/x", 0, 4, strings.NewReader("cows")); err != nil {
		t.Fatal(err)
	}
	aged = "7"
	if err := c.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(l.dates) != 1 {
		t.Errorf("got link %+v", l)
	}
}

// A certificate that is not valid by its dates is a clock problem, unless other sources
// confirm the clock.
func TestCertificateOutOfDate(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	srv.StartTLS()
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}),
		0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		clock timeHints
		want  string
	}{
		{nil, "it is a clock problem, set the clock: the certificate is valid from 1970-01-01 to "},
		{&recorder{blame: true}, "it is a clock problem, set the clock: by GNSS"},
		{&recorder{}, "renew it on the server: by GNSS"},
	} {
		cfg, err := TLSConfig(ca)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Time = func() time.Time { return time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC) }
		tr := &http.Transport{TLSClientConfig: cfg}
		c, err := NewCloud(CloudOptions{URL: srv.URL, Transport: tr, Clock: x.clock})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Probe(t.Context()); !errors.Is(err, ErrLink) || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%v, want %q", err, x.want)
		}
		c.Close()
	}
}
