// Package gdal runs programs of GDAL, the independent reader and writer of maps.
package gdal

import (
	"os"
	"os/exec"
	"testing"
)

// Need skips a test where programs are missing. In CI it fails: make test installs them.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatal(p + " is not installed; apt-get install gdal-bin")
		}
		t.Skip(p + " is not installed; apt-get install gdal-bin")
	}
}

// Run runs a program and returns what it prints. The test ends where the program is missing or fails.
func Run(t testing.TB, program string, args ...string) string {
	t.Helper()
	Need(t, program)
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}
