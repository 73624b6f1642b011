package load

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

// used is what the processes of one name have used so far.
type used struct {
	cpu  float64 // seconds, with those of ended children
	peak float64 // MiB in RAM, of the largest process
	sum  float64 // MiB in RAM now, of all together
}

// usage returns what the processes below this one use, by the name of their program. Linux only.
func usage(tb testing.TB) map[string]used {
	tb.Helper()
	const perSecond = 100 // USER_HZ on Linux
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	must.Do(tb, err)
	parent, fields := map[int]int{}, map[int][]string{}
	name := map[int]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		text := string(b)
		open, closed := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
		pid, _ := strconv.Atoi(strings.TrimSpace(text[:open]))
		fields[pid] = strings.Fields(text[closed+1:])
		parent[pid], _ = strconv.Atoi(fields[pid][1])
		name[pid] = text[open+1 : closed]
	}
	out := map[string]used{}
	for pid := range parent {
		above := pid
		for above > 1 && above != os.Getpid() {
			above = parent[above]
		}
		if above != os.Getpid() || pid == above {
			continue
		}
		u := out[name[pid]]
		for _, f := range fields[pid][11:15] { // utime, stime, cutime, cstime
			ticks, _ := strconv.ParseFloat(f, 64)
			u.cpu += ticks / perSecond
		}
		u.peak = max(u.peak, memory(pid, "VmHWM"))
		u.sum += memory(pid, "VmRSS")
		out[name[pid]] = u
	}
	return out
}

// memory reads a size of a process in MiB; 0 when the process has ended.
func memory(pid int, field string) float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(b), "\n"+field+":")
	var kb float64
	_, _ = fmt.Sscan(rest, &kb)
	return kb / 1024
}
