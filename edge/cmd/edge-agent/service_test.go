package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cattlecounter/edge/status"
)

// Under a service manager the program reports that it is ready, alive and stopping, and
// logs in the journal's form.
func TestAsService(t *testing.T) {
	s := newStation(t)
	dir, err := os.MkdirTemp("", "sd")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "notify")})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	_ = manager.SetReadDeadline(time.Now().Add(patience))
	journal, err := os.Create(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	var st syscall.Stat_t
	if err := syscall.Fstat(int(journal.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", manager.LocalAddr().String())
	t.Setenv("WATCHDOG_USEC", "60000")
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", st.Dev, st.Ino))
	s.startLogging(journal)

	var received strings.Builder
	receive := func(what string) {
		t.Helper()
		for b := make([]byte, 4096); !strings.Contains(received.String(), what); {
			n, err := manager.Read(b)
			if err != nil {
				t.Fatalf("%s: %v after %q", what, err, received.String())
			}
			received.Write(b[:n])
			received.WriteByte('\n')
		}
	}
	receive("WATCHDOG=1\nSTATUS=0 to send, link ")
	if !strings.HasPrefix(received.String(), "READY=1\n") {
		t.Errorf("received %q", received.String())
	}
	s.until("up", func(status.Status) bool { return true })
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	receive("STOPPING=1")
	err = s.cmd.Wait()
	s.cmd = nil
	text, _ := os.ReadFile(journal.Name())
	if err != nil || !strings.Contains(string(text), "\n<6>level=INFO msg=\"edge agent stopped\"") ||
		strings.Contains(string(text), "time=") {
		t.Errorf("%v\n%s", err, text)
	}
}
