package simulation

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/server/retention"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// verdict is what the checks found after a run.
type verdict struct {
	doubles   int // jobs with more than one end, and results that no job names
	lost      int // footage without a job, or whose job ended without its count
	wrong     int // counts that differ from the clip's, or are not of the attempt that the ledger names
	stuck     int // jobs that have not ended
	poisoned  int
	overtaken int // jobs that a later one overtook in the queue, although their own message was not lost
	examples  []string
	jain      float64 // of the shares of stations, of a fair world only
}

// add counts one fault in n, a field of v, and keeps the first three of each field as examples.
func (v *verdict) add(n *int, format string, args ...any) {
	*n++
	if *n <= 3 {
		v.examples = append(v.examples, fmt.Sprintf(format, args...))
	}
}

// orderTolerance is how much later than a younger job a job may be delivered. A worker polls every half second.
const orderTolerance = time.Second

// check compares the ledger and the blobs with the clips, and with the writes that the ledger accepted during the run.
func (w *world) check(t *testing.T) (v verdict) {
	t.Helper()
	jobs, counts := w.readLedger(t)
	for _, c := range w.clips {
		j, ok := jobs[c.id]
		n, counted := counts[c.id]
		slices.Sort(c.endFences)
		c.endFences = slices.Compact(c.endFences)
		switch {
		case !ok:
			v.add(&v.lost, "%s has no job", c.id)
			continue
		case !j.State.Ended():
			v.add(&v.stuck, "%s is %s, attempt %d, since %s", c.id, j.State, j.Attempt, j.Updated.Format(time.TimeOnly))
			continue
		case len(c.endFences) > 1:
			v.add(&v.doubles, "%s was ended by the attempts with fences %v", c.id, c.endFences)
			continue
		case j.State == job.Poisoned:
			v.add(&v.poisoned, "%s: %s", c.id, j.Reason)
			continue
		case len(c.endFences) == 0 || c.endFences[0] != j.Fence:
			v.add(&v.wrong, "%s is %s with fence %d, but the accepted ends have fences %v", c.id, j.State, j.Fence, c.endFences)
		case !c.truncated && !counted:
			v.add(&v.lost, "%s is %s without a count", c.id, j.State)
		case c.truncated && (j.State != job.Failed || counted),
			!c.truncated && (j.State != job.Done || n.Job != j.ID || n.Unique != c.animals):
			v.add(&v.wrong, "%s (truncated: %t, %d animals) is %s with the count %+v", c.id, c.truncated, c.animals, j.State, n)
		case !c.truncated:
			if got := w.readResult(t, j.ResultKey); got != c.animals {
				v.add(&v.wrong, "%s: the result has %d animals, want %d", c.id, got, c.animals)
			}
		}
	}
	w.sweep(t)
	w.checkResults(t, jobs, &v)
	w.checkOrder(&v)
	if w.fair {
		v.jain = w.shares()
	}
	return v
}

// sweep deletes what attempts left that another one replaced, as cloud-api does an hour later: a worker that wrote a result
// and crashed can leave it.
func (w *world) sweep(t *testing.T) {
	t.Helper()
	l := &retention.Leftovers{Jobs: w.ledger.Jobs, Documents: w.ledger.Flights, Blobs: w.blobs, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Now().Add(2 * time.Hour) }}
	must.Get(l.Sweep(t.Context()))(t)
}

// checkResults checks that each done job has one result, and each failed job none. A job in another state may have a
// result, because the worker writes it before the ledger.
func (w *world) checkResults(t *testing.T, jobs map[footage.ID]ledger.Job, v *verdict) {
	t.Helper()
	for b, err := range w.blobs.List(t.Context(), "footage/") {
		must.Do(t, err)
		parts := strings.Split(b.Key, "/")
		j := jobs[footage.ID(parts[1])]
		isResult := parts[2] == "result" && strings.HasSuffix(b.Key, ".json")
		if isResult && (j.State == job.Done || j.State == job.Failed) && j.ResultKey != b.Key {
			v.add(&v.doubles, "%s is a result that no job names", b.Key)
		}
	}
}

// readLedger returns all jobs and counts of the ledger by footage.
func (w *world) readLedger(t *testing.T) (map[footage.ID]ledger.Job, map[footage.ID]ledger.Count) {
	t.Helper()
	jobs, counts := map[footage.ID]ledger.Job{}, map[footage.ID]ledger.Count{}
	for after := int64(0); ; {
		page, err := w.ledger.Changes.Jobs(t.Context(), after, 1000)
		must.Do(t, err)
		if len(page) == 0 {
			break
		}
		for _, j := range page {
			if _, ok := jobs[j.Job.Footage]; ok {
				t.Errorf("%s has two jobs", j.Job.Footage)
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

// readResult returns the number of animals in a result document.
func (w *world) readResult(t *testing.T, key string) int {
	t.Helper()
	r, err := w.blobs.Open(t.Context(), key, 0, -1)
	must.Do(t, err)
	defer r.Close()
	var doc report.Result
	must.Do(t, json.NewDecoder(r).Decode(&doc))
	return doc.Count.Unique
}

// checkOrder checks that the queue delivers the jobs of each station in the order in which they were sent, and that
// stations take turns: while the next job of one waits, no other one is served over and over.
func (w *world) checkOrder(v *verdict) {
	lines := map[int][]*clip{}
	for _, c := range w.clips {
		if !c.messageLost && !c.sent.IsZero() && !c.delivered.IsZero() {
			lines[c.station] = append(lines[c.station], c)
		}
	}
	for station, line := range lines {
		slices.SortFunc(line, func(a, b *clip) int { return a.sent.Compare(b.sent) })
		w.checkLine(v, line)
		w.checkTurns(v, station, lines)
	}
}

// checkLine checks the order of the clips of one station. Calls to send that overlap may get their places in any order: a
// service can be slow to answer.
func (w *world) checkLine(v *verdict, clips []*clip) {
	for _, c := range clips {
		for _, o := range clips {
			if o.asked.After(c.sent) && c.delivered.Sub(o.delivered) > orderTolerance {
				v.add(&v.overtaken, "%s was sent %s before %s, but delivered %s after it",
					c.id, o.sent.Sub(c.sent), o.id, c.delivered.Sub(o.delivered))
				break
			}
		}
	}
}

// mostTurns is how often another station may be served while the next clip of a station waits: once in its turn, and once
// more where a fault brought a job back or a worker had asked before.
const mostTurns = 2

// checkTurns checks that no other station is served more often than mostTurns while the next clip of one waits.
func (w *world) checkTurns(v *verdict, station int, lines map[int][]*clip) {
	var served time.Time // when the station was served last
	for _, c := range lines[station] {
		since := c.sent
		if served.After(since) {
			since = served
		}
		for other, line := range lines {
			turns := 0
			for _, o := range line {
				if o.delivered.After(since.Add(orderTolerance)) && o.delivered.Before(c.delivered) {
					turns++
				}
			}
			if other != station && turns > mostTurns {
				v.add(&v.overtaken, "%s waited for %s while station %d was served %d times", c.id, c.delivered.Sub(since), other, turns)
			}
		}
		if c.delivered.After(served) {
			served = c.delivered
		}
	}
}
