package uplink

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/deploy/testkit/fakecloud"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

func TestTelemetryThenVideoThenConfirmed(t *testing.T) {
	st := newStation(t)
	r := st.add("a.mp4", 9<<20, true)
	st.run()
	st.waitFor("done", r.ID, reclaimed)
	st.cloud.Lock()
	defer st.cloud.Unlock()
	if want := []string{"POST telemetry", "DONE telemetry", "POST video", "DONE video"}; !slices.Equal(st.cloud.Order,
		want) {
		t.Errorf("got requests %v", st.cloud.Order)
	}
	for _, u := range st.cloud.Uploads {
		if u.Meta.Footage != r.ID || u.Raw["device"] != "" {
			t.Errorf("got metadata %v", u.Meta)
		}
	}
	if st.up.Link().State != LinkUp {
		t.Errorf("got link %+v", st.up.Link())
	}
}

// After cuts at many places the upload resumes at the server's offset, and no byte is sent
// twice.
func TestCuts(t *testing.T) {
	st := newStation(t)
	st.cloud.CutAfter = 3<<20 + 17
	r := st.add("cut.mp4", 10<<20, false)
	st.run()
	st.waitFor("done", r.ID, func(rec spool.Record) bool {
		st.up.Kick() // ends the wait
		return reclaimed(rec)
	})
	st.cloud.Lock()
	defer st.cloud.Unlock()
	if st.cloud.Received != 10<<20 || len(st.cloud.Uploads) != 1 {
		t.Errorf("%d bytes in %d uploads", st.cloud.Received, len(st.cloud.Uploads))
	}
}

func TestResumeAfterRestartUsesTheServersOffset(t *testing.T) {
	st := newStation(t)
	r := st.add("r.mp4", 9<<20, false)
	var patches []string
	st.cloud.CutAfter = 5 << 20
	st.cloud.Before = func(w http.ResponseWriter, q *http.Request) bool {
		st.cloud.Lock()
		defer st.cloud.Unlock()
		if q.Method == http.MethodPatch {
			patches = append(patches, q.Header.Get("Upload-Offset"))
		}
		return false
	}
	if err := st.up.send(t.Context(), r); !errors.Is(err, ErrLink) {
		t.Fatal(err)
	}
	rec, _ := st.spool.Records.Get(r.ID)
	rec.Video.Offset = 8 << 20 // a wrong offset in the spool
	if err := st.spool.Uploads.SetTransfer(r.ID, spool.Video, rec.Video); err != nil {
		t.Fatal(err)
	}
	rec, _ = st.spool.Records.Get(r.ID)
	if err := st.up.send(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if want := []string{"0", "5242880"}; !slices.Equal(patches, want) {
		t.Errorf("got requests %v", patches)
	}
}

func TestLostUploads(t *testing.T) {
	st := newStation(t)
	r := st.add("l.mp4", 1<<20, false)
	if err := st.spool.Uploads.SetTransfer(r.ID, spool.Video, spool.Transfer{URL: st.up.o.Cloud.at("/files/old"),
		Offset: 5}); err != nil {
		t.Fatal(err)
	}
	st.run()
	st.waitFor("started again", r.ID, reclaimed)
	st.up.SetPaused(true)

	// The upload is unknown because the footage is complete: nothing is sent.
	st.cloud.Lock()
	before := st.cloud.Received
	st.cloud.Unlock()
	r2 := st.add("l2.mp4", 1<<20, false)
	m, err := st.spool.Content.Manifest(r2.ID)
	if err != nil {
		t.Fatal(err)
	}
	st.cloud.Lock()
	st.cloud.Footage[r2.ID] = &wire.Footage{ID: r2.ID, Size: m.Video.Size, SHA256: m.Video.SHA256, DuplicateOf: "first"}
	st.cloud.Unlock()
	if err := st.spool.Uploads.SetTransfer(r2.ID, spool.Video, spool.Transfer{URL: st.up.o.Cloud.at("/files/old"),
		Offset: 5}); err != nil {
		t.Fatal(err)
	}
	st.up.SetPaused(false)
	if got := st.waitFor("confirmed", r2.ID, reclaimed); got.DuplicateOf != "first" {
		t.Errorf("got result %+v", got)
	}
	st.cloud.Lock()
	defer st.cloud.Unlock()
	if st.cloud.Received != before {
		t.Errorf("%d unnecessary bytes were sent", st.cloud.Received-before)
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		slug   wire.Slug
		detail string
	}{
		"not a video": {wire.SlugNotAVideo, "begins with GIF89a"},
		"too large":   {wire.SlugTooLarge, "at most 64 GiB"},
		"metadata":    {wire.SlugBadMetadata, "captured is not a time"},
		"id is taken": {wire.SlugConflict, "known with other content"},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStation(t)
			st.cloud.Before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					return false
				}
				fakecloud.Problem(w, c.slug, c.detail)
				return true
			}
			bad := st.add("bad.mp4", 1<<20, false)
			st.run()
			if r := st.waitFor("quarantine", bad.ID, quarantined); !strings.Contains(r.Reason, c.detail) {
				t.Error(r.Reason)
			}
		})
	}
}

func TestTokenRefused(t *testing.T) {
	st := newStation(t, func(c *CloudOptions, _ *Options) { c.Token = NewToken(secret.New("cc_wrong"), "", nil) })
	r := st.add("t.mp4", 100, false)
	st.run()
	rec := st.waitFor("waiting", r.ID, func(r spool.Record) bool { return r.Waiting != "" })
	if !strings.Contains(rec.Waiting, "token refused: no such device") || rec.State == spool.Quarantined ||
		st.up.Link().State != LinkRefused {
		t.Errorf("%+v, link %+v", rec, st.up.Link())
	}
}

func TestWrongHashIsRetriedThreeTimes(t *testing.T) {
	st := newStation(t)
	var tries atomic.Int64
	st.cloud.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		tries.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		st.cloud.Lock()
		delete(st.cloud.Uploads, r.URL.Path)
		st.cloud.Unlock()
		fakecloud.Problem(w, wire.SlugHashMismatch, "got 00")
		return true
	}
	r := st.add("h.mp4", 1<<20, false)
	st.run()
	rec := st.waitFor("quarantine", r.ID, quarantined)
	if tries.Load() != maxHashFaults+1 || !strings.Contains(rec.Reason, "spool's copy is right") {
		t.Errorf("%d tries, %s", tries.Load(), rec.Reason)
	}
}

// When the cloud has other content under the id, the spool's content stays.
func TestConfirmationOfOtherContent(t *testing.T) {
	st := newStation(t)
	r := st.add("o.mp4", 1<<20, false)
	st.cloud.Before = func(w http.ResponseWriter, q *http.Request) bool {
		if !strings.HasPrefix(q.URL.Path, "/api/") {
			return false
		}
		_, _ = w.Write([]byte(`{"id":"` + string(r.ID) + `","size":1,"sha256":"` + footage.Sum(nil).String() + `"}`))
		return true
	}
	st.run()
	st.waitFor("quarantine", r.ID, quarantined)
	if err := st.spool.Content.Verify(t.Context(), r.ID); err != nil {
		t.Errorf("the content is lost: %v", err)
	}
}

func TestPause(t *testing.T) {
	st := newStation(t, func(c *CloudOptions, o *Options) { o.Paused = true })
	r := st.add("p.mp4", 1<<20, false)
	st.run()
	if st.up.Link().State != LinkPaused || !st.up.Paused() {
		t.Errorf("got link %+v", st.up.Link())
	}
	st.up.SetPaused(false)
	st.waitFor("resumed", r.ID, reclaimed)
}

func TestStall(t *testing.T) {
	release := make(chan struct{})
	st := newStation(t, func(c *CloudOptions, _ *Options) { c.IdleTimeout = 2 * time.Second })
	var once atomic.Bool
	st.cloud.Before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && once.CompareAndSwap(false, true) {
			<-release // reads nothing and does not answer
			return true
		}
		return false
	}
	r := st.add("stall.mp4", 16<<20, false)
	st.run()
	rec := st.waitFor("cut", r.ID, func(r spool.Record) bool { return r.Waiting != "" })
	if !strings.Contains(rec.Waiting, "no byte moved for 2s") {
		t.Error(rec.Waiting)
	}
	close(release)
	st.up.Kick()
	st.waitFor("done", r.ID, reclaimed)
}

func TestDamagedSpoolIsReadAgain(t *testing.T) {
	st := newStation(t)
	r := st.add("d.mp4", 1<<20, false)
	// Replace the chunk's bytes.
	if err := st.spool.Content.PutChunk(r.ID, spool.Video, footage.Chunk{Index: 0, Size: 3,
		SHA256: footage.Sum([]byte("bad"))}, []byte("bad")); err != nil {
		t.Fatal(err)
	}
	st.run()
	st.waitFor("captured again", r.ID, func(r spool.Record) bool { return r.State == spool.Captured })
}

// The cloud is unreachable at the start and for minutes in the middle.
func TestCloudUnreachableForMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		up := func() bool {
			d := time.Since(began)
			return d > 3*time.Minute && d < 4*time.Minute || d > 20*time.Minute
		}
		st := newBubble(t, func(co *CloudOptions, _ *Options) {
			net := co.Transport.(inProcess)
			net.up = up
			co.Transport = net
		})
		st.cloud.CutAfter, st.cloud.Cut = 3<<20, func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }
		r := st.add("unreachable.mp4", 10<<20, true)
		st.run()
		after(40 * time.Minute)
		if rec, _ := st.spool.Records.Get(r.ID); rec.State != spool.Reclaimed {
			t.Errorf("after 40 minutes: %+v", rec)
		}
	})
}

// Every wait has jitter, and none is longer than five minutes.
func TestWaitsAreBounded(t *testing.T) {
	seen := map[time.Duration]bool{}
	w := newWait()
	for range 500 {
		d := w.NextBackOff()
		if seen[d] = true; d > longestWait || d < firstWait/2 {
			t.Fatal(d)
		}
	}
	if len(seen) < 400 {
		t.Errorf("%d different waits of 500", len(seen))
	}
}

// A kick ends the wait at once and makes the next wait short.
func TestKickMakesTheNextWaitShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		st := newBubble(t, func(co *CloudOptions, _ *Options) {
			net := co.Transport.(inProcess)
			net.up = up.Load
			co.Transport = net
		})
		r := st.add("kick.mp4", 1000, false)
		st.run()
		after(20 * time.Minute)
		if st.up.Link().State != LinkDown {
			t.Errorf("got link %+v", st.up.Link())
		}
		st.up.Kick() // the link is still down
		after(time.Second)
		up.Store(true)
		after(5 * time.Second) // the next wait takes seconds, not minutes
		if rec, _ := st.spool.Records.Get(r.ID); rec.State != spool.Reclaimed {
			t.Errorf("got record %+v", rec)
		}
	})
}
