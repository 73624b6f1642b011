package server

import (
	"testing"
	"time"

	"cattlecounter/cloud/store"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// TestPageShowsFlights counts the parts of a flight while the page is open. They become one row with one count, and
// still are after a reload.
func TestPageShowsFlights(t *testing.T) {
	c := startChrome(t)
	s := serve(t, nil)
	l := must.Get(store.OpenLedger(t.Context(), s.cfg))(t)
	defer l.Close()
	page := c.open(screen{width: 1280, height: 900})
	page.navigate(s.at.HTTP + "/flights")
	page.until("having('#health', 'Live').some(shown)")

	var group ledger.Group
	for i, id := range []string{"part-1", "part-2"} {
		ctx := t.Context()
		rec := must.Get(l.Footage.Record(ctx, ledger.Footage{ID: footage.ID(id), Site: "farm", Device: "dock",
			Name: "DJI_000" + id[5:] + ".MP4", Size: 1 << 20, SHA256: footage.Sum([]byte(id)), BlobKey: id,
			Captured: time.Date(2026, 6, 1, 8, i, 0, 0, time.UTC)}))(t)
		begun, f, err := l.Attempts.Begin(ctx, rec.Job.ID, "w")
		must.Do(t, err)
		part := ledger.Part{Footage: f.ID, Name: f.Name, Started: f.Captured}
		near := must.Get(l.Flights.Neighbors(ctx, f.Device, part))(t)
		group.Parts = append(group.Parts, f.ID)
		group.JointCount = ledger.JointCount{Unique: 62 + 30*i, Low: 50 + 30*i, High: 70 + 30*i}
		_, err = l.Flights.Finish(ctx, rec.Job.ID, begun.Fence, ledger.Count{Unique: 62 + 15*i, Low: 50, High: 80}, "k.json",
			ledger.Joining{Part: part, Neighbors: near, Groups: []ledger.Group{group}})
		must.Do(t, err)
	}
	const one = `having('.flight-head', 'Flight of 2 parts').some((e) => /92[\s\S]*80 to 100/.test(e.innerText))`
	const both = `[...document.querySelectorAll('.flight .parts .row')].map((e) => e.dataset.footage).join() === 'part-1,part-2'`
	for range 2 {
		page.until(one)
		page.until(both)
		page.until(`document.querySelectorAll('#footage > li').length === 1`)
		page.shot("flight-1280")
		page.reload()
	}
}
