package load

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

// clockFile names, in the environment of a program that was built with clockOverlay, the file with its clock's error.
const clockFile = "LOAD_CLOCK_FILE"

// clockSource goes into the package time: the file has nanoseconds, and a change of it is a step of the clock.
const clockSource = `package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

var clockError *atomic.Int64

func init() {
	path, _ := syscall.Getenv("` + clockFile + `")
	fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
	if err != nil {
		panic(path + ": " + err.Error())
	}
	b, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(path + ": " + err.Error())
	}
	clockError = (*atomic.Int64)(unsafe.Pointer(&b[0]))
}

func wrongNow() (sec int64, nsec int32, mono int64) {
	sec, nsec, mono = runtimeNow()
	if clockError == nil {
		return sec, nsec, mono
	}
	at := sec*1e9 + int64(nsec) + clockError.Load()
	return at / 1e9, int32(at % 1e9), mono
}
`

// clockOverlay returns the file for "go build -overlay" that gives a program a clock of its own. The clock of the machine
// stays as it is, and so does the time that the program measures: as after a correction by NTP or by hand.
func clockOverlay(tb testing.TB, dir string) string {
	tb.Helper()
	root, err := exec.CommandContext(tb.Context(), "go", "env", "GOROOT").Output()
	must.Do(tb, err)
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	b, err := os.ReadFile(original)
	must.Do(tb, err)
	const call = "sec, nsec, mono := runtimeNow()"
	if n := strings.Count(string(b), call); n == 0 {
		tb.Fatalf("%s has no %q: adapt clockOverlay to this Go version", original, call)
	}
	changed, added, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "clock.go"), filepath.Join(dir, "overlay.json")
	must.Do(tb, os.WriteFile(changed, []byte(strings.ReplaceAll(string(b), call, "sec, nsec, mono := wrongNow()")), 0o600))
	must.Do(tb, os.WriteFile(added, []byte(clockSource), 0o600))
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{
		original: changed, filepath.Join(filepath.Dir(original), "clock.go"): added}})
	must.Do(tb, err)
	must.Do(tb, os.WriteFile(overlay, list, 0o600))
	return overlay
}

// setClock gives the clock of a cloud an error. The file is never truncated: the program has mapped it.
func (s *stage) setClock(cloud int, wrong time.Duration) {
	s.tb.Helper()
	f, err := os.OpenFile(s.clockOf(cloud), os.O_WRONLY|os.O_CREATE, 0o600)
	must.Do(s.tb, err)
	defer f.Close()
	_, err = f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(wrong)), 0)
	must.Do(s.tb, err)
}
