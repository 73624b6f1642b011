package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/faultproxy"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/deploy/testkit/smalldisk"
	"cattlecounter/shared/topic"
)

// slow is how long a soak is that has the slow faults, too.
const slow = time.Minute

// soakTime is the time SOAK, or another one without it.
func soakTime(t *testing.T, otherwise time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("SOAK")
	if text == "" {
		return otherwise
	}
	long, err := time.ParseDuration(text)
	if err != nil || long <= 0 || long > 24*time.Hour {
		t.Fatalf("SOAK=%q is not a time up to 24h, such as 30m", text)
	}
	return long
}

// TestSoak sends clips for the time SOAK while one fault follows another, then lets everything settle, and accounts for
// every clip.
func TestSoak(t *testing.T) {
	long := soakTime(t, 8*time.Second)
	if testing.Short() {
		t.Skip("needs servers: skipped with -short")
	}
	devices := names(setting(t, "LOAD_STATIONS", 100))
	senders := min(setting(t, "LOAD_UPLOADS", 12), len(devices))
	o := options{clouds: setting(t, "LOAD_CLOUDS", 3), workers: setting(t, "LOAD_WORKERS", 3), devices: devices, clocks: long >= slow}
	if os.Getuid() == 0 {
		o.small = smalldisk.Mount(t, "64m")
	}
	s := newStage(t, o)
	if o.small != "" && o.clocks {
		s.farm = newFarm(t)
	}
	links := s.lossyLinks()
	published := listen(t, s.mqtt)
	all := startStations(t, s.mqtt, devices)
	all.wait(t, 2*time.Minute)

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	sending, end := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	clips := make([][]*clip, senders)
	for i := range senders {
		wg.Go(func() { clips[i] = s.sendUntil(sending, i, links, all) })
	}
	if s.farm != nil {
		wg.Go(func() { s.farm.record(sending, max(long/farmFiles, 500*time.Millisecond)) })
	}
	n := s.faults(seed, long)
	end()
	wg.Wait()
	var sent []*clip
	retries := 0
	for _, cs := range clips {
		for _, c := range cs {
			sent, retries = append(sent, c), retries+c.retries
		}
	}
	s.settle(5*time.Minute, sent)
	s.account(sent, published)
	s.stationsOnline(len(devices), 2*time.Minute)
	if s.farm != nil {
		s.farm.account(10 * time.Minute)
		t.Log(s.farm)
	}
	t.Logf("%s: %d clips of %d bytes, %d attempts more than clips, %d vitals and states; faults %v", long, len(sent), sent[0].size(), retries, all.sent.Load(), n)
	for name, u := range usage(t) {
		t.Logf("%s: %.0f MiB now, largest peak %.0f MiB", name, u.sum, u.peak)
	}
	all.stop()
	published.stop()
}

// lossyLinks are proxies in front of the clouds that reset one connection in some megabytes.
func (s *stage) lossyLinks() (urls []string) {
	for _, port := range s.ports {
		p, err := faultproxy.New(faultproxy.Options{To: fmt.Sprintf("127.0.0.1:%d", port),
			Plan: func(faultproxy.Stats) faultproxy.Faults { return faultproxy.Faults{Loss: 0.0005} }})
		must.Do(s.tb, err)
		s.tb.Cleanup(func() { _ = p.Close() })
		urls = append(urls, "http://"+p.Addr())
	}
	return urls
}

// sendUntil sends one clip after the other; the last one is finished.
func (s *stage) sendUntil(ctx context.Context, device int, clouds []string, all *stations) (sent []*clip) {
	send, rest := newSender(s, clouds), newBytes(setting(s.tb, "LOAD_SIZE", 2_000_000))
	pause := time.Duration(setting(s.tb, "LOAD_PAUSE", 1)) * time.Millisecond
	for ; ctx.Err() == nil; waitFor(ctx, pause) {
		c := newClip(device, rest)
		all.footage(device, c.id, topic.Uploading, c.size(), 0)
		limit, cancel := context.WithTimeout(s.tb.Context(), 5*time.Minute)
		err := send.send(limit, c)
		cancel()
		if err != nil {
			s.tb.Error(err)
			return sent
		}
		all.footage(device, c.id, topic.Uploaded, c.size(), c.size())
		sent = append(sent, c)
	}
	return sent
}

// fault is one kind of fault. A slow one is left to soaks of a minute and more.
type fault struct {
	name string
	slow bool
	do   func(r *rand.Rand)
}

// faults makes one fault after the other for a time: every kind once in random order, then every kind again. Each ends
// before the next begins. It returns how many there were.
func (s *stage) faults(seed uint64, long time.Duration) map[string]int {
	r := rand.New(rand.NewPCG(seed, 0))
	kinds := []fault{
		{"cloud killed", false, func(r *rand.Rand) {
			i := r.IntN(s.clouds)
			s.running[i].Kill()
			s.running[i] = s.startCloud(i)
		}},
		{"worker killed", false, func(r *rand.Rand) {
			i := r.IntN(s.workers)
			s.counting[i].Kill()
			s.counting[i] = s.startWorker(i)
		}},
		{"database crashed", false, func(*rand.Rand) {
			must.Do(s.tb, s.database.Stop())
			must.Do(s.tb, s.database.Start())
		}},
		{"cloud paused", true, func(r *rand.Rand) {
			s.pause(s.running[r.IntN(s.clouds)].PID(), time.Duration(1+r.IntN(4))*time.Second)
		}},
		{"worker paused beyond its lease", true, func(r *rand.Rand) { s.pause(s.counting[r.IntN(s.workers)].PID(), 12*time.Second) }},
		{"storage cut off", false, func(r *rand.Rand) {
			must.Do(s.tb, s.link.Refuse())
			s.link.Sever()
			s.wait(time.Duration(1+r.IntN(3)) * time.Second)
			must.Do(s.tb, s.link.Accept())
		}},
		{"broker killed", false, func(*rand.Rand) {
			s.broker.Kill()
			s.broker = s.startMosquitto()
		}},
		{"clock stepped", true, func(r *rand.Rand) { s.stepClock(r.IntN(s.clouds), time.Duration(r.IntN(20*60)-10*60)*time.Second) }},
		{"disk of a worker full", true, func(r *rand.Rand) { s.fillDisk(time.Duration(1+r.IntN(4)) * time.Second) }},
	}
	if f := s.farm; f != nil {
		kinds = append(kinds, f.faults()...)
	}
	if long < slow {
		kinds = slices.DeleteFunc(kinds, func(k fault) bool { return k.slow })
	}
	return repeat(s.tb, r, kinds, long)
}

// repeat makes every kind of fault once in random order, then every kind again, for a time.
func repeat(tb testing.TB, r *rand.Rand, kinds []fault, long time.Duration) map[string]int {
	n := map[string]int{}
	for i, end := 0, time.Now().Add(long); time.Now().Before(end); i++ {
		if i%len(kinds) == 0 {
			r.Shuffle(len(kinds), func(a, b int) { kinds[a], kinds[b] = kinds[b], kinds[a] })
		}
		k := kinds[i%len(kinds)]
		k.do(r)
		n[k.name]++
		waitFor(tb.Context(), time.Duration(300+r.IntN(1000))*time.Millisecond)
	}
	return n
}

// wait lets the programs work for a time.
func (s *stage) wait(d time.Duration) { waitFor(s.tb.Context(), d) }

func waitFor(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (s *stage) pause(pid int, d time.Duration) {
	must.Do(s.tb, syscall.Kill(pid, syscall.SIGSTOP))
	s.wait(d)
	must.Do(s.tb, syscall.Kill(pid, syscall.SIGCONT))
}

// stepClock lets the clock of a cloud be wrong for some seconds: it steps there and back.
func (s *stage) stepClock(cloud int, wrong time.Duration) {
	s.setClock(cloud, wrong)
	eventually(s.tb, fmt.Sprintf("cloud %d shows a time that is wrong by %s", cloud, wrong), 20*time.Second, func() bool {
		return (s.errorOf(cloud) - wrong).Abs() < 4*time.Second
	})
	s.wait(5 * time.Second)
	s.setClock(cloud, 0)
}

// errorOf returns the error of a cloud's clock by the date in its answer; an impossible one if there is no answer.
func (s *stage) errorOf(cloud int) time.Duration {
	req, err := http.NewRequestWithContext(s.tb.Context(), http.MethodGet, s.url(cloud)+"/healthz", nil)
	must.Do(s.tb, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 1e6 * time.Hour
	}
	_ = resp.Body.Close()
	date, err := http.ParseTime(resp.Header.Get("Date"))
	must.Do(s.tb, err)
	return time.Until(date)
}

// fillDisk leaves the first worker no room for footage for a time.
func (s *stage) fillDisk(d time.Duration) {
	if s.small == "" {
		return // only root can mount a small disk
	}
	path := filepath.Join(s.small, "filler")
	_ = os.WriteFile(path, make([]byte, 64<<20), 0o600) // it fails when the disk is full
	s.wait(d)
	must.Do(s.tb, os.Remove(path))
}
