package spool

import (
	"bytes"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"cattlecounter/deploy/testkit/must"
)

// residentFile returns RssFile of this process in bytes (proc_pid_status(5)).
func residentFile(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(b, []byte("RssFile:"))
	n, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// Mapped memory stays bounded, whatever the size of the footage.
func TestMappedMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 400 MB")
	}
	if m, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_ANON|unix.MAP_PRIVATE); err == nil {
		refused := unix.Madvise(m, unix.MADV_PAGEOUT)
		_ = unix.Munmap(m)
		if refused != nil {
			t.Skipf("this kernel has no MADV_PAGEOUT: %v", refused)
		}
	}
	s := opened(t)
	before := residentFile(t)
	r := fill(t, s, "/card/big.mp4", 40, 400<<20)
	must.Do(t, s.Content.Verify(t.Context(), r.ID))
	if grown := residentFile(t) - before; grown > 2*pageOutEvery+int(s.store.o.LogFile) {
		t.Errorf("%d MiB of mapped files are in memory", grown>>20)
	}
}

func FuzzValueLogMap(f *testing.F) {
	f.Add("7f0000000000-7f0008000000 rw-s 00000000 fe:00 123 /d/store/000001.vlog")
	f.Add("-")
	f.Fuzz(func(t *testing.T, line string) {
		if from, to, ok := valueLogMap(line, "/d/store"); ok && from >= to {
			t.Fatalf("mapping ends before it begins: %x to %x", from, to)
		}
	})
}
