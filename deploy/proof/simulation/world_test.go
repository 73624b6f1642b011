package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cattlecounter/cloud/server/intake"
	"cattlecounter/cloud/store/blob/disk"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue/embedded"
	"cattlecounter/cloud/worker"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// options of a simulation.
type options struct {
	seed       uint64
	stations   int // of them one in a hundred with clipsOfBusy clips, one with large
	large      int
	workers    int
	lease      time.Duration
	deliveries int           // then a job is poisoned
	limit      time.Duration // after the last footage came, until what has not ended is stuck
	rates      rates
	without    rules
}

// rules can be taken out, to see that the checks find it.
type rules struct{ fence, reconciler, fairness bool }

const (
	clipsOfBusy = 20
	busy        = 0.6 // share of the workers' time that the footage takes
	meanTakes   = 4 * time.Second
	badClips    = 0.02
)

// clip is one piece of footage and what the world saw of it. The world's mutex guards
// what is not set before it starts.
type clip struct {
	id      footage.ID
	station int
	arrives time.Duration // after the start
	takes   time.Duration // to count
	bad     bool          // cut short
	animals int

	job         string
	came        time.Time // at the cloud
	sent        time.Time // its first message, at the queue
	delivered   time.Time // to a worker, for the first time
	begun       time.Time
	ended       time.Time // first
	messageLost bool
	ends        []int64 // fences of the attempts whose end the ledger took, -1 for poisoned
}

// world is stations, cloud and workers.
type world struct {
	options
	clips  []*clip
	window time.Duration // in which the footage comes
	faults tally
	ledger *ledger.Ledger
	blobs  *disk.Store
	queue  *post

	began  time.Time
	took   time.Duration // simulated
	wanted atomic.Int32  // workers
	enough time.Time     // when so many were wanted last; run's own

	mu    sync.Mutex
	byID  map[footage.ID]*clip
	byJob map[string]*clip
	of    map[int]int // clips by station
	left  int         // undelivered ones of the large station
}

func newWorld(o options) *world {
	w := &world{options: o, byID: map[footage.ID]*clip{}, byJob: map[string]*clip{}, of: map[int]int{}}
	r := rand.New(rand.NewPCG(o.seed, 0))
	var work time.Duration
	add := func(station int) {
		c := &clip{
			id: footage.ID(fmt.Sprintf("s%05d-c%03d", station, w.of[station])), station: station,
			takes: time.Duration(min(r.ExpFloat64(), 5) * float64(meanTakes)), bad: r.Float64() < badClips, animals: r.IntN(300),
		}
		work += c.takes
		w.of[station]++
		w.clips = append(w.clips, c)
		w.byID[c.id] = c
	}
	for s := range o.stations {
		n := 1
		switch {
		case s == 0:
			n = o.large
		case s%100 == 0:
			n = clipsOfBusy
		}
		for range n {
			add(s)
		}
	}
	w.left = w.of[0]
	w.window = time.Duration(float64(work) / float64(o.workers) / busy)
	starts := map[int]time.Duration{}
	for _, c := range w.clips {
		if _, ok := starts[c.station]; !ok {
			starts[c.station] = time.Duration(r.Int64N(int64(w.window)))
		}
		if c.station == 0 { // all that a long outage held back, within seconds
			c.arrives = w.window/4 + time.Duration(r.Int64N(int64(10*time.Second)))
			continue
		}
		c.arrives = starts[c.station]
		starts[c.station] += time.Duration(r.Int64N(int64(10 * time.Second)))
	}
	return w
}

// open opens what is real, in a folder.
func (w *world) open(t *testing.T, dir string) {
	t.Helper()
	var err error
	w.ledger, err = ledger.Open(t.Context(), filepath.Join(dir, "ledger.db"), ledger.Options{})
	must.Do(t, err)
	q, err := embedded.New(t.Context(), w.ledger.DB(), nil)
	must.Do(t, err)
	w.queue = &post{Queue: q, w: w, random: rand.New(rand.NewPCG(w.seed, 1))}
	w.blobs, err = disk.New(filepath.Join(dir, "blobs"))
	must.Do(t, err)
}

// run lets time pass until all has ended, or the limit.
func (w *world) run(t *testing.T, cache string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	if !w.without.reconciler {
		in, err := intake.New(intake.Options{Ledger: w.ledger, Stager: w.blobs, Queue: w.queue})
		must.Do(t, err)
		all.Go(func() { _ = in.Run(ctx) })
	}
	all.Go(func() { w.queue.steal(ctx) })
	for i, c := range w.clips {
		all.Go(func() { w.hand(ctx, c, rand.New(rand.NewPCG(w.seed, 2<<32|uint64(i)))) })
	}
	for n := range w.workers {
		all.Go(func() { w.work(ctx, n, cache) })
	}
	w.began = time.Now()
	w.wanted.Store(1)
	for time.Since(w.began) < w.window+w.limit {
		wait(ctx, scaleEvery)
		s, err := w.ledger.Totals.Stats(ctx)
		must.Do(t, err)
		n, err := w.queue.Len(ctx)
		must.Do(t, err)
		w.scale(n)
		if s.Jobs[job.Done]+s.Jobs[job.Failed]+s.Jobs[job.Poisoned] == len(w.clips) && n == 0 && w.queue.empty() {
			break
		}
	}
	w.took = time.Since(w.began)
}

const (
	scaleEvery = 5 * time.Second
	cooldown   = time.Minute
)

// scale wants as many workers as there are messages, at once when they are more, and a
// minute later when they are fewer.
func (w *world) scale(messages int) {
	n := int32(min(max(messages, 1), w.workers))
	if n >= w.wanted.Load() {
		w.wanted.Store(n)
		w.enough = time.Now()
	}
	if time.Since(w.enough) > cooldown {
		w.wanted.Store(n)
		w.enough = time.Now()
	}
}

// hand gives a clip to the cloud as the end of an upload does: blob, record, message,
// mark. The cloud may stop after each, and the station hands it over again when it
// heard no answer.
func (w *world) hand(ctx context.Context, c *clip, r *rand.Rand) {
	wait(ctx, c.arrives)
	key := fmt.Sprintf("footage/%s/original.mp4", c.id)
	content := string(c.id)
	for ctx.Err() == nil {
		w.note(func() {
			if c.came.IsZero() {
				c.came = time.Now()
			}
		})
		_, err := w.blobs.Put(ctx, key, strings.NewReader(content))
		var rec ledger.Recorded
		if err == nil {
			rec, err = w.ledger.Footage.Record(ctx, ledger.Footage{
				ID: c.id, Site: "ranch", Device: fmt.Sprint("station-", c.station), Name: "DJI_0001.MP4", Size: int64(len(content)),
				SHA256: footage.Sum([]byte(content)), BlobKey: key,
			})
		}
		if err != nil {
			continue // ctx ended
		}
		w.note(func() {
			c.job = rec.Job.ID
			w.byJob[c.job] = c
		})
		if r.Float64() < w.rates.lost {
			w.faults.add("cloud does not answer the station")
			w.lostMessage(c.job)
			wait(ctx, time.Duration(r.Int64N(int64(time.Minute))))
			continue
		}
		if r.Float64() < w.rates.crash {
			w.faults.add("cloud stops before the message")
			w.lostMessage(c.job)
			return
		}
		if err := w.queue.Enqueue(ctx, c.job); err != nil {
			return // the reconciler's
		}
		if r.Float64() < w.rates.crash {
			w.faults.add("cloud stops before the mark")
			return
		}
		_ = w.ledger.Jobs.MarkQueued(ctx, c.job) // fails with ctx alone
		return
	}
}

// work is one worker's place: a process, and after its end another one.
func (w *world) work(ctx context.Context, place int, cache string) {
	for life := 0; ctx.Err() == nil; life++ {
		if int32(place) >= w.wanted.Load() {
			wait(ctx, scaleEvery)
			continue
		}
		alive, kill := context.WithCancel(ctx)
		p := &process{w: w, kill: kill, random: rand.New(rand.NewPCG(w.seed, 3<<32|uint64(place)<<16|uint64(life)))}
		stop := time.AfterFunc(time.Duration((0.2+p.random.ExpFloat64())*float64(15*time.Minute)), func() {
			w.faults.add("worker is asked to stop")
			kill()
		})
		go func() {
			for alive.Err() == nil {
				wait(alive, scaleEvery)
				if int32(place) >= w.wanted.Load() && alive.Err() == nil {
					w.faults.add("worker is scaled in")
					kill()
				}
			}
		}()
		_ = worker.New(worker.Options{
			Name: fmt.Sprintf("w%d.%d", place, life), Jobs: jobs{w.ledger.Jobs, p}, Attempts: attempts{w.ledger.Attempts, p}, Queue: line{w.queue, p}, Blobs: blobs{w.blobs, p},
			Counter: counter{p}, CacheDir: cache, Lease: w.lease, MaxDeliveries: w.deliveries,
		}).Run(alive) // always nil
		stop.Stop()
		kill()
		wait(ctx, 5*time.Second+time.Duration(p.random.Int64N(int64(30*time.Second))))
	}
}

func (w *world) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) clip(id footage.ID) *clip {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.byID[id]
}

func (w *world) sent(job string)        { w.first(job, func(c *clip) *time.Time { return &c.sent }) }
func (w *world) begun(job string)       { w.first(job, func(c *clip) *time.Time { return &c.begun }) }
func (w *world) lostMessage(job string) { w.note(func() { w.byJob[job].messageLost = true }) }

func (w *world) delivered(job string) {
	if w.first(job, func(c *clip) *time.Time { return &c.delivered }) {
		w.note(func() {
			if w.byJob[job].station == 0 {
				w.left--
			}
		})
	}
}

// first notes when something happened to a job for the first time.
func (w *world) first(job string, what func(*clip) *time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := what(w.byJob[job])
	if !at.IsZero() {
		return false
	}
	*at = time.Now()
	return true
}

// ended notes an end that the ledger took.
func (w *world) ended(job string, fence int64) {
	w.first(job, func(c *clip) *time.Time { return &c.ended })
	w.note(func() { w.byJob[job].ends = append(w.byJob[job].ends, fence) })
}

// small reports whether a job is of a station with one clip.
func (w *world) small(job string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.of[w.byJob[job].station] == 1
}

// crowded reports whether clips of the large station still wait.
func (w *world) crowded() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.left > 0
}
