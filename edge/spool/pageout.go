package spool

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// pageOutEvery is how many bytes of chunks are read or written between two page-outs.
const pageOutEvery = 32 << 20

// resident keeps the process small. Badger maps its value log, and every page that was read
// or written stays in the process until the kernel is short of memory. Without page-outs the
// process would seem as large as the footage, to a memory limit and to a person.
type resident struct {
	dir     string
	touched atomic.Int64
}

// count counts n bytes and pages the value log out after every pageOutEvery bytes.
func (r *resident) count(n int) {
	if r.touched.Add(int64(n)) < pageOutEvery {
		return
	}
	r.touched.Store(0)
	r.pageOut()
}

// pageOut asks the kernel to reclaim the mapped pages of the value log. MADV_PAGEOUT (Linux
// 5.4, madvise(2)) loses no data, even when Badger has moved a mapping since it was listed.
// An older kernel refuses it, and nothing changes.
func (r *resident) pageOut() {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if from, to, ok := valueLogMap(s.Text(), r.dir); ok {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_PAGEOUT)
		}
	}
}

// valueLogMap parses a line of /proc/self/maps (proc_pid_maps(5)). It reports false for a
// line that is not about a value-log file in dir.
func valueLogMap(line, dir string) (from, to uintptr, ok bool) {
	if !strings.HasSuffix(line, ".vlog") || !strings.Contains(line, " "+dir+"/") {
		return 0, 0, false
	}
	span, _, _ := strings.Cut(line, " ")
	a, b, _ := strings.Cut(span, "-")
	x, err1 := strconv.ParseUint(a, 16, strconv.IntSize)
	y, err2 := strconv.ParseUint(b, 16, strconv.IntSize)
	return uintptr(x), uintptr(y), err1 == nil && err2 == nil && x < y
}
