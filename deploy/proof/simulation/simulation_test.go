package simulation

import (
	"flag"
	"os"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

var (
	seed     = flag.Uint64("seed", 1, "of stations and faults; 0 takes the time")
	stations = flag.Int("stations", 1300, "number of stations")
	workers  = flag.Int("workers", 100, "number of workers")
	faults   = flag.Float64("faults", 1, "how often they happen, of the usual; 0 for none")
	tries    = flag.Int("deliveries", 20, "after which a job is poisoned")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// simulate runs one world and says what is wrong with it.
func simulate(t *testing.T, o options) verdict {
	t.Helper()
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", o.seed)
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // memory is not what this is short of
	dir := scratch(t)
	began := time.Now()
	w := newWorld(o)
	var v verdict
	synctest.Test(t, func(t *testing.T) {
		w.open(t, dir)
		defer w.ledger.Close()
		w.run(t, dir)
		v = w.check(t)
	})
	t.Log(w.numbers(time.Since(began), v))
	return v
}

// scratch is a folder in memory where there is one: a simulation syncs a file tens of
// thousands of times.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "simulation")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func normal() options {
	return options{seed: *seed, stations: *stations, large: 500, workers: *workers, lease: 10 * time.Second, deliveries: *tries, limit: time.Hour, rates: usual.times(*faults)}
}

// small takes some seconds, also with the race detector, and is enough for what goes wrong without a rule to show.
func small() options {
	o := normal()
	o.stations, o.workers, o.large = 200, 20, 100
	if raced {
		o.stations, o.workers, o.large = 60, 10, 40
	}
	return o
}

// Every job ends once, with one result, whatever happens to workers, messages and
// answers, and nobody is overtaken in the queue.
func TestSimulation(t *testing.T) {
	o := normal()
	if testing.Short() || raced {
		o = small()
	}
	if v := simulate(t, o); v.doubles+v.lost+v.wrong+v.stuck+v.poisoned+v.starved > 0 {
		t.Errorf("%+v", v)
	}
}

// Without a rule of the protocol the same checks find what it is there for.
func TestChecksFindWhatIsBroken(t *testing.T) {
	for _, c := range []struct {
		name    string
		without rules
		found   func(verdict) int
	}{
		{"without the fence", rules{fence: true}, func(v verdict) int { return v.doubles }},
		{"without the reconciler", rules{reconciler: true}, func(v verdict) int { return v.stuck }},
		{"without the order of the queue", rules{fairness: true}, func(v verdict) int { return v.starved }},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := small()
			o.without, o.limit, o.rates.pause, o.rates.twice = c.without, 10*time.Minute, 0.05, 0.5
			if v := simulate(t, o); c.found(v) == 0 {
				t.Errorf("nothing was found: %+v", v)
			}
		})
	}
}
