package peers

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// watchMemory returns the largest memory of a process and its children together, in bytes, 0 when it is unknown. It
// returns after ended is closed. The kernel's own figure for an ended process includes the memory of the program that
// started it, so the process is watched.
func watchMemory(pid int, ended <-chan struct{}) int64 {
	const often = 20 * time.Millisecond
	tick := time.NewTicker(often)
	defer tick.Stop()
	most := int64(0)
	for {
		sum := memory(pid)
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		if err == nil {
			for _, word := range bytes.Fields(children) {
				if child, err := strconv.Atoi(string(word)); err == nil {
					sum += memory(child)
				}
			}
		}
		most = max(most, sum)
		select {
		case <-ended:
			return most
		case <-tick.C:
		}
	}
}

// memory is the memory of a process in RAM now, in bytes, 0 when it has ended.
func memory(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, ok := bytes.Cut(b, []byte("VmRSS:"))
	fields := bytes.Fields(rest)
	if !ok || len(fields) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}
