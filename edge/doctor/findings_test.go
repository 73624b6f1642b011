package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"cattlecounter/edge/local"
	"cattlecounter/edge/status"
	"cattlecounter/edge/uplink"
	"cattlecounter/edge/watch"
)

// findingCase is a change of a healthy station, and the finding that it causes.
type findingCase struct {
	name   string
	change func(*Options)
	level  Level  // of the report
	want   string // part of the printed findings
	do     string // part of them too
}

// checkFindings runs the doctor for each case at a good cloud.
func checkFindings(t *testing.T, cases []findingCase) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(cloud))
	defer srv.Close()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := healthyStation(srv.URL)
			c.change(o)
			r, text := run(t, o)
			if r.Level != c.level || !strings.Contains(text, c.want) || !strings.Contains(text, c.do) {
				t.Errorf("level %s, want %s, %q and %q in\n%s", r.Level, c.level, c.want, c.do, text)
			}
			if strings.Contains(text, "\x1b") {
				t.Error("control characters reach the terminal")
			}
		})
	}
}

var (
	errNoRight  = &fs.PathError{Op: "open", Path: "/x", Err: syscall.EACCES}
	errNoAnswer = errors.New("no answer")
)

func withDisk(f FileSystem) func(*Options) {
	return func(o *Options) {
		o.Probes.FileSystem = func(string) (FileSystem, error) { return f, nil }
	}
}

func withRate(x float64, err error) func(*Options) {
	return func(o *Options) {
		o.Probes.Rate = func(context.Context, string) (float64, error) { return x, err }
	}
}

func withCard(n int, f FileSystem, err error) func(*Options) {
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

func withSkipped(list ...watch.Skipped) func(*Options) {
	return func(o *Options) {
		o.Probes.Survey = func(context.Context, string) (int, []watch.Skipped, error) { return 1, list, nil }
	}
}

func withStatus(change func(*status.Status)) func(*Options) {
	return func(o *Options) {
		s := running()
		change(&s)
		o.Probes.Agent = func(context.Context, string) (status.Status, error) { return s, nil }
	}
}

func noAgent(o *Options) {
	o.Probes.Agent = func(context.Context, string) (status.Status, error) {
		return status.Status{}, fmt.Errorf("%w: x", local.ErrNotRunning)
	}
}

func TestConfigFindings(t *testing.T) {
	checkFindings(t, []findingCase{
		{"token readable by root alone", func(o *Options) {
			o.Config.TokenFile = "/etc/token"
			o.Probes.MayRead = func(path string, uid, gid uint32) error {
				if path == "/etc/token" && uid == 990 && gid == 990 {
					return errors.New("mode 0600")
				}
				return nil
			}
		}, Fail, "fail  config   the agent's user cannot read the token: mode 0600", "chgrp cattlecounter /etc/token"},
	})
}

func TestDiskFindings(t *testing.T) {
	checkFindings(t, []findingCase{
		{"full disk", withDisk(FileSystem{Free: 10 << 20, Total: 1 << 30, Kind: "ext4"}), Fail,
			"fail  disk     full: 10.0 MiB free of 1.0 GiB (ext4), 256 MiB must", "wait for uploads"},
		{"nearly full disk", withDisk(FileSystem{Free: 500 << 20, Total: 1 << 30, Kind: "ext4"}), Warn,
			"warn  disk     nearly full", "larger disk"},
		{"disk in memory", withDisk(FileSystem{Free: 5 << 30, Total: 6 << 30, Kind: "tmpfs"}), Warn,
			"warn  disk     the spool is on tmpfs: it is in memory", "ext4"},
		{"read-only disk", withDisk(FileSystem{Free: 5 << 30, Total: 6 << 30, Kind: "ext4", ReadOnly: true}), Fail,
			"is mounted read-only", "dmesg"},
		{"no disk", func(o *Options) {
			o.Probes.FileSystem = func(string) (FileSystem, error) { return FileSystem{}, syscall.EIO }
		}, Fail, "fail  disk     /var/lib/cattlecounter/spool: input/output error", "mounted"},
		{"another user's disk", func(o *Options) {
			o.Probes.FileSystem = func(string) (FileSystem, error) { return FileSystem{}, errNoRight }
		}, Fail, "cannot examine /var/lib/cattlecounter/spool", "runuser -u cattlecounter"},
		{"slow disk", withRate(4<<20, nil), Warn,
			"warn  disk     slow: writes 4.0 MiB/s with a sync every 4 MiB; a card of 64 GB takes 4 hours", "endurance"},
		{"unwritable disk", withRate(0, errNoRight), Fail,
			"cannot write to /var/lib/cattlecounter/spool: open /x: permission denied", "chown -R cattlecounter:"},
		{"disk without inodes", withRate(0, syscall.ENOSPC), Fail, "is full: no space left", "df -i"},
		{"dying disk", withRate(0, syscall.EIO), Fail, "cannot write to /var/lib/cattlecounter/spool: input/output error",
			"replace the disk"},
		{"spool not created yet", func(o *Options) {
			o.Probes.FileSystem = func(path string) (FileSystem, error) {
				if path != "/var/lib" {
					return FileSystem{}, fs.ErrNotExist
				}
				return FileSystem{Free: 5 << 30, Total: 6 << 30, Kind: "ext4"}, nil
			}
			withRate(0, errNoRight)(o)
		}, Warn, "warn  disk     /var/lib/cattlecounter/spool does not exist yet", "start the agent once"},
	})
}

func TestFolderFindings(t *testing.T) {
	checkFindings(t, []findingCase{
		{"no card", withCard(0, FileSystem{Kind: "ext4"}, nil), Warn,
			"warn  folder   /card is empty and nothing is mounted on it", "lsblk"},
		{"empty card", withCard(0, FileSystem{Kind: "exfat", Mount: true, ReadOnly: true}, nil), OK,
			"ok    folder   /card, 0 entries (exfat), read-only", ""},
		{"writable card", withCard(2, FileSystem{Kind: "vfat", Mount: true}, nil), Warn,
			"warn  folder   /card, 2 entries (vfat), mounted writable", "option ro"},
		{"writable card with delete_confirmed", func(o *Options) {
			o.Config.Watch.DeleteConfirmed = true
			withCard(2, FileSystem{Kind: "vfat", Mount: true}, nil)(o)
		}, OK, "ok    folder   /card, 2 entries (vfat)\n", ""},
		{"read-only card with delete_confirmed", func(o *Options) { o.Config.Watch.DeleteConfirmed = true }, Warn,
			"is mounted read-only, but watch.delete_confirmed is on", "watch.delete_confirmed"},
		{"folder of a dock", withCard(9, FileSystem{Kind: "ext4"}, nil), OK, "ok    folder   /card, 9 entries (ext4)\n", ""},
		{"files that are not taken", withSkipped(
			watch.Skipped{Reason: watch.OtherVideo, Files: 2, Examples: []string{"a.MXF", "b.MXF"}},
			watch.Skipped{Reason: watch.Proxy, Files: 9, Examples: []string{"a.LRF", "b.LRF", "c.LRF"}}), Warn,
			"warn  folder   /card: not taken: 2 videos of a kind that cannot be read; convert them to MP4 (a.MXF, b.MXF)\n",
			"set the camera to MP4"},
		{"proxies", withSkipped(watch.Skipped{Reason: watch.Proxy, Files: 9, Examples: []string{"a.LRF", "b.LRF", "c.LRF"}}), OK,
			"ok    folder   /card: not taken: 9 proxies of low resolution (a.LRF, b.LRF, c.LRF, …)\n", ""},
		{"no such folder", withCard(0, FileSystem{}, fs.ErrNotExist), Warn, "warn  folder   /card does not exist",
			"watch.folders"},
		{"closed folder", withCard(0, FileSystem{}, errNoRight), Fail, "fail  folder   cannot read /card", "umask"},
		{"folder closed to the agent", func(o *Options) {
			o.Probes.MayRead = func(string, uint32, uint32) error { return errors.New("mode 0700 of /card") }
		}, Warn, "the agent's user cannot read it: mode 0700 of /card", "uid=cattlecounter"},
		{"dead card", withCard(0, FileSystem{}, syscall.EIO), Fail, "fail  folder   cannot read /card: input/output error",
			"faulty"},
	})
}

func TestAgentFindings(t *testing.T) {
	checkFindings(t, []findingCase{
		{"no agent", noAgent, Warn, "warn  agent    the agent is not running", "journalctl -u edge-agent"},
		{"agent of another user", func(o *Options) {
			o.Probes.Agent = func(context.Context, string) (status.Status, error) { return status.Status{}, errNoRight }
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
	})
}

func TestBoardFindings(t *testing.T) {
	checkFindings(t, []findingCase{
		{"little memory", both(noAgent, func(o *Options) {
			o.Probes.Memory = func() (int64, int64, error) {
				return 256 << 20,
					60 << 20, nil
			}
		}), Warn, "warn  board    256 MiB of memory, only 60.0 MiB available", "512 MiB"},
		{"memory unknown", func(o *Options) { o.Probes.Memory = func() (int64, int64, error) { return 0, 0, errNoAnswer } }, Warn,
			"warn  board    cannot read the memory's size", "/proc"},
		{"few files", func(o *Options) { o.Probes.OpenFiles = func(int) (int, error) { return 256, nil } }, Warn,
			"the agent may open 256 files", "by its systemd unit"},
	})
}
