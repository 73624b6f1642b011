package e2e

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/azurite"
)

// storageFault is one fault of Azure Storage or of the link to it.
type storageFault string

const (
	serverError  storageFault = "500"
	serverBusy   storageFault = "503 with Retry-After"
	timeOut      storageFault = "500 OperationTimedOut"
	refused      storageFault = "403: expired" // all requests for a while, as with an expired token
	resetBefore  storageFault = "reset before the request"
	answerLost   storageFault = "done, the answer lost" // the repeated request meets 409 or 412
	bodyTrickles storageFault = "the body of the answer is slow"
	bodyBreaks   storageFault = "the answer's body breaks off"
)

var storageFaults = []storageFault{serverError, serverBusy, timeOut, refused, resetBefore, answerLost, bodyTrickles, bodyBreaks}

// faultyService is a proxy in front of one service of Azurite that makes some requests fail.
type faultyService struct {
	*httptest.Server
	mu    sync.Mutex
	dice  *rand.Rand
	off   bool
	deny  time.Time // until then every request is refused
	done  map[storageFault]int
	total int
}

// One in oneIn requests meets a fault. A refusal lasts for a time, as with an expired token.
const (
	oneIn       = 4
	refusedLong = time.Second
	enough      = 5 // faults at least, or the test shows nothing
)

func newFaultyService(t *testing.T, seed uint64, addr string) *faultyService {
	t.Helper()
	to := &url.URL{Scheme: "http", Host: addr}
	b := &faultyService{dice: rand.New(rand.NewPCG(seed, 0)), done: map[storageFault]int{}}
	through := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host }, // the host is signed
		ModifyResponse: b.spoil,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch f := b.next(); f {
		case serverError:
			fail(w, http.StatusInternalServerError, "InternalError")
		case timeOut:
			fail(w, http.StatusInternalServerError, "OperationTimedOut")
		case serverBusy:
			w.Header().Set("Retry-After", "1")
			fail(w, http.StatusServiceUnavailable, "ServerBusy")
		case refused:
			fail(w, http.StatusForbidden, "AuthenticationFailed")
		case resetBefore:
			panic(http.ErrAbortHandler)
		default:
			r.Header.Set(faultHeader, string(f))
			through.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(b.Close)
	return b
}

// faultHeader carries the fault from the request to the answer. Azurite signs only headers that begin with x-ms.
const faultHeader = "Test-Fault"

func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("X-Ms-Error-Code", code)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>spoiled by the test</Message></Error>", code)
}

func (b *faultyService) next() storageFault {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total++
	switch {
	case b.off:
		return ""
	case time.Now().Before(b.deny):
		return refused
	case b.total%oneIn != 0:
		return ""
	}
	f := storageFaults[b.dice.IntN(len(storageFaults))]
	b.done[f]++
	if f == refused {
		b.deny = time.Now().Add(refusedLong)
	}
	return f
}

// spoil applies a fault to the answer, after the service has done its part.
func (b *faultyService) spoil(r *http.Response) error {
	switch storageFault(r.Request.Header.Get(faultHeader)) {
	case answerLost:
		return errors.Join(http.ErrAbortHandler, r.Body.Close())
	case bodyTrickles:
		r.Body = &trickle{ReadCloser: r.Body}
	case bodyBreaks:
		if r.ContentLength > 1 {
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.LimitReader(r.Body, r.ContentLength/2), r.Body}
		}
	}
	return nil
}

// trickle returns its first bytes one by one.
type trickle struct {
	io.ReadCloser
	n int
}

func (t *trickle) Read(b []byte) (int, error) {
	if t.n < 20 && len(b) > 0 {
		t.n++
		<-time.After(100 * time.Millisecond)
		b = b[:1]
	}
	return t.ReadCloser.Read(b)
}

func (b *faultyService) addr() string { return strings.TrimPrefix(b.URL, "http://") }

func (b *faultyService) faults() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range b.done {
		n += k
	}
	return n
}

// well ends the faults and returns how often each one happened.
func (b *faultyService) well() (total int, each map[storageFault]int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.off = true
	return b.total, b.done
}

// Every fourth request to Azure Storage meets a fault while two pieces of footage are uploaded and counted. Nothing is
// lost, nothing is counted twice.
func TestFaultyAzure(t *testing.T) {
	const seed = 7
	server := azurite.Get(t)
	blobs, queue := newFaultyService(t, seed, server.Blob), newFaultyService(t, seed+1, server.Queue)
	s := newStage(t, fmt.Sprintf("store: azure\nazure: {connection_string: %q, container: faulty, queue: faulty-jobs}\n",
		server.ConnectionStringVia(blobs.addr(), queue.addr()).Reveal()))
	s.startAll()
	path, animals := clip(t)
	// The same pictures in two files: with the index last, as a drone writes it, and with the index first, which is
	// counted while it is downloaded.
	names := []string{"DJI_0001.MP4", "DJI_0002.MP4"}
	for i, flags := range []string{"-faststart", "+faststart"} {
		film := s.path(names[i])
		if out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", path, "-c", "copy", "-movflags", flags, film).CombinedOutput(); err != nil {
			t.Fatalf("ffmpeg: %v: %s", err, out)
		}
		s.copyToCard(film, names[i])
	}
	for _, name := range names {
		f := s.awaitFootage(name, 4*time.Minute, "is counted", isCounted)
		if !isClose(f.Count.Unique, animals) {
			t.Errorf("%s: count %+v, true %d", name, f.Count, animals)
		}
	}
	for name, b := range map[string]*faultyService{"blobs": blobs, "queue": queue} {
		s.eventually("enough faults of "+name, time.Minute, func() bool { return b.faults() >= enough }) // the worker keeps polling
		total, each := b.well()
		t.Logf("%s: %d requests met a fault: %v", name, total, each)
	}
	if all := s.footage(); len(all) != len(names) {
		t.Errorf("%d pieces of footage, want %d", len(all), len(names))
	}
	for _, f := range s.footage() {
		var result struct {
			Count struct{ Unique int }
		}
		if err := s.get("/api/v1/footage/"+f.ID+"/result", &result); err != nil || result.Count.Unique != f.Count.Unique {
			t.Errorf("%s: result %+v %v, want %d", f.Name, result, err, f.Count.Unique)
		}
	}
}
