package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cattlecounter/deploy/testkit/smalldisk"
	"cattlecounter/edge/uplink"
)

func TestThisMachine(t *testing.T) {
	p, dir := System(), t.TempDir()
	f, err := p.FileSystem(dir)
	if err != nil || f.Total <= 0 || f.Free <= 0 || f.Kind == "" || f.Mount || f.ReadOnly || int(f.UID) != os.Geteuid() {
		t.Errorf("%+v %v", f, err)
	}
	if f, err := p.FileSystem("/proc"); err != nil || !f.Mount {
		t.Errorf("%+v %v", f, err)
	}
	if _, err := p.FileSystem(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if r, err := p.Rate(t.Context(), dir); err != nil || r <= 0 {
		t.Error(r, err)
	}
	if n, err := p.Entries(dir); err != nil || n != 0 {
		t.Errorf("%d entries are left behind: %v", n, err)
	}
	if total, available, err := p.Memory(); err != nil || available <= 0 || total < available {
		t.Error(total, available, err)
	}
	if n, err := p.OpenFiles(os.Getpid()); err != nil || n <= 0 {
		t.Error(n, err)
	}
	if _, err := p.OpenFiles(-1); err == nil {
		t.Error("no error for a process that does not exist")
	}
	if _, err := p.Entries(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Rate(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// One disk is really full, one is really read-only.
func TestFullAndReadOnlyDisks(t *testing.T) {
	dir := smalldisk.Mount(t, "6m")
	if _, err := rate(t.Context(), dir); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if n, err := entries(dir); err != nil || n != 0 {
		t.Errorf("%d entries are left behind: %v", n, err)
	}
	if f, err := fileSystem(dir); err != nil || f.Kind != "tmpfs" || !f.Mount {
		t.Errorf("%+v %v", f, err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := rate(t.Context(), dir); !errors.Is(err, syscall.EROFS) {
		t.Error(err)
	}
	if f, err := fileSystem(dir); err != nil || !f.ReadOnly {
		t.Errorf("%+v %v", f, err)
	}
}

func TestMayRead(t *testing.T) {
	dir := t.TempDir()
	for at := dir; at != "/"; at = filepath.Dir(at) { // not above the test's own folders
		if at == os.TempDir() {
			break
		}
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	const stranger = 54321
	own, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	for _, c := range []struct {
		mode     fs.FileMode
		above    fs.FileMode
		uid, gid uint32
		ok       bool
	}{
		{0o600, 0o755, own, gid, true},
		{0o600, 0o755, 0, 0, true},
		{0o600, 0o755, stranger, stranger, false},
		{0o640, 0o755, stranger, gid, true},
		{0o640, 0o755, stranger, stranger, false},
		{0o644, 0o755, stranger, stranger, true},
		{0o644, 0o700, stranger, stranger, false},
	} {
		if err := errors.Join(os.Chmod(file, c.mode), os.Chmod(dir, c.above)); err != nil {
			t.Fatal(err)
		}
		if err := mayRead(file, c.uid, c.gid); (err == nil) != c.ok {
			t.Errorf("%o below %o by %d:%d: %v", c.mode, c.above, c.uid, c.gid, err)
		}
	}
	if err := mayRead(filepath.Join(dir, "none"), stranger, stranger); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestParseMemory(t *testing.T) {
	total, available, err := parseMemory("MemTotal:         488012 kB\nMemFree: 1 kB\nMemAvailable:     300000 kB\n")
	if err != nil || total != 488012<<10 || available != 300000<<10 {
		t.Error(total, available, err)
	}
	for _, text := range []string{"", "MemTotal: 1 kB", "MemTotal: x kB\nMemAvailable: 1 kB",
		"MemTotal: -1 kB\nMemAvailable: 1 kB"} {
		if _, _, err := parseMemory(text); err == nil {
			t.Errorf("no error for %q", text)
		}
	}
}

func TestParseOpenFiles(t *testing.T) {
	for text, want := range map[string]int{"Limit Soft Hard\nMax open files            1024  524288 files\n": 1024,
		"Max open files unlimited unlimited files": 1<<31 - 1} {
		if n, err := parseOpenFiles(strings.NewReader(text)); err != nil || n != want {
			t.Error(n, err)
		}
	}
	for _, text := range []string{"", "Max open files", "Max open files many"} {
		if _, err := parseOpenFiles(strings.NewReader(text)); err == nil {
			t.Errorf("no error for %q", text)
		}
	}
}

func FuzzParsers(f *testing.F) {
	f.Add("MemTotal: 1 kB\nMemAvailable: 1 kB\n")
	f.Add("Max open files 1024 1024 files\n")
	f.Add(`{"status":"ok"}`)
	f.Fuzz(func(t *testing.T, text string) {
		if total, available, err := parseMemory(text); err == nil && (total < 0 || available < 0) {
			t.Fatal(total, available)
		}
		_, _ = parseOpenFiles(strings.NewReader(text))
		healthy([]byte(text))
		if line := uplink.OneLine(text); strings.ContainsAny(line, "\n\r\x1b") {
			t.Fatalf("%q", line)
		}
	})
}
