package uplink

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// sent adds and sends footage without a running uplink.
func (st *station) sent(name string) spool.Record {
	st.t.Helper()
	r := st.add(name, 1000, false)
	if err := st.up.transfer(st.t.Context(), r); err != nil {
		st.t.Fatal(err)
	}
	return st.record(r.ID)
}

// lose removes footage from the cloud.
func (st *station) lose(id footage.ID) {
	st.cloud.Lock()
	defer st.cloud.Unlock()
	delete(st.cloud.Footage, id)
}

// countRequests counts the requests for footage.
func (st *station) countRequests() *atomic.Int64 {
	n := new(atomic.Int64)
	before := st.cloud.Before
	st.cloud.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/api/v1/footage/") && r.URL.Path != wire.FootagePath(probed) {
			n.Add(1)
		}
		return before != nil && before(w, r)
	}
	return n
}

func TestReconciliation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		missing := map[string]bool{}
		st := newBubble(t, func(_ *CloudOptions, o *Options) {
			o.OnCard = func(s spool.Source) bool { return !missing[s.Path] }
			o.Paused = true
		})
		fine, reread, lost, other := st.sent("fine"), st.sent("reread"), st.sent("lost"), st.sent("other")
		unsent, waiting := st.add("unsent", 1000, false), st.add("waiting", 1000, false)
		kept := st.add("kept", 1000, false) // confirmed, content still here
		if _, err := st.spool.Uploads.Begin(kept.ID); err != nil {
			t.Fatal(err)
		}
		if err := st.spool.Uploads.Confirm(kept.ID, ""); err != nil {
			t.Fatal(err)
		}
		missing[lost.Source.Path] = true
		st.lose(reread.ID)
		st.lose(lost.ID)
		st.cloud.Footage[other.ID].SHA256 = footage.Sum([]byte("other"))
		st.cloud.Footage[unsent.ID] = &wire.Footage{ID: unsent.ID, Size: 1000, SHA256: unsent.SHA256}
		posts := len(st.cloud.Order)
		st.run()
		after(time.Second)
		if rep := st.up.Report().Reconciliation; rep.Checked != 0 {
			t.Errorf("compared during a pause: %+v", rep)
		}
		st.up.SetPaused(false)
		after(time.Minute)
		for id, want := range map[footage.ID]spool.State{fine.ID: spool.Reclaimed, reread.ID: spool.Captured,
			lost.ID:  spool.Reclaimed,
			other.ID: spool.Reclaimed, unsent.ID: spool.Reclaimed, waiting.ID: spool.Reclaimed, kept.ID: spool.Reclaimed} {
			if r := st.record(id); r.State != want {
				t.Errorf("%s is %s, want %s", r.Name, r.State, want)
			}
		}
		// The waiting one and the lost one were sent.
		if got := len(st.cloud.Order) - posts; got != 4 {
			t.Errorf("got requests %v", st.cloud.Order[posts:])
		}
		rep := st.up.Report().Reconciliation
		if rep.Checked != 7 || rep.Confirmed != 1 || rep.Resent != 1 || rep.Reread != 1 || rep.Lost != 1 ||
			rep.Different != 1 || rep.Pending != 0 || rep.At.IsZero() {
			t.Errorf("got report %+v", rep)
		}
		if text := strings.Join(rep.Faults, "\n"); !strings.Contains(text, "lost ("+string(lost.ID)+"): footage is missing") ||
			!strings.Contains(text, "other content under this id") {
			t.Error(text)
		}
	})
}

// A 404 of a portal, a proxy or another server says nothing about footage: none counts as
// lost.
func TestReconciliationWithPortal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newBubble(t, func(_ *CloudOptions, o *Options) { o.OnCard = func(spool.Source) bool { return true } })
		var ids []footage.ID
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			ids = append(ids, st.sent(name).ID)
		}
		st.cloud.Before = func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "<html>log in to the camp's network", http.StatusNotFound)
			return true
		}
		requests := st.countRequests()
		st.run()
		after(time.Minute)
		for _, id := range ids {
			if r := st.record(id); r.State != spool.Reclaimed {
				t.Errorf("got record %+v", r)
			}
		}
		if rep := st.up.Report().Reconciliation; rep.Checked != 0 || rep.Lost != 0 || rep.Pending != 2 || rep.Detail == "" ||
			requests.Load() != compareFaults {
			t.Errorf("%+v after %d requests", rep, requests.Load())
		}
	})
}

// A comparison runs once a day by the monotonic clock. On a metered link it makes few
// requests, which the budget counts.
func TestReconciliationIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock skew
		st := newBubble(t, func(co *CloudOptions, o *Options) {
			o.Now, o.CompareEvery = clock.now, 20*time.Minute // of the bubble
			co.Budget = mustBudget(t, o.Spool.Link.(*spool.Link), BudgetOptions{Metered: true, Day: 100 * mib, Now: clock.now})
		})
		for i := range compareMostMetered + 10 {
			st.sent(strings.Repeat("n", i+1))
		}
		requests, before := st.countRequests(), st.up.Report().Day.Used
		st.run()
		after(time.Minute)
		if requests.Load() != compareMostMetered {
			t.Errorf("%d requests", requests.Load())
		}
		if used := st.up.Report().Day.Used - before; used < compareMostMetered*requestCost ||
			used > (compareMostMetered+1)*(requestCost+1<<10) {
			t.Errorf("%d bytes of the budget", used)
		}
		clock.until(0, 0, 0) // days, for the wall clock
		clock.until(0, 0, 0)
		after(time.Minute)
		if requests.Load() != compareMostMetered {
			t.Errorf("%d requests after a jump of the wall clock", requests.Load())
		}
		after(20 * time.Minute)
		if requests.Load() != 2*compareMostMetered {
			t.Errorf("%d requests after the second comparison", requests.Load())
		}
	})
}

// A comparison that the link interrupts resumes later.
func TestInterruptedReconciliationResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, up := 0, true
		st := newBubble(t, func(co *CloudOptions, _ *Options) {
			net := co.Transport.(inProcess)
			net.up = func() bool { return up }
			co.Transport = net
		})
		for _, name := range []string{"a", "b", "c", "d"} {
			st.sent(name)
		}
		st.cloud.Before = func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/api/v1/footage/") {
				n++
				up = n != 2
			}
			return false
		}
		st.up.compare(t.Context())
		if rep := st.up.Report().Reconciliation; n != 2 || rep.Checked != 2 || rep.Pending != 2 || rep.Detail == "" ||
			!rep.At.IsZero() {
			t.Errorf("%d requests, %+v", n, rep)
		}
		up = true
		st.up.compare(t.Context())
		if rep := st.up.Report().Reconciliation; n != 4 || rep.Checked != 4 || rep.Pending != 0 || rep.At.IsZero() {
			t.Errorf("%d requests, %+v", n, rep)
		}
	})
}

func TestOnCard(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mp4")
	if err := os.WriteFile(path, []byte("cows"), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	s := spool.Source{Path: path, Size: 4, ModTime: info.ModTime()}
	if !onCard(s) {
		t.Error("the file is not found")
	}
	s.Print = footage.Sum([]byte("another recording"))
	if onCard(s) {
		t.Error("a file with another fingerprint counts as the captured one")
	}
	s.Print, s.Size = footage.Digest{}, 5
	if onCard(s) || onCard(spool.Source{Path: path + "x"}) {
		t.Error("another file counts as the captured one")
	}
}
