package e2e

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// row is one scenario in the report.
type row struct {
	at        int
	scenario  string
	faults    string
	count     int
	size      int64
	lost      int64 // bytes that left the agent and did not reach the cloud
	twice     int64 // bytes that reached the cloud more than once
	recovered []time.Duration
	took      time.Duration
}

// report collects rows. It is safe for concurrent use.
type report struct {
	mu   sync.Mutex
	rows []row
}

func newReport() *report { return &report{} }

func (r *report) add(at int, line row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	line.at = at
	r.rows = append(r.rows, line)
}

// write logs the report as a Markdown table, and appends it to the file in FAULTS_REPORT.
func (r *report) write(t *testing.T) {
	t.Helper()
	table := r.table()
	t.Logf("\n%s", table)
	path := os.Getenv("FAULTS_REPORT")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(table); err != nil {
		t.Fatal(err)
	}
}

func (r *report) table() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.rows, func(a, b row) int { return cmp.Compare(a.at, b.at) })
	var b strings.Builder
	b.WriteString("| scenario | fault of the link | faults | file | bytes lost on the way | bytes sent twice | time to recover: median, longest | total time |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, l := range r.rows {
		fmt.Fprintf(&b, "| %s | %s | %d | %.1f MB | %d | %d | %s | %.0f s |\n",
			l.scenario, l.faults, l.count, float64(l.size)/1e6, l.lost, l.twice, l.recovery(), l.took.Seconds())
	}
	return b.String()
}

func (l row) recovery() string {
	if len(l.recovered) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f s, %.1f s", l.recovered[len(l.recovered)/2].Seconds(), l.recovered[len(l.recovered)-1].Seconds())
}
