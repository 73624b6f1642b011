package doctor

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cattlecounter/edge/clock"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
)

// withClock is a station whose clock shows now; the zero time stands for the time at which its test begins.
func withClock(now time.Time, state topic.Clock, ntp time.Duration, err error) func(*Options) {
	return func(o *Options) {
		now := now
		if now.IsZero() {
			now = time.Now()
		}
		o.Probes.Now = func() time.Time { return now }
		o.Probes.Clock = func() topic.Clock { return state }
		o.Probes.NTP = func(_ context.Context, s string) (clock.Hint, error) { return hint(clock.NTP, s, now.Add(ntp)), err }
	}
}

func withBroker(err error) func(*Options) {
	return func(o *Options) {
		o.Probes.Broker = func(context.Context, mqttlink.Options, string) error { return err }
	}
}

func TestLinkFindings(t *testing.T) {
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/moved/"):
			w.Header().Set("Location", "http://login.example/")
			w.WriteHeader(http.StatusFound)
		case strings.HasPrefix(r.URL.Path, "/faulty/"):
			w.WriteHeader(http.StatusBadGateway)
		default:
			_, _ = w.Write([]byte("<html>log in"))
		}
	}))
	defer portal.Close()
	checkFindings(t, []findingCase{
		{"guest network", at(portal.URL), Fail, "answers HTTP 200, but not as CattleCounter's API", "the modem's own page"},
		{"redirect", at(portal.URL + "/moved/"), Fail, `redirects to "http://login.example/`, "set cloud.url"},
		{"server error", at(portal.URL + "/faulty/"), Fail, "answers HTTP 502", "on the server"},
		{"nothing listens", at("http://127.0.0.1:1"), Fail,
			"fail  link     http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused",
			"nothing listens on that port: check cloud.url"},
		{"TLS to a plain port", at("https://127.0.0.1:" + portOf(portal.URL)), Fail, "fail  link",
			"the server does not use TLS on that port"},
		{"link down, token not checked", at("http://127.0.0.1:1"), Fail, "warn  token    not checked",
			"repair the link first"},
	})
}

func TestTokenFindings(t *testing.T) {
	checkFindings(t, []findingCase{
		{"revoked token", func(o *Options) { o.Config.Token = secret.New("cc_old") }, Fail,
			"fail  token    the cloud refuses the token (HTTP 401): the token of dock-1 was revoked on 2026-03-01", "cloud-api device add"},
		{"reader's token", func(o *Options) { o.Config.Token = secret.New("cc_reader") }, Fail,
			"fail  token    the token does not allow uploads (HTTP 403)", "a device's token"},
	})
}

func TestBrokerFindings(t *testing.T) {
	checkFindings(t, []findingCase{
		{"no broker configured", func(o *Options) { o.Config.MQTT.URL = ""; withBroker(errNoAnswer)(o) }, OK, "ok    broker   off", ""},
		{"orders without a key", func(o *Options) { o.Config.OrderKey = orderkey.Public{} }, Warn, "warn  orders   need no signature",
			"cloud-api device order-key"},
		{"broker refuses", withBroker(fmt.Errorf("%w: x", mqttlink.ErrCredentials)), Fail,
			"fail  broker   ssl://broker.example: the broker refuses user name and password", `device "dock-1" of site "north"`},
		{"broker without rights", withBroker(mqttlink.ErrRights), Fail, "refuses the subscription",
			"to read cattle/v1/north/dock-1/command and cattle/v1/north/dock-1/jobs/+"},
		{"dead broker", func(o *Options) { o.Config.MQTT.URL = "tcp://127.0.0.1:1"; o.Probes.Broker = mqttlink.Probe }, Fail,
			"fail  broker   tcp://127.0.0.1:1: connect: ", "nothing listens on that port: check mqtt.url"},
		{"silent broker", withBroker(context.DeadlineExceeded), Fail, "no answer", "data volume"},
		{"no authority for the broker", func(o *Options) { o.Config.MQTT.CAFile = "/does/not/exist" }, Fail, "fail  broker",
			"correct mqtt.ca_file"},
	})
}

func TestClockFindings(t *testing.T) {
	checkFindings(t, []findingCase{
		{"clock of 1970", withClock(time.Unix(60, 0), topic.ClockUnsynced, 0, errNoAnswer), Fail,
			"fail  clock    the clock shows 1970-01-01T00:01:00Z, which is ", "timedatectl set-ntp true"},
		{"clock slightly off", withClock(time.Time{}, topic.ClockSynced, -30*time.Second, nil), Warn,
			"which is 30s off by time.example", "real-time clock"},
		{"unsynced clock", withClock(time.Time{}, topic.ClockUnsynced, 0, nil), Warn,
			"warn  clock    the clock is right within 1s by time.example, but no time service keeps it", "chrony"},
		{"clock by the server alone", withClock(time.Time{}, topic.ClockSynced, 0, errNoAnswer), OK,
			"ok    clock    kept by a time service, right within ", " by the server"},
		{"unsynced clock without any source", both(at("http://127.0.0.1:1"),
			withClock(time.Time{}, topic.ClockUnsynced, 0, errNoAnswer)), Fail, "warn  clock    the clock shows",
			"firmware-notes/time.md"},
		{"1970 without a link", both(at("http://127.0.0.1:1"), withClock(time.Unix(60, 0), topic.ClockUnsynced, 0, errNoAnswer)), Fail,
			"fail  clock    the clock shows 1970-01-01T00:01:00Z\n", "set the clock"},
		{"synced without a link", both(at("http://127.0.0.1:1"), withClock(time.Time{}, topic.ClockSynced, 0, errNoAnswer)), Fail,
			"ok    clock    kept by a time service\n", ""},
	})
}

// secure is a cloud with TLS and the file of its authority.
func secure(t *testing.T) (*httptest.Server, string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(cloud))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0) // of the handshakes that are to fail
	srv.StartTLS()
	t.Cleanup(srv.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}),
		0o600); err != nil {
		t.Fatal(err)
	}
	return srv, file
}

func TestTLS(t *testing.T) {
	srv, ca := secure(t)
	until := srv.Certificate().NotAfter
	for _, c := range []struct {
		name   string
		change func(*Options)
		level  Level
		want   string
		do     string
	}{
		{"private authority", func(o *Options) { o.Config.Cloud.CAFile = ca }, OK,
			"TLS 1.3, certificate until " + until.UTC().Format(time.DateOnly), ""},
		{"unknown authority", func(*Options) {}, Fail, "fail  link     " + srv.URL + ": tls: failed to verify certificate",
			"cloud.ca_file"},
		{"another name", func(o *Options) {
			o.Config.Cloud.CAFile, o.Config.Cloud.URL = ca, "https://localhost:"+portOf(srv.URL)
		}, Fail, "fail  link", "a name that the certificate covers in cloud.url"},
		{"clock before the certificate", func(o *Options) {
			o.Config.Cloud.CAFile = ca
			o.Probes.Now = func() time.Time { return time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC) }
			o.Probes.NTP = func(context.Context, string) (clock.Hint, error) { return clock.Hint{}, errors.New("no way") }
		}, Fail, "and this device's clock shows 1969-01-01T00:00:00Z; the server gives 20",
			"it is a clock problem"},
		{"certificate that expires soon", func(o *Options) {
			o.Config.Cloud.CAFile = ca
			o.Probes.Now = func() time.Time { return until.Add(-3 * 24 * time.Hour) }
		}, Warn, "warn  link     the server's certificate expires in 3 days", "renew the certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := healthyStation(srv.URL)
			c.change(o)
			r, text := run(t, o)
			if r.Level != c.level || !strings.Contains(text, c.want) || !strings.Contains(text, c.do) {
				t.Errorf("level %s, want %s, %q and %q in\n%s", r.Level, c.level, c.want, c.do, text)
			}
		})
	}
}

// A certificate that has expired by every clock is the server's fault.
func TestExpiredCertificate(t *testing.T) {
	srv, ca := secure(t)
	o := healthyStation(srv.URL)
	o.Config.Cloud.CAFile = ca
	now := srv.Certificate().NotAfter.Add(time.Hour)
	o.Probes.Now = func() time.Time { return now }
	srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token went to a server whose certificate was not checked")
		}
		w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		cloud(w, r)
	})
	if _, text := run(t, o); !strings.Contains(text, "renew the certificate on the server") {
		t.Error(text)
	}
}

func TestLoopback(t *testing.T) {
	for url, want := range map[string]bool{"http://127.0.0.1:8080": true, "http://[::1]/": true, "http://localhost": true,
		"http://cattle.example": false, "http://192.168.1.2:80": false, ":": false} {
		if loopback(url) != want {
			t.Error(url)
		}
	}
}

func TestExplain(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, c := range []struct {
		err      error
		what, do string
	}{
		{dial(&net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}), "no such host",
			"check the name in cloud.url"},
		{dial(os.NewSyscallError("connect", syscall.ENETUNREACH)), "network is unreachable", "ip route"},
		{dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), "refused", "nothing listens"},
		{dial(os.ErrDeadlineExceeded), "no answer: ", "data volume"},
		{&net.OpError{Op: "proxyconnect", Net: "tcp", Err: errors.New("proxyconnect: refused")}, "proxyconnect",
			"HTTPS_PROXY"},
		{errors.New("odd"), "odd", "check the modem and cloud.url"},
	} {
		if w := explain(c.err, "cloud", clock.NewHints(nil, nil)); !strings.Contains(w.what, c.what) ||
			!strings.Contains(w.do, c.do) || w.date {
			t.Errorf("%v: %+v", c.err, w)
		}
	}
}

// The doctor connects with the device's account and a client id of its own.
func TestBrokerIdentity(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(cloud))
	defer srv.Close()
	o := healthyStation(srv.URL)
	o.Probes.Broker = func(_ context.Context, b mqttlink.Options, filter string) error {
		if b.Username != "dock-1" || b.Password.Reveal() != goodToken ||
			!strings.HasPrefix(b.ClientID, "doctor-north-dock-1-") || filter != "cattle/v1/north/dock-1/command" {
			t.Errorf("%+v %s", b, filter)
		}
		return nil
	}
	run(t, o)
}
