package doctor

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/edge/clock"
	"cattlecounter/edge/config"
	"cattlecounter/edge/status"
	"cattlecounter/edge/uplink"
	"cattlecounter/edge/watch"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		goleak.IgnoreAnyFunction("github.com/eclipse/paho%2emqtt%2egolang.(*client).Disconnect.func1"))
}

const goodToken = "cc_good"

// cloud answers as the API does.
func cloud(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == wire.HealthPath:
		_, _ = w.Write([]byte(`{"status":"ok"}`))
	case r.Header.Get("Authorization") == "Bearer cc_reader":
		w.WriteHeader(http.StatusForbidden)
	case r.Header.Get("Authorization") != "Bearer "+goodToken:
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"detail":"the token of dock-1 was revoked on 2026-03-01"}`))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func running() status.Status {
	return status.Status{Agent: status.Agent{Version: "1.2", Uptime: 90, PID: 7},
		Link:   uplink.Link{State: uplink.LinkUp},
		Broker: status.Broker{Enabled: true, Up: true}, Totals: map[status.Phase]int{}}
}

// healthyStation is a station without faults that uses the cloud at url.
func healthyStation(url string) *Options {
	c := config.Defaults()
	c.Site, c.Device, c.Token, c.Cloud.URL, c.MQTT.URL = "north", "dock-1", secret.New(goodToken), url,
		"ssl://broker.example"
	c.Watch.Folders, c.OrderKey = []string{"/card"}, orderkey.New().Public()
	o := &Options{Config: c, Version: "1.2", NTP: []string{"time.example"}, Probes: Probes{
		Now: time.Now, Clock: func() topic.Clock { return topic.ClockSynced },
		GPSD: func(_ context.Context, s string) (clock.Hint, error) {
			return hint(clock.GNSS, "GNSS", time.Now()), nil
		},
		Broker: func(context.Context, mqttlink.Options, string) error { return nil },
		Agent:  func(context.Context, string) (status.Status, error) { return running(), nil },
		FileSystem: func(path string) (FileSystem, error) {
			if path == "/card" {
				return FileSystem{Kind: "exfat", ReadOnly: true, Mount: true}, nil
			}
			return FileSystem{Total: 64 << 30, Free: 40 << 30, Kind: "ext4", Mount: true, UID: 990, GID: 990}, nil
		},
		Entries:   func(string) (int, error) { return 2, nil },
		Survey:    func(context.Context, string) (int, []watch.Skipped, error) { return 1, nil, nil },
		Rate:      func(context.Context, string) (float64, error) { return 80 << 20, nil },
		Memory:    func() (int64, int64, error) { return 1 << 30, 700 << 20, nil },
		OpenFiles: func(int) (int, error) { return 65536, nil },
		MayRead:   func(string, uint32, uint32) error { return nil },
	}}
	o.Probes.NTP = func(_ context.Context, s string) (clock.Hint, error) {
		return hint(clock.NTP, s, o.Probes.Now().Add(3*time.Millisecond)), nil
	}
	return o
}

func hint(s clock.Source, from string, t time.Time) clock.Hint {
	return clock.Hint{Source: s, From: from, Time: t, Uncertainty: 10 * time.Millisecond, At: time.Now()}
}

// run returns the printed findings.
func run(t *testing.T, o *Options) (Report, string) {
	t.Helper()
	var out bytes.Buffer
	r := Run(t.Context(), *o, func(f Finding) {
		if err := WriteFinding(&out, f); err != nil {
			t.Error(err)
		}
		if (f.Level == OK) != (f.Do == "") {
			t.Errorf("%+v: only a fault has something to do", f)
		}
	})
	return r, out.String()
}

func TestHealthyStation(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(cloud))
	defer srv.Close()
	r, text := run(t, healthyStation(srv.URL))
	if r.Level != OK || r.Count(OK) != len(r.Findings) || r.V != 1 || r.Device != "dock-1" {
		t.Errorf("%+v\n%s", r, text)
	}
	for _, want := range []string{"ok    config   north/dock-1, 1 folders, spool /var/lib/cattlecounter/spool\n",
		"ok    agent    version 1.2, running for 1m30s\n",
		"ok    folder   /card, 2 entries (exfat), read-only\n", "ok    disk     40.0 GiB free of 64.0 GiB (ext4)\n",
		"ok    disk     writes 80.0 MiB/s with a sync every 4 MiB\n",
		"ok    link     " + srv.URL + " answers in ",
		"ok    clock    kept by a time service, right within 1s by time.example\n",
		"ok    token    the cloud accepts the token\n",
		"ok    broker   ssl://broker.example accepts name and token\n",
		"ok    board    1.0 GiB of memory, 700 MiB available\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, goodToken) {
		t.Error("the token is printed")
	}
}

func both(a, b func(*Options)) func(*Options) { return func(o *Options) { a(o); b(o) } }

func at(url string) func(*Options) { return func(o *Options) { o.Config.Cloud.URL = url } }

func portOf(url string) string { return url[strings.LastIndex(url, ":")+1:] }

func TestHungCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late lateCalls
		hang := make(chan struct{})
		card := func(context.Context) (int, error) { <-hang; return 0, nil }
		_, err := within(t.Context(), &late, time.Minute, card)
		if err == nil || !strings.Contains(err.Error(), "no answer within 1m0s") {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := within(ctx, &late, time.Hour, card); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		began := time.Now()
		if n := late.wait(time.Second); n != 2 || time.Since(began) != time.Second {
			t.Errorf("%d calls hang after %s", n, time.Since(began))
		}
		close(hang)
		if n := late.wait(time.Second); n != 0 || time.Since(began) != time.Second {
			t.Errorf("%d calls hang after the card answered", n)
		}
	})
}

// A call that heeds its context is over when Run returns.
func TestLateCallsEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late lateCalls
		ended := false
		_, err := within(t.Context(), &late, time.Minute, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			<-time.After(lateWait / 2)
			ended = true
			return 0, nil
		})
		if err == nil || late.wait(lateWait) != 0 || !ended {
			t.Errorf("%v, ended %v", err, ended)
		}
	})
}

func TestInvalid(t *testing.T) {
	r := Invalid("1.2", healthyStation("").Probes, errors.New("x.yaml: sight:\nunknown key"))
	if r.Level != Fail || len(r.Findings) != 1 || r.Findings[0].Found != "x.yaml: sight: unknown key" {
		t.Errorf("%+v", r)
	}
}
