package heartbeat

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestBeatAndCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "beat")
	if err := Check(path, time.Now()); !errors.Is(err, ErrNone) {
		t.Errorf("before the first beat: %v", err)
	}
	f := New(path, slog.New(slog.DiscardHandler))
	f.Beat(time.Minute)
	for after, want := range map[time.Duration]error{
		0: nil, time.Minute: nil, time.Minute + grace - 2*time.Second: nil, time.Minute + grace + time.Second: ErrLate,
	} {
		if err := Check(path, time.Now().Add(after)); !errors.Is(err, want) {
			t.Errorf("%s after the beat: %v, want %v", after, err, want)
		}
	}
	f.Remove()
	if err := Check(path, time.Now()); !errors.Is(err, ErrNone) {
		t.Errorf("after the end: %v", err)
	}
}

func TestNoHeartbeat(t *testing.T) {
	for _, f := range []*File{nil, New("", nil)} {
		f.Beat(time.Minute)
		f.Remove()
	}
}

func TestBeatIntoNoFolder(t *testing.T) {
	var log bytes.Buffer
	f := New(filepath.Join(t.TempDir(), "missing", "beat"), slog.New(slog.NewTextHandler(&log, nil)))
	f.Beat(time.Minute)
	f.Beat(time.Minute)
	if n := strings.Count(log.String(), "cannot write the heartbeat"); n != 1 {
		t.Errorf("logged %d times, want once:\n%s", n, &log)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte("2026-05-01T12:00:00Z\n"))
	f.Add([]byte("soon"))
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "beat")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		until, bad := time.Parse(time.RFC3339, strings.TrimSpace(string(content)))
		if err := Check(path, now); err == nil && (bad != nil || until.Before(now)) {
			t.Errorf("%q is a living worker", content)
		}
	})
}
