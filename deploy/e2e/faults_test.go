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

// long selects larger files, some minutes in all: FAULTS=long, which `make faults` sets.
var long = os.Getenv("FAULTS") == "long"

// The agent's backoff: after the nth failed try it waits between 0.5 and 1.5 times 2^n seconds.
const (
	oneWait    = 1500 * time.Millisecond
	twoWaits   = 2 * oneWait
	threeTry   = 4 * oneWait
	answerTime = 30 * time.Second // limit of a short request
	// slack is for a slow and busy machine.
	slack = 10 * time.Second
)

// scenario is one file over one kind of bad link.
type scenario struct {
	name   string
	faults string // what happens to the link, for the report
	size   int
	large  int           // size with FAULTS=long; 0 means the same
	idle   time.Duration // the agent's idle time-out; 0 means the stage's
	buffer int           // bytes in the link; 0 means the proxy's default
	edge   string        // more YAML for the agent
	// network runs the agent in a network namespace; without root the test is skipped.
	network bool
	// plan returns the fault of the next connection, after n faults.
	plan   func(n int, size int64) faultproxy.Faults
	before func(*sending) // runs before anything starts; may be nil
	// during runs while the file is uploaded; may be nil.
	during func(*sending)
	// least is the least number of faults; recover is the limit for the recovery from each.
	least   int
	recover time.Duration
	// twice is how many bytes may arrive twice at most.
	twice int64
	// check checks what is special in the scenario; may be nil.
	check func(*sending)
}

// sending is one running scenario.
type sending struct {
	*stage
	sc       scenario
	size     int64
	proxy    *faultproxy.Proxy
	net      *network // nil without sc.network
	film     []byte
	dropped  int   // packets that the kernel dropped
	received int64 // bytes of request bodies that killed APIs had read
}

// TestFaults sends a file through the real agent over each kind of bad link to the real intake. Each file arrives once,
// with its digest, and has one job.
func TestFaults(t *testing.T) {
	rep := newReport()
	t.Run("link", func(t *testing.T) {
		for i, sc := range scenarios() {
			t.Run(sc.name, func(t *testing.T) {
				t.Parallel()
				runScenario(t, rep, i, sc)
			})
		}
	})
	rep.write(t)
}

// runScenario adds row i of the report.
func runScenario(t *testing.T, rep *report, i int, sc scenario) {
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
	s.film = randomVideo(i, s.size)
	s.writeToCard(s.film, "DJI_0001.MP4")
	began := time.Now()
	s.startEdge()
	if sc.during != nil {
		sc.during(s)
	}
	s.awaitPhase("DJI_0001.MP4", "waiting", 2*time.Minute+time.Duration(s.size/8000)*2*time.Second)
	took := time.Since(began)
	s.checkArrivedOnce()
	if err := s.edge.Stop(time.Minute); err != nil {
		t.Error(err)
	}
	if sc.check != nil {
		sc.check(s)
	}
	if err := s.proxy.Close(); err != nil {
		t.Error(err)
	}
	rep.add(i, s.checkBounds(took))
}

// randomVideo is a file that begins like a video and has random bytes.
func randomVideo(seed int, size int64) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{4, byte(seed)}).Read(b)
	copy(b, "\x00\x00\x00\x20ftypisom")
	return b
}

// checkArrivedOnce checks that the cloud has every byte of the file, and one job.
func (s *sending) checkArrivedOnce() {
	s.t.Helper()
	sum := sha256.Sum256(s.film)
	want := hex.EncodeToString(sum[:])
	all := s.footage()
	if len(all) != 1 || all[0].SHA256 != want || all[0].DuplicateOf != "" || all[0].Job == nil || all[0].Job.State != job.Queued {
		s.t.Fatalf("the cloud has %+v, want one with %s", all, want)
	}
	kept, err := filepath.Glob(s.path("cloud", "blobs", "footage", all[0].ID, "original-*.mp4"))
	if err != nil || len(kept) != 1 {
		s.t.Fatalf("stored: %v %v", kept, err)
	}
	blob, err := os.ReadFile(kept[0])
	if err != nil || !bytes.Equal(blob, s.film) {
		s.t.Errorf("the stored file differs: %d bytes, %v", len(blob), err)
	}
	var jobs struct{ Items []struct{ ID string } }
	if err := s.get("/api/v1/jobs", &jobs); err != nil || len(jobs.Items) != 1 {
		s.t.Errorf("%d jobs, want 1; %v", len(jobs.Items), err)
	}
}

// checkBounds checks the limits of the scenario and returns its row of the report.
func (s *sending) checkBounds(took time.Duration) row {
	s.t.Helper()
	st := s.proxy.Stats()
	twice := s.received + s.bodyBytes() - s.size
	recovered := st.Recoveries()
	n := st.Count()
	if n < s.sc.least {
		s.t.Errorf("%d faults, want at least %d: %+v", n, s.sc.least, st.Faults)
	}
	// The last fault may hit a request after the file has arrived.
	if open := n - len(recovered); open > 1 || open == 1 && !st.Faults[n-1].Recovered.IsZero() {
		s.t.Errorf("no recovery from %d of %d faults: %+v", open, n, st.Faults)
	}
	if n > 0 && len(recovered) > 0 && recovered[len(recovered)-1] > s.sc.recover+slack {
		s.t.Errorf("a recovery took %s, want at most %s: %v", recovered[len(recovered)-1], s.sc.recover, recovered)
	}
	if twice < 0 || twice > s.sc.twice {
		s.t.Errorf("%d bytes arrived twice, want at most %d", twice, s.sc.twice)
	}
	if again := st.Up.Lost + twice; again > int64(n)*footage.ChunkSize {
		s.t.Errorf("%d bytes were sent again after %d faults, more than a block per fault", again, n)
	}
	return row{scenario: s.sc.name, faults: s.sc.faults, count: n + s.dropped, size: s.size, lost: st.Up.Lost, twice: twice, recovered: recovered, took: took}
}

// bodyBytes is how many bytes of request bodies the running API has read.
func (s *sending) bodyBytes() int64 {
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
	s.t.Fatalf("the metrics have no upload_bytes_total:\n%s", b)
	return 0
}

// awaitLink waits until ok returns true for the state of the link.
func (s *sending) awaitLink(ok func(faultproxy.Stats) bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	if err := s.proxy.Wait(ctx, ok); err != nil {
		s.t.Fatal(err)
	}
}

// awaitFaults waits for n faults of a kind.
func (s *sending) awaitFaults(k faultproxy.Kind, n int) {
	s.t.Helper()
	s.awaitLink(func(st faultproxy.Stats) bool { return st.Count(k) >= n })
}
