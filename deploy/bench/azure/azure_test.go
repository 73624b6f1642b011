package azure

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

const (
	tiny  = 1_000_000 // shows the cost of an upload that does not depend on its size
	small = 100_000_000
	large = 2_000_000_000
	piece = 16 << 20 // bytes per PATCH of clients that send a file in several
)

// way is one way of the file into the storage.
type way struct {
	name  string
	start func(testing.TB, *programs) server // nil: without a server
	piece int64                              // bytes per PATCH, 0 for the whole file
}

var ways = []way{
	{"cloud-api", startCloud, 0},
	{"tusd", startTusd, 0},
	{"cloud-api-16MiB-patches", startCloud, piece},
	{"tusd-16MiB-patches", startTusd, piece},
	{"no-server", nil, 0},
}

// measured holds the figures of one round.
type measured struct {
	speed  float64 // MB/s, from the first request until the blob is readable
	again  float64 // MB sent in addition to the file after one cut
	resume float64 // seconds from the cut until the server answered with the offset
	disk   float64 // MB, peak of data and temporary folder
	memory float64 // MiB, peak in RAM
	cpu    float64 // seconds of the server per GB, without a cut
}

// BenchmarkAzure measures one way after the other in every round, each round with a new Azurite, and reports the
// medians.
func BenchmarkAzure(b *testing.B) {
	p := build(b)
	sizes := []int64{tiny, small}
	if os.Getenv("BENCH_LARGE") != "" {
		sizes = append(sizes, large)
	}
	for _, size := range sizes {
		all := measure(b, p, size)
		base := all[len(ways)-1]
		for i, w := range ways {
			b.Run(fmt.Sprintf("%dMB/%s", size/1_000_000, w.name), func(b *testing.B) {
				for b.Loop() { // measured before
				}
				m := all[i]
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(m.speed, "MB/s")
				b.ReportMetric(m.speed/base.speed, "of-no-server")
				if w.start == nil {
					return
				}
				b.ReportMetric(m.speed/all[i/2*2+1].speed, "of-tusd") // each way is followed by that of tusd
				b.ReportMetric(m.again, "again-MB")
				b.ReportMetric(m.resume, "resume-s")
				b.ReportMetric(m.disk, "disk-MB")
				b.ReportMetric(m.memory, "peak-MiB")
				b.ReportMetric(m.cpu, "cpu-s/GB")
			})
		}
	}
}

// measure returns the medians of every way.
func measure(b *testing.B, p *programs, size int64) []measured {
	rounds := 3
	if n, err := strconv.Atoi(os.Getenv("ROUNDS")); err == nil && n > 0 {
		rounds = n
	}
	f := newFile(b, size)
	found := make([][]measured, len(ways))
	for range rounds {
		p.serve(b)
		for i, w := range ways {
			m := p.round(b, w, f)
			b.Logf("%d MB %s: %.2f", size/1_000_000, w.name, m)
			found[i] = append(found[i], m)
		}
		must.Do(b, p.azure.Stop())
	}
	out := make([]measured, len(ways))
	for i, ms := range found {
		out[i] = measured{
			speed: median(ms, func(m measured) float64 { return m.speed }), again: median(ms, func(m measured) float64 { return m.again }),
			resume: median(ms, func(m measured) float64 { return m.resume }),
			disk:   median(ms, func(m measured) float64 { return m.disk }), memory: median(ms, func(m measured) float64 { return m.memory }),
			cpu: median(ms, func(m measured) float64 { return m.cpu }),
		}
	}
	return out
}

func median(ms []measured, of func(measured) float64) float64 {
	var xs []float64
	for _, m := range ms {
		xs = append(xs, of(m))
	}
	slices.Sort(xs)
	return (xs[(len(xs)-1)/2] + xs[len(xs)/2]) / 2
}
