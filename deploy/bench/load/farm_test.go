package load

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cattlecounter/deploy/process"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/deploy/testkit/port"
	"cattlecounter/deploy/testkit/smalldisk"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

const (
	farmSize  = 200_000 // bytes of a file
	farmFiles = 2000    // at most in a soak, so that the disk of the cloud holds them
)

// farm is an installation on one machine: cloud-api with SQLite, footage on its disk and the built-in broker, one worker,
// and one station with the real edge-agent. The data of the cloud and the spool of the station are file systems of their
// own, which a test can fill. A program that ends is started again, as systemd does.
type farm struct {
	tb                testing.TB
	dir, config       string
	web, mqtt         int
	cloud, spool      string // the two file systems
	api, worker, edge *supervised
	rest              []byte
	recorded          []*clip // by name of the file, after the recording
}

// newFarm builds the programs and starts the farm. It ends with the test. Only root can mount the file systems.
func newFarm(tb testing.TB) *farm {
	tb.Helper()
	f := &farm{tb: tb, dir: tb.TempDir(), rest: newBytes(farmSize)}
	f.cloud, f.spool = smalldisk.Mount(tb, "1g"), smalldisk.Mount(tb, "160m")
	f.web, f.mqtt = port.Number(tb, port.Free(tb)), port.Number(tb, port.Free(tb))
	for _, d := range []string{"logs", "card/DCIM"} {
		must.Do(tb, os.MkdirAll(f.path(d), 0o750))
	}
	build := exec.CommandContext(tb.Context(), "go", "build", "-o", f.dir+"/", "./cloud/cmd/cloud-api", "./edge/cmd/edge-agent")
	build.Dir, build.Env = "../../..", append(os.Environ(), "CGO_ENABLED=0")
	run(tb, build)
	f.config = f.path("cloud.yaml")
	must.Do(tb, os.WriteFile(f.config, fmt.Appendf(nil, `
data: %s
http: {listen: "127.0.0.1:%d", open_reading: true, idle_timeout: 10s}
mqtt: {embedded_listen: "127.0.0.1:%d"}
intake: {min_free: 1MiB}
worker: {lease: 10s, max_deliveries: 100}
`, f.cloud, f.web, f.mqtt), 0o600))
	token := addDevices(tb, f.config, []string{"dock"})["dock"]
	must.Do(tb, os.WriteFile(f.path("edge.yaml"), fmt.Appendf(nil, `
site: %s
device: dock
token: %s
cloud: {url: %q, idle_timeout: 10s}
mqtt: {url: "tcp://127.0.0.1:%d"}
watch: {folders: [%q], stable: 1s, sidecar: 500ms, poll: 200ms, delete_confirmed: true}
spool: {dir: %q, min_free: 32MiB}
`, site, token, f.url(), f.mqtt, f.path("card"), filepath.Join(f.spool, "spool")), 0o600))
	worker, err := os.Executable()
	must.Do(tb, err)
	f.api = f.supervise("farm-cloud-api", nil, f.path("cloud-api"), "serve", "--config", f.config)
	f.worker = f.supervise("farm-worker", []string{workerConfig + "=" + f.config}, worker)
	f.edge = f.supervise("farm-edge-agent", nil, f.path("edge-agent"), "run", "--config", f.path("edge.yaml"))
	tb.Cleanup(f.stop) // before the file systems are unmounted
	return f
}

func (f *farm) path(name string) string { return filepath.Join(f.dir, name) }

func (f *farm) url() string { return fmt.Sprintf("http://127.0.0.1:%d", f.web) }

// record puts one file after the other onto the card until ctx ends.
func (f *farm) record(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		c := newClip(0, f.rest)
		part := f.path("card/" + name(c) + ".part")
		err := os.WriteFile(part, append(append([]byte{}, c.head...), c.rest...), 0o600)
		if err == nil {
			err = os.Rename(part, f.path("card/DCIM/"+name(c)))
		}
		if err != nil {
			f.tb.Error(err)
			return
		}
		f.recorded = append(f.recorded, c)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// name is the name of a clip on the card.
func name(c *clip) string { return string(c.id) + ".MP4" }

// full leaves a disk of the farm no room while during runs.
func (f *farm) full(dir string, during func()) {
	f.tb.Helper()
	defer smalldisk.Fill(f.tb, dir)()
	during()
}

// shortly is for a cloud that may be ending.
var shortly = &http.Client{Timeout: 10 * time.Second}

// stats asks the cloud how much it has; ok is false while it does not answer.
func (f *farm) stats() (s wire.Stats, ok bool) {
	err := get(f.tb.Context(), shortly, f.url()+"/api/v1/stats", &s)
	return s, err == nil
}

// counted waits until end for counts of more files than the cloud has footage now, so of files that are sent from now on.
func (f *farm) counted(more int, end time.Time) {
	f.tb.Helper()
	want := 0
	eventually(f.tb, "the cloud of the farm answers", time.Until(end), func() bool {
		s, ok := f.stats()
		want = s.Footage + more
		return ok
	})
	eventually(f.tb, fmt.Sprintf("the farm has %d counts", want), time.Until(end), func() bool {
		s, ok := f.stats()
		return ok && s.Counts >= want
	})
}

// account waits until all is counted and the card is empty, together for limit. Then it compares what was recorded with
// what there is; every difference fails the test.
func (f *farm) account(limit time.Duration) {
	f.tb.Helper()
	end := time.Now().Add(limit)
	eventually(f.tb, fmt.Sprintf("the %d files of the farm are counted", len(f.recorded)), limit, func() bool {
		s, ok := f.stats()
		return ok && s.Counts >= len(f.recorded)
	})
	eventually(f.tb, "the station deletes every confirmed file from the card", time.Until(end), func() bool {
		left, err := os.ReadDir(f.path("card/DCIM"))
		return err == nil && len(left) == 0
	})
	there := listFootage(f.tb, f.url())
	if len(there) != len(f.recorded) {
		f.tb.Errorf("the ledger of the farm has %d pieces of footage, %d were recorded", len(there), len(f.recorded))
	}
	byName := map[string]wire.Footage{}
	for _, v := range there {
		if v.DuplicateOf == "" {
			byName[v.Name] = v
		}
	}
	var found []*clip
	for _, c := range f.recorded {
		v, ok := byName[name(c)]
		want := animals(c.sum)
		switch {
		case !ok:
			f.tb.Errorf("%s was deleted from the card and is lost", name(c))
			continue
		case v.SHA256 != c.sum || v.Size != c.size():
			f.tb.Errorf("%s: digest %s, %d bytes", name(c), v.SHA256, v.Size)
		case v.Job == nil || v.Job.State != job.Done || v.Count == nil || v.Count.Unique != want:
			f.tb.Errorf("%s: job %+v, count %+v, want %d", name(c), v.Job, v.Count, want)
		}
		found = append(found, &clip{id: v.ID, sum: c.sum})
	}
	compareBlobs(f.tb, f.config, os.Environ(), found)
}

// String says what was recorded and how often programs have ended.
func (f *farm) String() string {
	return fmt.Sprintf("farm: %d files of %d bytes; started again: cloud-api %d times, worker %d times, edge-agent %d times",
		len(f.recorded), f.recorded[0].size(), f.api.restarts(), f.worker.restarts(), f.edge.restarts())
}

// stop ends everything. It shows the logs of a failed run.
func (f *farm) stop() {
	for _, s := range []*supervised{f.edge, f.worker, f.api} {
		if err := s.stop(); err != nil {
			f.tb.Error(err)
		}
		if log := s.child().Log; f.tb.Failed() {
			f.tb.Logf("end of %s:\n%s", log, s.child().Tail(3000))
		}
	}
}

// supervised is a program that is started again after each end.
type supervised struct {
	mu    sync.Mutex
	now   *process.Child
	ended int // how often it has ended by itself or was killed
	end   context.CancelFunc
	done  chan struct{}
	err   error // of the end; valid after done
}

// supervise starts a program. stop ends it.
func (f *farm) supervise(name string, env []string, program string, args ...string) *supervised {
	f.tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &supervised{end: cancel, done: make(chan struct{})}
	start := func() (*process.Child, error) { return process.Start(name, f.path("logs"), env, program, args...) }
	var err error
	s.now, err = start()
	must.Do(f.tb, err)
	go func() {
		defer close(s.done)
		for {
			select {
			case <-ctx.Done():
				s.err = s.child().Stop(time.Minute)
				return
			case <-s.child().Done():
			}
			pause := time.NewTimer(time.Second) // as RestartSec of systemd
			select {
			case <-ctx.Done():
				pause.Stop()
				return
			case <-pause.C:
			}
			c, err := start()
			if err != nil {
				s.err = err
				return
			}
			s.mu.Lock()
			s.now, s.ended = c, s.ended+1
			s.mu.Unlock()
		}
	}()
	return s
}

func (s *supervised) child() *process.Child {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// restarts is how often the program was started again.
func (s *supervised) restarts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

func (s *supervised) stop() error {
	s.end()
	<-s.done
	return s.err
}

// faults are the kinds of faults of a farm.
func (f *farm) faults() []fault {
	some := func(r *rand.Rand) func() {
		return func() { waitFor(f.tb.Context(), time.Duration(1+r.IntN(8))*time.Second) }
	}
	return []fault{
		{"disk of the farm's cloud full", true, func(r *rand.Rand) { f.full(f.cloud, some(r)) }},
		{"disk of the farm's station full", true, func(r *rand.Rand) { f.full(f.spool, some(r)) }},
		{"program of the farm killed", true, func(r *rand.Rand) {
			[]*supervised{f.api, f.worker, f.edge}[r.IntN(3)].child().Kill()
		}},
	}
}

// TestFarmWithFullDisks fills the disk of the cloud and then that of the station while files come. Both must wait and go
// on by themselves. The cloud must not end. With SOAK, faults in random order follow for that time. Without it the test
// takes one to two minutes, because the station waits for one after the cloud has refused a file for its full disk.
func TestFarmWithFullDisks(t *testing.T) {
	if testing.Short() {
		t.Skip("needs servers: skipped with -short")
	}
	long, every, end := soakTime(t, 0), time.Second, farmEnd(t, 10*time.Minute)
	if long > 0 {
		every, end = max(long/farmFiles, 300*time.Millisecond), farmEnd(t, long+20*time.Minute)
	}
	f := newFarm(t)
	recording, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { f.record(recording, every) })
	defer wg.Wait()
	defer stop()
	f.counted(2, end)
	f.full(f.cloud, func() {
		eventually(t, "the station waits for room in the cloud", time.Until(end), func() bool { return f.waits("full") })
	})
	f.counted(5, end)
	f.full(f.spool, func() {
		before := f.edge.restarts()
		eventually(t, "the station waits for room in the spool, or is started again", time.Until(end), func() bool {
			return f.waits("space") || f.edge.restarts() > before
		})
	})
	f.counted(5, end)
	if n := f.api.restarts() + f.worker.restarts(); n != 0 {
		t.Errorf("cloud-api and worker have ended %d times", n)
	}
	seed := rand.Uint64()
	n := repeat(t, rand.New(rand.NewPCG(seed, 0)), f.faults(), long)
	stop()
	wg.Wait()
	f.account(time.Until(end))
	t.Logf("%s; seed %d, faults %v", f, seed, n)
}

// farmEnd is when all waits of a test end: after limit, or a minute before the limit of the package. So a test whose
// wait does not succeed ends by itself and shows the logs.
func farmEnd(t *testing.T, limit time.Duration) time.Time {
	t.Helper()
	end := time.Now().Add(limit)
	if last, ok := t.Deadline(); ok && last.Add(-time.Minute).Before(end) {
		return last.Add(-time.Minute)
	}
	return end
}

// waits reports whether the station says of footage that it waits for a reason with this word.
func (f *farm) waits(word string) bool {
	out, err := exec.CommandContext(f.tb.Context(), f.path("edge-agent"), "status", "--json", "--config", f.path("edge.yaml")).Output()
	if err != nil {
		return false // it is not running
	}
	var st struct{ Footage []struct{ Waiting string } }
	must.Do(f.tb, json.Unmarshal(out, &st))
	return slices.ContainsFunc(st.Footage, func(v struct{ Waiting string }) bool { return strings.Contains(v.Waiting, word) })
}
