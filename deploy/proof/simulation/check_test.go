package simulation

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// verdict is what is wrong after a run.
type verdict struct {
	doubles  int // jobs with more than one end
	lost     int // footage without a job, or with one that ended without its count
	wrong    int // counts that are not the clip's, or not of the attempt that the ledger names
	stuck    int // jobs that have not ended
	poisoned int
	starved  int // jobs that later ones overtook in the queue, though nothing happened to their message
	examples []string
}

func (v *verdict) find(n *int, format string, args ...any) {
	*n++
	if *n <= 3 { // of each kind
		v.examples = append(v.examples, fmt.Sprintf(format, args...))
	}
}

// overtaken is how much later than one that came after it a job may be delivered: a
// worker asks every half second.
const overtaken = time.Second

// check compares the ledger and the blobs with what there was, and with what the
// ledger took while it ran.
func (w *world) check(t *testing.T) (v verdict) {
	t.Helper()
	jobs, counts := w.read(t)
	for _, c := range w.clips {
		j, ok := jobs[c.id]
		n, counted := counts[c.id]
		slices.Sort(c.ends)
		c.ends = slices.Compact(c.ends)
		switch {
		case !ok:
			v.find(&v.lost, "%s has no job", c.id)
			continue
		case !j.State.Ended():
			v.find(&v.stuck, "%s is %s, attempt %d, since %s", c.id, j.State, j.Attempt, j.Updated.Format(time.TimeOnly))
			continue
		case len(c.ends) > 1:
			v.find(&v.doubles, "%s was ended by the attempts with fences %v", c.id, c.ends)
			continue
		case j.State == job.Poisoned:
			v.find(&v.poisoned, "%s: %s", c.id, j.Reason)
			continue
		case len(c.ends) == 0 || c.ends[0] != j.Fence:
			v.find(&v.wrong, "%s is %s by fence %d, seen were %v", c.id, j.State, j.Fence, c.ends)
		case !c.bad && !counted:
			v.find(&v.lost, "%s is %s without a count", c.id, j.State)
		case c.bad && (j.State != job.Failed || counted), !c.bad && (j.State != job.Done || n.Job != j.ID || n.Unique != c.animals):
			v.find(&v.wrong, "%s (cut short: %t, %d animals) is %s with %+v", c.id, c.bad, c.animals, j.State, n)
		case !c.bad:
			if got := w.result(t, j.ResultKey); got != c.animals {
				v.find(&v.wrong, "%s: the result has %d animals, true are %d", c.id, got, c.animals)
			}
		}
	}
	w.results(t, jobs, &v)
	w.queued(&v)
	return v
}

// results holds that there is one result for each job that is done, and none of one
// that failed. One that has not ended, or was given up, may have a result already.
func (w *world) results(t *testing.T, jobs map[footage.ID]ledger.Job, v *verdict) {
	t.Helper()
	for b, err := range w.blobs.List(t.Context(), "footage/") {
		must.Do(t, err)
		parts := strings.Split(b.Key, "/")
		j := jobs[footage.ID(parts[1])]
		if parts[2] == "result" && strings.HasSuffix(b.Key, ".json") && (j.State == job.Done || j.State == job.Failed) && j.ResultKey != b.Key {
			v.find(&v.doubles, "%s is nobody's result", b.Key)
		}
	}
}

// read is everything in the ledger.
func (w *world) read(t *testing.T) (map[footage.ID]ledger.Job, map[footage.ID]ledger.Count) {
	t.Helper()
	jobs, counts := map[footage.ID]ledger.Job{}, map[footage.ID]ledger.Count{}
	for after := int64(0); ; {
		page, err := w.ledger.Changes.Jobs(t.Context(), after, 1000)
		must.Do(t, err)
		if len(page) == 0 {
			break
		}
		for _, j := range page {
			if _, twice := jobs[j.Job.Footage]; twice {
				t.Errorf("two jobs for %s", j.Job.Footage)
			}
			jobs[j.Job.Footage], after = j.Job, j.Seq
		}
	}
	for after := int64(0); ; {
		page, err := w.ledger.Changes.Counts(t.Context(), after, 1000)
		must.Do(t, err)
		if len(page) == 0 {
			return jobs, counts
		}
		for _, c := range page {
			counts[c.Count.Footage], after = c.Count, c.Seq
		}
	}
}

// result reads how many animals a result document has.
func (w *world) result(t *testing.T, key string) int {
	t.Helper()
	r, err := w.blobs.Open(t.Context(), key, 0, -1)
	must.Do(t, err)
	defer r.Close()
	var doc report.Result
	must.Do(t, json.NewDecoder(r).Decode(&doc))
	return doc.Count.Unique
}

// queued holds that the queue is first come, first served: a station with one clip
// does not starve behind one with hundreds, whoever came first.
func (w *world) queued(v *verdict) {
	var clean []*clip
	for _, c := range w.clips {
		if !c.messageLost && !c.sent.IsZero() && !c.delivered.IsZero() {
			clean = append(clean, c)
		}
	}
	slices.SortFunc(clean, func(a, b *clip) int { return a.sent.Compare(b.sent) })
	var soonest *clip // delivered, of those that came after
	for _, c := range slices.Backward(clean) {
		if soonest != nil && c.delivered.Sub(soonest.delivered) > overtaken && soonest.sent.After(c.sent) {
			v.find(&v.starved, "%s came %s before %s and was delivered %s after it", c.id, soonest.sent.Sub(c.sent), soonest.id, c.delivered.Sub(soonest.delivered))
		}
		if soonest == nil || c.delivered.Before(soonest.delivered) {
			soonest = c
		}
	}
}

// numbers are what a run measured.
func (w *world) numbers(real time.Duration, v verdict) string {
	var ends, ways, waits, crowd, big []float64 // of all; of one-clip stations that came with the large one; of that
	byStation := map[int][]float64{}
	for _, c := range w.clips {
		if c.begun.IsZero() {
			continue
		}
		x := c.begun.Sub(c.came).Seconds()
		waits = append(waits, x)
		byStation[c.station] = append(byStation[c.station], x)
		if !c.ended.IsZero() {
			ends = append(ends, c.ended.Sub(w.began).Minutes())
			ways = append(ways, c.ended.Sub(c.came).Seconds())
		}
		from := w.window / 4
		switch {
		case c.station == 0:
			big = append(big, x)
		case w.of[c.station] == 1 && c.arrives > from && c.arrives < from+30*time.Second:
			crowd = append(crowd, x)
		}
	}
	var means []float64
	for _, xs := range byStation {
		means = append(means, sum(xs)/float64(len(xs)))
	}
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("seed %d: %d stations, %d jobs, %d workers, lease %s", w.seed, w.stations, len(w.clips), w.workers, w.lease)
	say("duplicates %d, lost %d, wrong %d, stuck %d, poisoned %d, overtaken %d", v.doubles, v.lost, v.wrong, v.stuck, v.poisoned, v.starved)
	say("99 %% ended after %.1f min, that is %.0f jobs a minute; all after %s", at(ends, 0.99), 0.99*float64(len(ends))/at(ends, 0.99), w.took.Round(time.Second))
	say("it took %.1f s, %.0f jobs a second", real.Seconds(), float64(len(w.clips))/real.Seconds())
	say("from the cloud to the end: median %.1f s, 99th percentile %.1f s, longest %.1f s", at(ways, 0.5), at(ways, 0.99), at(ways, 1))
	say("waits for a worker: median %.1f s, 99th percentile %.1f s, longest %.1f s", at(waits, 0.5), at(waits, 0.99), at(waits, 1))
	say("means of stations: median %.1f s, 99th percentile %.1f s, Jain's index %.2f", at(means, 0.5), at(means, 0.99), jain(means))
	say("station with %d clips at once: median %.1f s, longest %.1f s; %d stations with 1 clip within 30 s of it: median %.1f s, longest %.1f s",
		len(big), at(big, 0.5), at(big, 1), len(crowd), at(crowd, 0.5), at(crowd, 1))
	names := make([]string, 0, len(w.faults.n))
	for name := range w.faults.n {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, w.faults.n[name])
	}
	say("faults: %s", strings.Join(names, ", "))
	for _, e := range v.examples {
		say("  %s", e)
	}
	return b.String()
}

func sum(xs []float64) (s float64) {
	for _, x := range xs {
		s += x
	}
	return s
}

// at is the value below which a share of all are, NaN of none.
func at(xs []float64, share float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	xs = slices.Sorted(slices.Values(xs))
	return xs[int(share*float64(len(xs)-1))]
}

// jain is Jain's index of fairness: 1 when all are alike, 1/n when one has all.
func jain(xs []float64) float64 {
	var squares float64
	for _, x := range xs {
		squares += x * x
	}
	return sum(xs) * sum(xs) / (float64(len(xs)) * squares)
}
