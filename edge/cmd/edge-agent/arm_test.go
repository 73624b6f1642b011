package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestARM runs the program of the ARM boards in an emulator: it reads a card, spools, uploads and stops. `make arm`
// installs the emulator (379 MB) and has a job of its own in CI; without it the test is skipped, and ARM=required makes
// that a failure.
func TestARM(t *testing.T) {
	for board, c := range map[string]struct{ emulator, arch, arm string }{
		"arm64": {"qemu-aarch64-static", "arm64", ""},
		"armv7": {"qemu-arm-static", "arm", "7"},
	} {
		t.Run(board, func(t *testing.T) {
			emulator, err := exec.LookPath(c.emulator)
			if err != nil && os.Getenv("ARM") != "required" {
				t.Skip("no emulator (Debian: qemu-user-static); make arm installs it")
			}
			if err != nil {
				t.Fatal(err)
			}
			s := newStation(t)
			dir := t.TempDir()
			build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", filepath.Join(dir, "edge-agent"), ".")
			build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+c.arch, "GOARM="+c.arm)
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			s.binary = filepath.Join(dir, "emulated")
			script := "#!/bin/sh\nexec " + emulator + " " + filepath.Join(dir, "edge-agent") + " \"$@\"\n"
			if err := os.WriteFile(s.binary, []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
			s.film("a.mp4", 3<<20)
			s.film("b.mp4", 1<<20)
			s.start()
			s.until("sent", allSent(2))
			if n := s.received(); n < 4<<20 {
				t.Errorf("the cloud has %d bytes, want at least 4 MiB", n)
			}
			if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := s.cmd.Wait(); err != nil {
				t.Errorf("the program did not stop as it should: %v", err)
			}
			s.cmd = nil
		})
	}
}
