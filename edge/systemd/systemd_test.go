package systemd

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// manager is a service manager that listens.
func manager(t *testing.T, watchdog string) *net.UnixConn {
	t.Helper()
	dir, err := os.MkdirTemp("", "sd") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "notify")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	t.Setenv("NOTIFY_SOCKET", l.LocalAddr().String())
	t.Setenv("WATCHDOG_USEC", watchdog)
	t.Setenv("WATCHDOG_PID", "")
	return l
}

func receive(t *testing.T, l *net.UnixConn) string {
	t.Helper()
	_ = l.SetReadDeadline(time.Now().Add(time.Minute))
	b := make([]byte, 4096)
	n, err := l.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestReadyAliveStopping(t *testing.T) {
	l := manager(t, "60000")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, func() (string, error) { return "2 to send", nil }, quiet) }()
	for _, want := range []string{"READY=1", "WATCHDOG=1\nSTATUS=2 to send", "WATCHDOG=1\nSTATUS=2 to send"} {
		if got := receive(t, l); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for got := ""; got != "STOPPING=1"; got = receive(t, l) {
	}
}

func TestWithoutServiceManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Run(t.Context(), func() (string, error) { panic("asked") }, quiet); err != nil {
		t.Error(err)
	}
	t.Setenv("NOTIFY_SOCKET", "/does/not/exist")
	if err := Run(t.Context(), nil, quiet); err == nil {
		t.Error("no error for a socket that does not exist")
	}
}

func TestWatchdogLimitThatIsNoNumber(t *testing.T) {
	l := manager(t, "soon")
	if err := Run(t.Context(), nil, quiet); err == nil || receive(t, l) != "READY=1" {
		t.Error(err)
	}
}

// A program that does not answer, or answers with an error, sends no sign of life.
// Signs resume with its next good answer.
func TestNoSignOfLifeWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		sent, calls := 0, 0
		hang, fault := make(chan struct{}), errors.New("the spool does not answer")
		alive := func() (string, error) {
			switch calls++; calls {
			case 2:
				return "", fault
			case 3:
				<-hang
			}
			return "", nil
		}
		log := make(lastLine, 1)
		done := make(chan struct{})
		go func() {
			defer close(done)
			watch(ctx, time.Minute, alive, func(string) error { sent++; return nil },
				slog.New(slog.NewTextHandler(log, nil)))
		}()
		for _, step := range []struct {
			after time.Duration
			sent  int
			log   string
		}{
			{time.Second, 1, ""},
			{time.Minute, 1, fault.Error()},
			{time.Minute, 1, ""},
			{5 * time.Minute, 1, errSilent.Error()},
		} {
			<-time.After(step.after)
			synctest.Wait()
			if got := log.last(); sent != step.sent || !strings.Contains(got, step.log) || (got == "") != (step.log == "") {
				t.Errorf("after %s: %d signs, log %q", step.after, sent, got)
			}
		}
		if calls != 3 {
			t.Errorf("%d calls while the third one blocks", calls)
		}
		close(hang)
		<-time.After(time.Minute)
		synctest.Wait()
		if sent != 3 {
			t.Errorf("%d signs after the answers resumed", sent)
		}
		cancel()
		<-done
	})
}

// A stop waits for the call that runs, and leaves one that blocks with a line in the log.
func TestStopWaitsForTheCall(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration
		log   string
	}{
		{"slow", stopWait / 2, ""},
		{"blocked", 2 * stopWait, errSilent.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				began, ended := time.Now(), time.Duration(0)
				alive := func() (string, error) {
					<-time.After(c.takes)
					ended = time.Since(began)
					return "", nil
				}
				log := make(lastLine, 1)
				watch(ctx, time.Minute, alive, func(string) error { return nil }, slog.New(slog.NewTextHandler(log, nil)))
				if got := log.last(); !strings.Contains(got, c.log) || (got == "") != (c.log == "") {
					t.Errorf("log %q, want %q", got, c.log)
				}
				if took := time.Since(began); took != min(c.takes, stopWait) {
					t.Errorf("the stop took %s", took)
				}
				<-time.After(2 * stopWait)
				synctest.Wait()
				if ended != c.takes {
					t.Errorf("the call ended after %s", ended)
				}
			})
		})
	}
}

// lastLine holds the line logged last. It is safe for concurrent use.
type lastLine chan string

func (l lastLine) Write(b []byte) (int, error) {
	l.last()
	l <- string(b)
	return len(b), nil
}

func (l lastLine) last() string {
	select {
	case s := <-l:
		return s
	default:
		return ""
	}
}

func TestJournalPriorities(t *testing.T) {
	for _, c := range []struct {
		level slog.Level
		text  string
		json  string
	}{
		{slog.LevelDebug, "<7>level=DEBUG msg=a n=1\n", `<7>{"level":"DEBUG","msg":"a","n":1}` + "\n"},
		{slog.LevelInfo, "<6>level=INFO msg=a n=1\n", `<6>{"level":"INFO","msg":"a","n":1}` + "\n"},
		{slog.LevelWarn, "<4>level=WARN msg=a n=1\n", `<4>{"level":"WARN","msg":"a","n":1}` + "\n"},
		{slog.LevelError + 1, "<3>level=ERROR+1 msg=a n=1\n", `<3>{"level":"ERROR+1","msg":"a","n":1}` + "\n"},
	} {
		var text, json bytes.Buffer
		w, o := JournalHandler(&text, slog.HandlerOptions{Level: slog.LevelDebug})
		slog.New(slog.NewTextHandler(w, o)).Log(t.Context(), c.level, "a", "n", 1)
		w, o = JournalHandler(&json, slog.HandlerOptions{Level: slog.LevelDebug})
		slog.New(slog.NewJSONHandler(w, o)).Log(t.Context(), c.level, "a", "n", 1)
		if text.String() != c.text || json.String() != c.json {
			t.Errorf("%s: %q %q", c.level, text.String(), json.String())
		}
	}
	var out bytes.Buffer
	if n, err := (prefixer{&out}).Write([]byte("panic: x\n")); n != 9 || err != nil || out.String() != "panic: x\n" {
		t.Errorf("%d %v %q", n, err, out.String())
	}
	if ToJournal(nil) || ToJournal(os.Stdout) {
		t.Error("a stream that is not the journal's counts as it")
	}
}
