package simulation

import (
	"flag"
	"os"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/deploy/testkit/queuetest"
)

var (
	seed       = flag.Uint64("seed", 1, "seed of stations and faults; 0 takes the current time")
	stations   = flag.Int("stations", 1300, "number of stations")
	workers    = flag.Int("workers", 100, "number of workers")
	faultScale = flag.Float64("faults", 1, "factor on the usual fault rates; 0 for no faults")
	backEnd    = flag.String("queue", "", "back end of the queue, embedded or azure; both if it is empty")
	deliveries = flag.Int("deliveries", 20, "deliveries before a job is poisoned")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// simulate runs one world, logs its summary and returns what the checks found.
func simulate(t *testing.T, o options) verdict {
	t.Helper()
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", o.seed)
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // time is scarcer than memory here
	dir := tempDir(t)
	began := time.Now()
	w := newWorld(o)
	var v verdict
	synctest.Test(t, func(t *testing.T) {
		w.open(t, dir)
		defer w.ledger.Close()
		w.run(t, dir)
		v = w.check(t)
	})
	t.Log(w.summary(time.Since(began), v))
	return v
}

// tempDir returns a temporary folder in memory if possible: a simulation syncs a file tens of thousands of times.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "simulation")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// flagOptions returns the options that the flags set.
func flagOptions() options {
	return options{
		seed: *seed, stations: *stations, large: 500, workers: *workers, lease: 10 * time.Second,
		deliveries: *deliveries, limit: time.Hour, rates: usualRates.times(*faultScale), backEnd: "embedded",
	}
}

// smallOptions returns options for a run of some seconds, also with the race detector. The run is large enough to show
// a missing rule.
func smallOptions() options {
	o := flagOptions()
	o.stations, o.workers, o.large = 200, 20, 100
	if raceDetector {
		o.stations, o.workers, o.large = 60, 10, 40
	}
	return o
}

// onEachQueue runs test with each back end of the queue that the flags choose.
func onEachQueue(t *testing.T, test func(t *testing.T, name string)) {
	for _, name := range []string{"embedded", "azure"} {
		if *backEnd == "" || *backEnd == name {
			t.Run(name, func(t *testing.T) { test(t, name) })
		}
	}
}

// Every job ends once, with one result, whatever happens to workers, messages and answers. No job overtakes another
// one of its station in the queue, and stations take turns.
func TestSimulation(t *testing.T) {
	onEachQueue(t, func(t *testing.T, name string) {
		o := flagOptions()
		if testing.Short() || raceDetector || name == "azure" && *backEnd == "" {
			o = smallOptions()
		}
		o.backEnd = name
		if v := simulate(t, o); v.doubles+v.lost+v.wrong+v.stuck+v.poisoned+v.overtaken > 0 {
			t.Errorf("the checks found %+v, want nothing", v)
		}
	})
}

// A station with 25 clips, whose first ones come before those of nine others, gets the same share of the workers as each of
// them while all wait. Without turns it gets everything, and the others wait.
func TestFairness(t *testing.T) {
	onEachQueue(t, func(t *testing.T, name string) {
		for _, c := range []struct {
			name   string
			faults float64
			rules  rules
			fair   bool
		}{{"without faults", 0, rules{}, true}, {"with faults", 1, rules{}, true}, {"without turns", 0, rules{turns: true}, false}} {
			t.Run(c.name, func(t *testing.T) {
				o := flagOptions()
				o.backEnd, o.fair, o.without, o.rates, o.workers = name, true, c.rules, usualRates.times(c.faults), rivalWorkers
				v := simulate(t, o)
				if v.doubles+v.lost+v.wrong+v.stuck > 0 || c.faults == 0 && c.fair && v.overtaken > 0 {
					t.Errorf("the checks found %+v, want nothing", v)
				}
				if v.jain >= queuetest.Fair != c.fair {
					t.Errorf("Jain's index of the shares is %.2f, want at least %.1f: %t", v.jain, queuetest.Fair, c.fair)
				}
			})
		}
	})
}

// Without a rule of the protocol the same checks find the fault that the rule prevents.
func TestChecksFindAMissingRule(t *testing.T) {
	for _, c := range []struct {
		name    string
		without rules
		found   func(verdict) int
	}{
		{"without the fence", rules{fence: true}, func(v verdict) int { return v.doubles }},
		{"without the reconciler", rules{reconciler: true}, func(v verdict) int { return v.stuck }},
		{"without the order of the queue", rules{order: true}, func(v verdict) int { return v.overtaken }},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := smallOptions()
			o.without, o.limit, o.rates.pause, o.rates.duplicate = c.without, 10*time.Minute, 0.05, 0.5
			if v := simulate(t, o); c.found(v) == 0 {
				t.Errorf("the checks missed the fault; they found %+v", v)
			}
		})
	}
}
