package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// boardMemory is the memory limit of the unit file.
const boardMemory = 256 << 20

// BenchmarkBoard takes a file of 4 GB through an agent with 256 MiB of memory, pages of its files included, as a control
// group (cgroups(7)) counts them. It is skipped where no control group can be created.
// Run it with: go test -bench Board -benchtime 1x ./deploy/e2e
func BenchmarkBoard(b *testing.B) {
	const size = 4_000_000_000
	for b.Loop() {
		s := newStage(b)
		b.Cleanup(s.stop)
		source := s.path("source.mp4")
		if err := fill(source, size); err != nil {
			b.Fatal(err)
		}
		s.startBroker()
		s.startAPI()
		s.startEdge()
		group := confine(b, s.edge.PID())
		began := time.Now()
		if err := os.Link(source, s.path("card", "DCIM", "100MEDIA", "BIG.MP4")); err != nil {
			b.Fatal(err)
		}
		s.eventually("the footage is in the cloud", 20*time.Minute, func() bool { return len(s.footage()) == 1 })
		b.ReportMetric(size/1e6/time.Since(began).Seconds(), "card-to-cloud-MB/s")
		b.ReportMetric(peakMiB(b, s.edge), "edge-peak-MiB")
		b.ReportMetric(read(b, group, "memory.max_usage_in_bytes", "memory.peak")/(1<<20), "group-peak-MiB")
		s.stop()
	}
}

// confine puts a process into a control group (version 1 or 2) with boardMemory and returns the folder of the group.
func confine(b *testing.B, pid int) string {
	b.Helper()
	limit := ""
	root := "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(root, "memory", "cgroup.procs")); err == nil {
		root, limit = filepath.Join(root, "memory"), "memory.limit_in_bytes"
	} else if text, err := os.ReadFile(filepath.Join(root, "cgroup.subtree_control")); err == nil && strings.Contains(string(text), "memory") {
		limit = "memory.max"
	} else {
		b.Skip("no control groups for memory")
	}
	group := filepath.Join(root, fmt.Sprintf("cattlecounter-bench-%d", pid))
	if err := os.Mkdir(group, 0o755); err != nil {
		b.Skip(err)
	}
	b.Cleanup(func() { _ = os.Remove(group) })
	for file, value := range map[string]int{limit: boardMemory, "cgroup.procs": pid} {
		if err := os.WriteFile(filepath.Join(group, file), []byte(strconv.Itoa(value)), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return group
}

// read returns the number in the first file that exists.
func read(b *testing.B, group string, files ...string) float64 {
	b.Helper()
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(group, f))
		if err != nil {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	b.Fatalf("%s has none of %v", group, files)
	return 0
}
