package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/faultproxy"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// long makes the fault tests take larger files, some minutes in all: FAULTS=long,
// as `make faults` sets it.
var long = os.Getenv("FAULTS") == "long"

// The agent's waits for a link that is away: the nth try that brings nothing
// waits half of 2^n seconds to one and a half of it.
const (
	oneWait   = 1500 * time.Millisecond
	twoWaits  = 2 * oneWait
	threeTry  = 4 * oneWait
	oneAnswer = 30 * time.Second // of a short question
	// slack is for a machine that is much slower and busy besides.
	slack = 5 * time.Second
)

// scenario is a file on a faulty way.
type scenario struct {
	name   string
	faults string // what is done to the link, for people
	size   int
	large  int           // size with long, 0: the same
	idle   time.Duration // the agent's idle time-out, 0: the stage's
	buffer int           // of the link, 0: the proxy's
	edge   string        // more YAML for the agent
	// network puts the agent into a network of its own; the test skips without root.
	network bool
	// plan is for the next connection, after n faults.
	plan   func(n int, size int64) faultproxy.Faults
	before func(*sending) // anything starts; nil: nothing
	// during is what else happens while the file is on its way; nil: nothing.
	during func(*sending)
	// least is how many faults there must be, within how long each is recovered from.
	least   int
	recover time.Duration
	// twice is how many bytes may arrive twice.
	twice int64
	// check looks at what the scenario is about; nil: the rest is enough.
	check func(*sending)
}

// sending is one scenario under way.
type sending struct {
	*stage
	sc       scenario
	size     int64
	proxy    *faultproxy.Proxy
	net      *network // nil without sc.network
	film     []byte
	dropped  int   // packets, by the kernel
	received int64 // bytes of bodies that an API took that is dead now
}

// TestFaults sends a file through the real agent over every kind of bad link to
// the real intake. Each arrives once, with its digest, and there is one job for it.
func TestFaults(t *testing.T) {
	rep := newReport()
	t.Run("link", func(t *testing.T) {
		for i, sc := range scenarios() {
			t.Run(sc.name, func(t *testing.T) {
				t.Parallel()
				send(t, rep, i, sc)
			})
		}
	})
	rep.write(t)
}

func send(t *testing.T, rep *report, i int, sc scenario) {
	s := &sending{stage: newStage(t), sc: sc, size: int64(sc.size)}
	if long && sc.large > 0 {
		s.size = int64(sc.large)
	}
	if sc.idle > 0 {
		s.idle = sc.idle
	}
	s.edgeMore = sc.edge
	listen := ""
	if sc.network {
		s.net = newNetwork(t)
		s.inside, listen = s.net.inside(), s.net.host+":0"
	}
	if sc.before != nil {
		sc.before(s)
	}
	s.startAPI()
	var err error
	s.proxy, err = faultproxy.New(faultproxy.Options{To: s.url("")[len("http://"):], Listen: listen, Seed: uint64(i), Buffer: sc.buffer,
		Plan: func(st faultproxy.Stats) faultproxy.Faults { return sc.plan(st.Count(), s.size) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.proxy.Close() })
	s.through = s.proxy.Addr()
	s.film = film(i, s.size)
	s.dropBytes(s.film, "DJI_0001.MP4")
	began := time.Now()
	s.startEdge()
	if sc.during != nil {
		sc.during(s)
	}
	s.phase("DJI_0001.MP4", "waiting", 2*time.Minute+time.Duration(s.size/8000)*2*time.Second)
	took := time.Since(began)
	s.arrivedOnce()
	if err := s.edge.Stop(20 * time.Second); err != nil {
		t.Error(err)
	}
	if sc.check != nil {
		sc.check(s)
	}
	if err := s.proxy.Close(); err != nil {
		t.Error(err)
	}
	rep.add(i, s.judge(took))
}

// film is footage of random bytes.
func film(seed int, size int64) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{4, byte(seed)}).Read(b)
	copy(b, "\x00\x00\x00\x20ftypisom")
	return b
}

// arrivedOnce holds that the cloud has the file, every byte of it, and one job.
func (s *sending) arrivedOnce() {
	s.t.Helper()
	sum := sha256.Sum256(s.film)
	want := hex.EncodeToString(sum[:])
	all := s.footage()
	if len(all) != 1 || all[0].SHA256 != want || all[0].DuplicateOf != "" || all[0].Job == nil || all[0].Job.State != job.Queued {
		s.t.Fatalf("in the cloud %+v, want one with %s", all, want)
	}
	kept, err := filepath.Glob(s.path("cloud", "blobs", "footage", all[0].ID, "original-*.mp4"))
	if err != nil || len(kept) != 1 {
		s.t.Fatalf("stored: %v %v", kept, err)
	}
	blob, err := os.ReadFile(kept[0])
	if err != nil || !bytes.Equal(blob, s.film) {
		s.t.Errorf("the stored file is another one: %d bytes, %v", len(blob), err)
	}
	var jobs struct{ Items []struct{ ID string } }
	if err := s.get("/api/v1/jobs", &jobs); err != nil || len(jobs.Items) != 1 {
		s.t.Errorf("%d jobs, want 1; %v", len(jobs.Items), err)
	}
}

// judge holds the bounds and returns the scenario's line of the report.
func (s *sending) judge(took time.Duration) row {
	s.t.Helper()
	st := s.proxy.Stats()
	twice := s.received + s.bodies() - s.size
	recovered := st.Recoveries()
	n := st.Count()
	if n < s.sc.least {
		s.t.Errorf("%d faults, want %d at least: %+v", n, s.sc.least, st.Faults)
	}
	// The last may fall on a question after the file was there.
	if open := n - len(recovered); open > 1 || open == 1 && !st.Faults[n-1].Recovered.IsZero() {
		s.t.Errorf("nothing followed on %d of %d faults: %+v", open, n, st.Faults)
	}
	if n > 0 && len(recovered) > 0 && recovered[len(recovered)-1] > s.sc.recover+slack {
		s.t.Errorf("a recovery took %s, at most %s: %v", recovered[len(recovered)-1], s.sc.recover, recovered)
	}
	if twice < 0 || twice > s.sc.twice {
		s.t.Errorf("%d bytes came twice, at most %d", twice, s.sc.twice)
	}
	if again := st.Up.Lost + twice; again > int64(n)*footage.ChunkSize {
		s.t.Errorf("%d bytes had to be sent again after %d faults, more than a block for each", again, n)
	}
	return row{scenario: s.sc.name, faults: s.sc.faults, count: n + s.dropped, size: s.size, lost: st.Up.Lost, twice: twice, recovered: recovered, took: took}
}

// bodies is how many bytes of request bodies the running API has read.
func (s *sending) bodies() int64 {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url("/metrics"), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "cattle_upload_bytes_total "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return int64(n)
		}
	}
	s.t.Fatalf("no upload_bytes_total in the metrics:\n%s", b)
	return 0
}

// until waits for the link.
func (s *sending) until(ok func(faultproxy.Stats) bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	if err := s.proxy.Wait(ctx, ok); err != nil {
		s.t.Fatal(err)
	}
}

// happened waits for so many faults of a kind.
func (s *sending) happened(k faultproxy.Kind, n int) {
	s.t.Helper()
	s.until(func(st faultproxy.Stats) bool { return st.Count(k) >= n })
}
