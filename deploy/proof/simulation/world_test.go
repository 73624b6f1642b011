package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cattlecounter/cloud/server/intake"
	"cattlecounter/cloud/store/blob/disk"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/cloud/store/queue/azure"
	"cattlecounter/cloud/store/queue/embedded"
	"cattlecounter/cloud/worker"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// options of a simulation.
type options struct {
	seed       uint64
	stations   int // the first has large clips, one in a hundred has busyClips, and the others have one
	large      int
	workers    int
	lease      time.Duration
	deliveries int           // before a job is poisoned
	limit      time.Duration // jobs that have not ended this long after the last footage are stuck
	rates      rates
	without    rules
	backEnd    string // "embedded" or "azure", of the queue
	fair       bool   // few stations with clips at the same time, for fairWorld
}

// rules names the rules to take out, to show that the checks find it.
type rules struct{ fence, reconciler, order, turns bool }

const (
	busyClips      = 20
	load           = 0.6 // share of the workers' time that the footage takes
	meanCountTime  = 4 * time.Second
	truncatedShare = 0.02
	poisonEnd      = -1 // stands for a fence in clip.endFences
)

// clip is one piece of footage and what happened to it. The first block is set before the world starts. The world's
// mutex guards the rest.
type clip struct {
	id        footage.ID
	station   int
	arrives   time.Duration // after the start
	countTime time.Duration
	truncated bool
	animals   int

	job         string
	arrived     time.Time // in the cloud
	asked       time.Time // first call to send a message to the queue
	sent        time.Time // its first message to the queue
	delivered   time.Time // first
	begun       time.Time // first
	ended       time.Time // first
	messageLost bool
	endFences   []int64 // fences of the attempts whose end the ledger accepted, or poisonEnd
}

// world is stations, cloud and workers.
type world struct {
	options
	clips  []*clip
	window time.Duration // in which the footage arrives
	faults faultCounts
	ledger *ledger.Ledger
	blobs  *disk.Store
	queue  *faultyQueue

	began     time.Time
	simulated time.Duration // how long the run took
	wanted    atomic.Int32  // number of workers
	scaled    time.Time     // when scale last set wanted; only run uses it

	mu      sync.Mutex
	byID    map[footage.ID]*clip
	byJob   map[string]*clip
	clipsOf map[int]int // number of clips by station
	waiting int         // clips of the large station that have not been delivered
}

// newWorld draws the clips of all stations from the seed.
func newWorld(o options) *world {
	w := &world{options: o, byID: map[footage.ID]*clip{}, byJob: map[string]*clip{}, clipsOf: map[int]int{}}
	r := rand.New(rand.NewPCG(o.seed, 0))
	var work time.Duration
	add := func(station int) {
		c := &clip{
			id: footage.ID(fmt.Sprintf("s%05d-c%03d", station, w.clipsOf[station])), station: station,
			countTime: time.Duration(min(r.ExpFloat64(), 5) * float64(meanCountTime)),
			truncated: r.Float64() < truncatedShare, animals: r.IntN(300),
		}
		work += c.countTime
		w.clipsOf[station]++
		w.clips = append(w.clips, c)
		w.byID[c.id] = c
	}
	if o.fair {
		w.drawRivals(add)
		return w
	}
	for s := range o.stations {
		n := 1
		switch {
		case s == 0:
			n = o.large
		case s%100 == 0:
			n = busyClips
		}
		for range n {
			add(s)
		}
	}
	w.waiting = w.clipsOf[0]
	w.window = time.Duration(float64(work) / float64(o.workers) / load)
	starts := map[int]time.Duration{}
	for _, c := range w.clips {
		if _, ok := starts[c.station]; !ok {
			starts[c.station] = time.Duration(r.Int64N(int64(w.window)))
		}
		if c.station == 0 { // after a long outage all clips arrive within seconds
			c.arrives = w.window/4 + time.Duration(r.Int64N(int64(10*time.Second)))
			continue
		}
		c.arrives = starts[c.station]
		starts[c.station] += time.Duration(r.Int64N(int64(10 * time.Second)))
	}
	return w
}

// open opens ledger, queue and blob store in the folder dir.
func (w *world) open(t *testing.T, dir string) {
	t.Helper()
	var err error
	w.ledger, err = ledger.Open(t.Context(), filepath.Join(dir, "ledger.db"), ledger.Options{})
	must.Do(t, err)
	var q queue.Queue
	switch w.backEnd {
	case "embedded":
		q, err = embedded.New(t.Context(), w.ledger.DB(), nil)
	case "azure":
		s := newService(w)
		q, err = azure.New(t.Context(), azure.Options{Account: s.account(), Name: "jobs", DB: w.ledger.DB(),
			Client: &http.Client{Transport: s}})
	default:
		t.Fatalf("no queue is %q", w.backEnd)
	}
	must.Do(t, err)
	w.queue = &faultyQueue{Queue: q, w: w, random: rand.New(rand.NewPCG(w.seed, 1))}
	w.blobs, err = disk.New(filepath.Join(dir, "blobs"))
	must.Do(t, err)
}

// run runs stations, intake and workers until every job has ended, at most until the limit.
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
	all.Go(func() { w.queue.loseWaiting(ctx) })
	for i, c := range w.clips {
		all.Go(func() { w.upload(ctx, c, rand.New(rand.NewPCG(w.seed, 2<<32|uint64(i)))) })
	}
	for n := range w.workers {
		all.Go(func() { w.runWorkers(ctx, n, cache) })
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
		ended := s.Jobs[job.Done] + s.Jobs[job.Failed] + s.Jobs[job.Poisoned]
		if ended == len(w.clips) && n == 0 && !w.queue.hasDuplicates() {
			break
		}
	}
	w.simulated = time.Since(w.began)
}

const (
	scaleEvery = 5 * time.Second
	cooldown   = time.Minute
)

// scale sets the number of workers to the number of messages: at once to scale out, and after the cooldown to scale in.
func (w *world) scale(messages int) {
	n := int32(min(max(messages, 1), w.workers))
	if n >= w.wanted.Load() {
		w.wanted.Store(n)
		w.scaled = time.Now()
	}
	if time.Since(w.scaled) > cooldown {
		w.wanted.Store(n)
		w.scaled = time.Now()
	}
}

// upload hands a clip to the cloud in the steps of the end of an upload: blob, record, message, mark. The cloud may
// crash after a step. The station uploads again if the answer was lost.
func (w *world) upload(ctx context.Context, c *clip, r *rand.Rand) {
	wait(ctx, c.arrives)
	key := fmt.Sprintf("footage/%s/original.mp4", c.id)
	content := string(c.id)
	for ctx.Err() == nil {
		w.locked(func() {
			if c.arrived.IsZero() {
				c.arrived = time.Now()
			}
		})
		_, err := w.blobs.Put(ctx, key, strings.NewReader(content))
		var rec ledger.Recorded
		if err == nil {
			rec, err = w.ledger.Footage.Record(ctx, ledger.Footage{
				ID: c.id, Site: "ranch", Device: w.deviceOf(c), Name: "DJI_0001.MP4",
				Size: int64(len(content)), SHA256: footage.Sum([]byte(content)), BlobKey: key,
			})
		}
		if err != nil {
			continue // the writes fail only after ctx has ended
		}
		w.locked(func() {
			c.job = rec.Job.ID
			w.byJob[c.job] = c
		})
		if r.Float64() < w.rates.lost {
			w.faults.add("cloud's answer to the station lost")
			w.noteLostMessage(c.job)
			wait(ctx, time.Duration(r.Int64N(int64(time.Minute))))
			continue
		}
		if r.Float64() < w.rates.crash {
			w.faults.add("cloud crashed before the message")
			w.noteLostMessage(c.job)
			return
		}
		if err := w.queue.Enqueue(ctx, c.job); err != nil {
			return // the reconciler sends the message
		}
		if r.Float64() < w.rates.crash {
			w.faults.add("cloud crashed before the mark")
			return
		}
		_ = w.ledger.Jobs.MarkQueued(ctx, c.job) // fails only after ctx has ended
		return
	}
}

// runWorkers runs one worker process after another, while so many workers are wanted.
func (w *world) runWorkers(ctx context.Context, place int, cache string) {
	for life := 0; ctx.Err() == nil; life++ {
		if int32(place) >= w.wanted.Load() {
			wait(ctx, scaleEvery)
			continue
		}
		alive, kill := context.WithCancel(ctx)
		p := &process{w: w, kill: kill, random: rand.New(rand.NewPCG(w.seed, 3<<32|uint64(place)<<16|uint64(life)))}
		runTime := time.Duration((0.2 + p.random.ExpFloat64()) * float64(15*time.Minute))
		stop := time.AfterFunc(runTime, func() {
			w.faults.add("worker stopped")
			kill()
		})
		go func() {
			for alive.Err() == nil {
				wait(alive, scaleEvery)
				if int32(place) >= w.wanted.Load() && alive.Err() == nil {
					w.faults.add("worker scaled in")
					kill()
				}
			}
		}()
		_ = worker.New(worker.Options{
			Name: fmt.Sprintf("w%d.%d", place, life),
			Jobs: workerJobs{w.ledger.Jobs, p}, Attempts: workerAttempts{w.ledger.Attempts, p},
			Queue: workerQueue{w.queue, p}, Blobs: workerBlobs{w.blobs, p}, Counter: counter{p},
			CacheDir: cache, Lease: w.lease, MaxDeliveries: w.deliveries,
		}).Run(alive) // always nil
		stop.Stop()
		kill()
		wait(ctx, 5*time.Second+time.Duration(p.random.Int64N(int64(30*time.Second))))
	}
}

// locked calls f with the mutex held.
func (w *world) locked(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) clip(id footage.ID) *clip {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.byID[id]
}

func (w *world) noteSent(job string) { w.noteFirst(job, func(c *clip) *time.Time { return &c.sent }) }

func (w *world) noteAsked(job string) { w.noteFirst(job, func(c *clip) *time.Time { return &c.asked }) }

func (w *world) noteBegun(job string) { w.noteFirst(job, func(c *clip) *time.Time { return &c.begun }) }

func (w *world) noteLostMessage(job string) { w.locked(func() { w.byJob[job].messageLost = true }) }

func (w *world) noteDelivered(job string) {
	if w.noteFirst(job, func(c *clip) *time.Time { return &c.delivered }) {
		w.locked(func() {
			if w.byJob[job].station == 0 {
				w.waiting--
			}
		})
	}
}

// noteEnd notes an end that the ledger accepted, by the fence of its attempt, or poisonEnd.
func (w *world) noteEnd(job string, fence int64) {
	w.noteFirst(job, func(c *clip) *time.Time { return &c.ended })
	w.locked(func() { w.byJob[job].endFences = append(w.byJob[job].endFences, fence) })
}

// noteFirst sets the field to the current time if it is zero, and reports whether it did.
func (w *world) noteFirst(job string, field func(*clip) *time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := field(w.byJob[job])
	if !at.IsZero() {
		return false
	}
	*at = time.Now()
	return true
}

// isSmall reports whether the job is of a station with one clip.
func (w *world) isSmall(job string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clipsOf[w.byJob[job].station] == 1
}

// largeWaits reports whether clips of the large station have not been delivered yet.
func (w *world) largeWaits() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting > 0
}
