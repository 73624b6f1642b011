package doctor

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/edge/clock"
	"cattlecounter/edge/config"
	"cattlecounter/edge/local"
	"cattlecounter/edge/status"
	"cattlecounter/edge/uplink"
	"cattlecounter/shared/mqttlink"
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
	c.Watch.Folders = []string{"/card"}
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

func TestFindings(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(cloud))
	defer srv.Close()
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
	disk := func(f FileSystem) func(*Options) {
		return func(o *Options) {
			o.Probes.FileSystem = func(string) (FileSystem, error) { return f, nil }
		}
	}
	rate := func(x float64, err error) func(*Options) {
		return func(o *Options) {
			o.Probes.Rate = func(context.Context, string) (float64, error) { return x, err }
		}
	}
	card := func(n int, f FileSystem, err error) func(*Options) {
		return func(o *Options) {
			spool := o.Probes.FileSystem
			o.Probes.Entries = func(string) (int, error) { return n, err }
			o.Probes.FileSystem = func(path string) (FileSystem, error) {
				if path == "/card" {
					return f, nil
				}
				return spool(path)
			}
		}
	}
	clocked := func(now time.Time, state topic.Clock, ntp time.Duration, err error) func(*Options) {
		return func(o *Options) {
			o.Probes.Now = func() time.Time { return now }
			o.Probes.Clock = func() topic.Clock { return state }
			o.Probes.NTP = func(_ context.Context, s string) (clock.Hint, error) { return hint(clock.NTP, s, now.Add(ntp)), err }
		}
	}
	broker := func(err error) func(*Options) {
		return func(o *Options) {
			o.Probes.Broker = func(context.Context, mqttlink.Options, string) error { return err }
		}
	}
	withStatus := func(change func(*status.Status)) func(*Options) {
		return func(o *Options) {
			s := running()
			change(&s)
			o.Probes.Agent = func(context.Context, string) (status.Status, error) { return s, nil }
		}
	}
	noAgent := func(o *Options) {
		o.Probes.Agent = func(context.Context, string) (status.Status, error) {
			return status.Status{}, fmt.Errorf("%w: x", local.ErrNotRunning)
		}
	}
	refused := &fs.PathError{Op: "open", Path: "/x", Err: syscall.EACCES}
	none := errors.New("no way")
	for _, c := range []struct {
		name   string
		change func(*Options)
		level  Level
		want   string // a line
		do     string
	}{
		{"token readable by root alone", func(o *Options) {
			o.Config.TokenFile = "/etc/token"
			o.Probes.MayRead = func(path string, uid, gid uint32) error {
				if path == "/etc/token" && uid == 990 && gid == 990 {
					return errors.New("mode 0600")
				}
				return nil
			}
		}, Fail, "fail  config   the agent's user cannot read the token: mode 0600", "chgrp cattlecounter /etc/token"},

		{"full disk", disk(FileSystem{Free: 10 << 20, Total: 1 << 30, Kind: "ext4"}), Fail,
			"fail  disk     full: 10.0 MiB free of 1.0 GiB (ext4), 256 MiB must", "wait for uploads"},
		{"nearly full disk", disk(FileSystem{Free: 500 << 20, Total: 1 << 30, Kind: "ext4"}), Warn,
			"warn  disk     nearly full", "larger disk"},
		{"disk in memory", disk(FileSystem{Free: 5 << 30, Total: 6 << 30, Kind: "tmpfs"}), Warn,
			"warn  disk     the spool is on tmpfs: it is in memory", "ext4"},
		{"read-only disk", disk(FileSystem{Free: 5 << 30, Total: 6 << 30, Kind: "ext4", ReadOnly: true}), Fail,
			"is mounted read-only", "dmesg"},
		{"no disk", func(o *Options) {
			o.Probes.FileSystem = func(string) (FileSystem, error) { return FileSystem{}, syscall.EIO }
		}, Fail, "fail  disk     /var/lib/cattlecounter/spool: input/output error", "mounted"},
		{"another user's disk", func(o *Options) {
			o.Probes.FileSystem = func(string) (FileSystem, error) { return FileSystem{}, refused }
		}, Fail, "cannot examine /var/lib/cattlecounter/spool", "runuser -u cattlecounter"},
		{"slow disk", rate(4<<20, nil), Warn,
			"warn  disk     slow: writes 4.0 MiB/s with a sync every 4 MiB; a card of 64 GB takes 4 hours", "endurance"},
		{"unwritable disk", rate(0, refused), Fail,
			"cannot write to /var/lib/cattlecounter/spool: open /x: permission denied", "chown -R cattlecounter:"},
		{"disk without inodes", rate(0, syscall.ENOSPC), Fail, "is full: no space left", "df -i"},
		{"dying disk", rate(0, syscall.EIO), Fail, "cannot write to /var/lib/cattlecounter/spool: input/output error",
			"replace the disk"},
		{"spool not created yet", func(o *Options) {
			o.Probes.FileSystem = func(path string) (FileSystem, error) {
				if path != "/var/lib" {
					return FileSystem{}, fs.ErrNotExist
				}
				return FileSystem{Free: 5 << 30, Total: 6 << 30, Kind: "ext4"}, nil
			}
			rate(0, refused)(o)
		}, Warn, "warn  disk     /var/lib/cattlecounter/spool does not exist yet", "start the agent once"},

		{"no card", card(0, FileSystem{Kind: "ext4"}, nil), Warn,
			"warn  folder   /card is empty and nothing is mounted on it", "lsblk"},
		{"empty card", card(0, FileSystem{Kind: "exfat", Mount: true, ReadOnly: true}, nil), OK,
			"ok    folder   /card, 0 entries (exfat), read-only", ""},
		{"writable card", card(2, FileSystem{Kind: "vfat", Mount: true}, nil), Warn,
			"warn  folder   /card, 2 entries (vfat), mounted writable", "option ro"},
		{"writable card with delete_confirmed", func(o *Options) {
			o.Config.Watch.DeleteConfirmed = true
			card(2, FileSystem{Kind: "vfat", Mount: true}, nil)(o)
		}, OK, "ok    folder   /card, 2 entries (vfat)\n", ""},
		{"read-only card with delete_confirmed", func(o *Options) { o.Config.Watch.DeleteConfirmed = true }, Warn,
			"is mounted read-only, but watch.delete_confirmed is on", "watch.delete_confirmed"},
		{"folder of a dock", card(9, FileSystem{Kind: "ext4"}, nil), OK, "ok    folder   /card, 9 entries (ext4)\n", ""},
		{"no such folder", card(0, FileSystem{}, fs.ErrNotExist), Warn, "warn  folder   /card does not exist",
			"watch.folders"},
		{"closed folder", card(0, FileSystem{}, refused), Fail, "fail  folder   cannot read /card", "umask"},
		{"folder closed to the agent", func(o *Options) {
			o.Probes.MayRead = func(string, uint32, uint32) error { return errors.New("mode 0700 of /card") }
		}, Warn, "the agent's user cannot read it: mode 0700 of /card", "uid=cattlecounter"},
		{"dead card", card(0, FileSystem{}, syscall.EIO), Fail, "fail  folder   cannot read /card: input/output error",
			"faulty"},

		{"guest network", at(portal.URL), Fail, "answers HTTP 200, but not as CattleCounter's API", "the modem's own page"},
		{"redirect", at(portal.URL + "/moved/"), Fail, `redirects to "http://login.example/`, "set cloud.url"},
		{"server error", at(portal.URL + "/faulty/"), Fail, "answers HTTP 502", "on the server"},
		{"nothing listens", at("http://127.0.0.1:1"), Fail,
			"fail  link     http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused",
			"nothing listens on that port: check cloud.url"},
		{"TLS to a plain port", at("https://127.0.0.1:" + portOf(srv.URL)), Fail, "fail  link",
			"the server does not use TLS on that port"},
		{"link down, token not checked", at("http://127.0.0.1:1"), Fail, "warn  token    not checked",
			"repair the link first"},

		{"revoked token", func(o *Options) { o.Config.Token = secret.New("cc_old") }, Fail,
			"fail  token    the cloud does not know the token (HTTP 401)", "cloud-api device add"},
		{"reader's token", func(o *Options) { o.Config.Token = secret.New("cc_reader") }, Fail,
			"fail  token    the token does not allow uploads (HTTP 403)", "a device's token"},

		{"no broker configured", func(o *Options) { o.Config.MQTT.URL = ""; broker(none)(o) }, OK, "ok    broker   off", ""},
		{"broker refuses", broker(fmt.Errorf("%w: x", mqttlink.ErrCredentials)), Fail,
			"fail  broker   ssl://broker.example: the broker refuses user name and password", `device "dock-1" of site "north"`},
		{"broker without rights", broker(mqttlink.ErrRights), Fail, "refuses the subscription",
			"to read cattle/v1/north/dock-1/command and cattle/v1/north/dock-1/jobs/+"},
		{"dead broker", func(o *Options) { o.Config.MQTT.URL = "tcp://127.0.0.1:1"; o.Probes.Broker = mqttlink.Probe }, Fail,
			"fail  broker   tcp://127.0.0.1:1: connect: ", "nothing listens on that port: check mqtt.url"},
		{"silent broker", broker(context.DeadlineExceeded), Fail, "no answer", "data volume"},
		{"no authority for the broker", func(o *Options) { o.Config.MQTT.CAFile = "/does/not/exist" }, Fail, "fail  broker",
			"correct mqtt.ca_file"},

		{"clock of 1970", clocked(time.Unix(60, 0), topic.ClockUnsynced, 0, none), Fail,
			"fail  clock    the clock shows 1970-01-01T00:01:00Z, which is ", "timedatectl set-ntp true"},
		{"clock slightly off", clocked(time.Now(), topic.ClockSynced, -30*time.Second, nil), Warn,
			"which is 30s off by time.example", "real-time clock"},
		{"unsynced clock", clocked(time.Now(), topic.ClockUnsynced, 0, nil), Warn,
			"warn  clock    the clock is right within 1s by time.example, but no time service keeps it", "chrony"},
		{"clock by the server alone", clocked(time.Now(), topic.ClockSynced, 0, none), OK,
			"ok    clock    kept by a time service, right within 1s by the server", ""},
		{"unsynced clock without any source", both(at("http://127.0.0.1:1"),
			clocked(time.Now(), topic.ClockUnsynced, 0, none)), Fail, "warn  clock    the clock shows",
			"firmware-notes/time.md"},
		{"1970 without a link", both(at("http://127.0.0.1:1"), clocked(time.Unix(60, 0), topic.ClockUnsynced, 0, none)), Fail,
			"fail  clock    the clock shows 1970-01-01T00:01:00Z\n", "set the clock"},
		{"synced without a link", both(at("http://127.0.0.1:1"), clocked(time.Now(), topic.ClockSynced, 0, none)), Fail,
			"ok    clock    kept by a time service\n", ""},

		{"no agent", noAgent, Warn, "warn  agent    the agent is not running", "journalctl -u edge-agent"},
		{"agent of another user", func(o *Options) {
			o.Probes.Agent = func(context.Context, string) (status.Status, error) { return status.Status{}, refused }
		}, Warn, "warn  agent    the agent does not answer", "as root"},
		{"old agent", withStatus(func(s *status.Status) { s.Agent.Version = "1.1" }), Warn,
			"the running agent has version 1.1, this program has version 1.2", "restart it"},
		{"paused", withStatus(func(s *status.Status) { s.Agent.Paused = true }), Warn, "an operator paused the upload",
			"resume"},
		{"quarantine", withStatus(func(s *status.Status) { s.Alarms = map[string]string{"quarantine": "3 pieces"} }), Warn,
			"alarm quarantine: 3 pieces", "ctl retry footage=all"},
		{"budget", withStatus(func(s *status.Status) {
			s.Uplink.Hold = &uplink.Hold{Reason: "budget",
				Detail: "10 MiB of 10 MiB"}
		}), Warn, "the data budget is used up: 10 MiB of 10 MiB", "raise uplink.budget.day"},
		{"window", withStatus(func(s *status.Status) {
			s.Uplink.Hold = &uplink.Hold{Reason: "window",
				Detail: "opens at 22:00"}
		}),
			OK, "ok    agent    version 1.2", ""},
		{"alarm", withStatus(func(s *status.Status) { s.Alarms = map[string]string{"space": "full\x1b[2J"} }), Warn,
			"alarm space: full [2J", "disk"},
		{"agent without link", withStatus(func(s *status.Status) {
			s.Link = uplink.Link{State: uplink.LinkRefused,
				Detail: "401"}
		}), Warn, "the agent's link is refused: 401", "token"},
		{"agent without broker", withStatus(func(s *status.Status) { s.Broker.Up = false; s.Broker.Waiting = 4 }), Warn,
			"the agent's broker is down, 4 messages are queued", "broker"},

		{"little memory", both(noAgent, func(o *Options) {
			o.Probes.Memory = func() (int64, int64, error) {
				return 256 << 20,
					60 << 20, nil
			}
		}), Warn, "warn  board    256 MiB of memory, only 60.0 MiB available", "512 MiB"},
		{"memory unknown", func(o *Options) { o.Probes.Memory = func() (int64, int64, error) { return 0, 0, none } }, Warn,
			"warn  board    cannot read the memory's size", "/proc"},
		{"few files", func(o *Options) { o.Probes.OpenFiles = func(int) (int, error) { return 256, nil } }, Warn,
			"the agent may open 256 files", "by its systemd unit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := healthyStation(srv.URL)
			c.change(o)
			r, text := run(t, o)
			if r.Level != c.level || !strings.Contains(text, c.want) || !strings.Contains(text, c.do) {
				t.Errorf("level %s, want %s, %q and %q in\n%s", r.Level, c.level, c.want, c.do, text)
			}
			if strings.Contains(text, "\x1b") {
				t.Error("foreign text reaches the terminal")
			}
		})
	}
}

func both(a, b func(*Options)) func(*Options) { return func(o *Options) { a(o); b(o) } }

func at(url string) func(*Options) { return func(o *Options) { o.Config.Cloud.URL = url } }

func portOf(url string) string { return url[strings.LastIndex(url, ":")+1:] }

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
		}, Fail, "and this device's clock shows 1969-01-01T00:00:00Z; the server gives " + time.Now().UTC().Format("2006-01-02"),
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
