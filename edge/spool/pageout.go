package spool

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// pageOutEvery is how many bytes of chunks may be touched before their pages
// are given back.
const pageOutEvery = 32 << 20

// resident keeps the process small. Badger maps its value log, and every page
// that was ever touched stays in the process until the kernel is short of
// memory: a board with a memory limit, or a person who looks at it, sees the
// size of the footage.
type resident struct {
	dir     string
	touched atomic.Int64
}

// touch counts n bytes and gives the value log's pages back from time to time.
func (r *resident) touch(n int) {
	if r.touched.Add(int64(n)) < pageOutEvery {
		return
	}
	r.touched.Store(0)
	r.pageOut()
}

// pageOut asks the kernel to take back the mapped pages of the value log.
// MADV_PAGEOUT (Linux 5.4, madvise(2)) destroys nothing, even if Badger has
// moved a mapping since it was listed; an older kernel refuses it, and all is
// as it was.
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

// valueLogMap reads a line of /proc/self/maps (proc_pid_maps(5)) of a value-log
// file in dir.
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
