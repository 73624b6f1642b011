package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/clock"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// uses are the writes that use a footage id in the name of a device. Every one claims it.
func uses(l *Ledger) map[string]func(id footage.ID, device string) error {
	create := func(k wire.Kind) func(footage.ID, string) error {
		return func(id footage.ID, device string) error {
			session := string(footage.NewID(time.Now()))
			_, err := l.Uploads.Create(context.Background(),
				Upload{ID: session, Footage: id, Device: device, Kind: k, Size: 9})
			return err
		}
	}
	m := map[string]func(footage.ID, string) error{
		"claim": func(id footage.ID, device string) error { return l.Owners.Claim(context.Background(), id, device) },
		"thumbnail": func(id footage.ID, device string) error {
			return l.Thumbnails.Put(context.Background(), Thumbnail{Footage: id, Device: device, BlobKey: "k"})
		},
		"footage": func(id footage.ID, device string) error {
			f := sample(string(id), "content of "+string(id))
			f.Device = device
			rec, err := l.Footage.Record(context.Background(), f)
			if err == nil && rec.Footage.Device != device { // known: the caller compares
				err = ErrOwned
			}
			return err
		},
	}
	for _, k := range wire.Kinds() {
		m["session of "+string(k)] = create(k)
	}
	return m
}

func TestOwnerIsTheFirstDevice(t *testing.T) {
	l, _ := fresh(t)
	for first, begin := range uses(l) {
		for second, use := range uses(l) {
			name := strings.ReplaceAll(first+"-"+second, " ", "_")
			for _, ids := range [][2]footage.ID{
				{footage.ID(name), footage.ID(name)},
				{footage.ID("a" + name), footage.ID("A" + strings.ToUpper(name))},
				{footage.ID(name + strings.Repeat("x", 64-len(name))), footage.ID(name + strings.Repeat("X", 64-len(name)))},
			} {
				must.Do(t, begin(ids[0], "base-1"))
				if err := use(ids[1], "base-2"); !errors.Is(err, ErrOwned) {
					t.Errorf("%s by base-1, then %s of %s by base-2: %v, want ErrOwned", first, second, ids[1], err)
				}
				if err := use(ids[0], "base-1"); err != nil {
					t.Errorf("%s by base-1, then %s by base-1: %v", first, second, err)
				}
			}
		}
	}
}

func TestOwnerNeedsNames(t *testing.T) {
	l, _ := fresh(t)
	for _, c := range []struct {
		id     footage.ID
		device string
	}{{"", "base-1"}, {"f1", ""}, {"a/b", "base-1"}, {footage.ID(strings.Repeat("x", 65)), "base-1"}} {
		must.FailWith(t, l.Owners.Claim(t.Context(), c.id, c.device), ErrInvalid)
	}
	must.Do(t, l.Owners.Claim(t.Context(), "f1", "base-1"))
}

// A refused write leaves nothing.
func TestRefusedSessionIsNotStored(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	must.Do(t, l.Owners.Claim(ctx, "f1", "base-1"))
	_, err := l.Uploads.Create(ctx, Upload{ID: "u1", Footage: "f1", Device: "base-2", Size: 9})
	must.FailWith(t, err, ErrOwned)
	_, err = l.Uploads.Get(ctx, "u1")
	must.FailWith(t, err, ErrNotFound)
}

// The owner stays when its session is deleted and when its video is removed.
func TestOwnerStays(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	_, err := l.Uploads.Create(ctx, Upload{ID: "u1", Footage: "f1", Device: "base-1", Size: 9})
	must.Do(t, err)
	must.Do(t, l.Uploads.Delete(ctx, "u1"))
	must.FailWith(t, l.Owners.Claim(ctx, "f1", "base-2"), ErrOwned)
	record(t, l, "f2", "moo")
	must.Do(t, l.Footage.RemoveVideo(ctx, "f2"))
	must.FailWith(t, l.Owners.Claim(ctx, "f2", "base-2"), ErrOwned)
	must.Do(t, l.Owners.Claim(ctx, "f1", "base-1"))
	must.Do(t, l.Owners.Claim(ctx, "f2", "base-1"))
}

// Many devices use one id at the same time, over two connections to one database, as
// several API servers do. Exactly one of them succeeds.
func TestOneDeviceWinsTheRace(t *testing.T) {
	place := newPlace(t)
	servers := []*Ledger{open(t, place, clock.New()), open(t, place, clock.New())}
	const ids, devices = 6, 8
	var mu sync.Mutex
	owners := map[footage.ID][]string{}
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range ids {
		id := footage.ID(fmt.Sprintf("f%d", i))
		for d := range devices {
			device := fmt.Sprintf("base-%d", d)
			all.Go(func() {
				<-start
				_, err := servers[d%len(servers)].Uploads.Create(t.Context(), Upload{ID: fmt.Sprintf("u%d-%d", i, d),
					Footage: id, Device: device, Size: 9})
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					owners[id] = append(owners[id], device)
				} else if !errors.Is(err, ErrOwned) {
					t.Error(err)
				}
			})
		}
	}
	close(start)
	all.Wait()
	for i := range ids {
		id := footage.ID(fmt.Sprintf("f%d", i))
		if len(owners[id]) != 1 {
			t.Errorf("%s has the owners %v, want one", id, owners[id])
			continue
		}
		must.Do(t, servers[0].Owners.Claim(t.Context(), id, owners[id][0]))
	}
	us := must.Get(servers[1].Uploads.List(t.Context(), time.Time{}, ids*devices))(t)
	if len(us) != ids {
		t.Errorf("%d sessions, want %d", len(us), ids)
	}
}

// The migration takes the owners from the rows of an older program: footage, thumbnails,
// sessions. Rows without a device give their id to no device.
func TestOwnersOfAnOlderLedger(t *testing.T) {
	ctx := t.Context()
	place := newPlace(t)
	l := open(t, place, clock.New())
	for id, device := range map[string]string{"both": "base-1", "Case": "base-1"} {
		f := sample(id, id)
		f.Device = device
		must.Get(l.Footage.Record(ctx, f))(t)
	}
	record(t, l, "nameless", "nameless")
	must.Do(t, l.Thumbnails.Put(ctx, Thumbnail{Footage: "picture", Device: "base-1", BlobKey: "k"}))
	must.Get(l.Uploads.Create(ctx, Upload{ID: "u1", Footage: "session", Device: "base-1", Size: 1}))(t)
	must.Get(l.Uploads.Create(ctx, Upload{ID: "u2", Footage: "both", Device: "base-1", Size: 1}))(t)
	undo(t, l)
	must.Do(t, l.tables.write(ctx, "as an older program", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE footage SET device = '' WHERE id = 'nameless'`)
		if err == nil {
			_, err = tx.ExecContext(ctx, `UPDATE upload SET device = 'base-2' WHERE id = 'u2'`)
		}
		return err
	}))
	must.Do(t, l.Close())
	l = open(t, place, clock.New())
	for _, id := range []footage.ID{"both", "Case", "case", "picture", "session"} {
		must.FailWith(t, l.Owners.Claim(ctx, id, "base-2"), ErrOwned)
		must.Do(t, l.Owners.Claim(ctx, id, "base-1"))
	}
	for _, device := range []string{"base-1", "base-2"} {
		must.FailWith(t, l.Owners.Claim(ctx, "nameless", device), ErrOwned)
	}
	must.Do(t, l.Owners.Claim(ctx, "new", "base-2"))
}

// undo takes the tables of the owners' migration and of later ones back.
func undo(t *testing.T, l *Ledger) {
	t.Helper()
	files := must.Get(fs.Glob(migrations, "migrations/*.sql"))(t)
	slices.Sort(files)
	first := slices.Index(files, "migrations/00007_owners.sql")
	down := ""
	for _, f := range slices.Backward(files[first:]) {
		_, text, ok := strings.Cut(string(must.Get(migrations.ReadFile(f))(t)), "-- +goose Down")
		if !ok {
			t.Fatalf("%s has no way back", f)
		}
		down += text
	}
	must.Do(t, l.tables.write(t.Context(), "undo", func(ctx context.Context, tx *sql.Tx) error {
		for stmt := range strings.SplitSeq(down, ";") {
			if strings.TrimSpace(stmt) == "" {
				continue
			}
			if _, err := tx.ExecContext(ctx, stmt); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM `+versionTable+` WHERE version_id >= 7`)
		return err
	}))
}

// Lists for a device have only its own footage.
func TestListsOfOneDevice(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	for i := range 6 {
		id := fmt.Sprintf("f%d", i)
		f := sample(id, fmt.Sprint(i/2)) // f1, f3 and f5 are copies by the other device
		f.Device = fmt.Sprintf("base-%d", i%2)
		rec := must.Get(l.Footage.Record(ctx, f))(t)
		if rec.Job != nil {
			j, _, err := l.Attempts.Begin(ctx, rec.Job.ID, "w")
			must.Do(t, err)
			must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: 1, High: 1}, "k"))(t)
		}
		must.Do(t, l.Thumbnails.Put(ctx, Thumbnail{Footage: footage.ID("t" + id), Device: f.Device, BlobKey: "k"}))
		must.Get(l.Uploads.Create(ctx, Upload{ID: "u" + id, Footage: footage.ID("u" + id), Device: f.Device, Size: 1}))(t)
	}
	page := Page{Limit: 2, Device: "base-1"}
	vs, next, err := l.Footage.List(ctx, page)
	if err != nil || len(vs) != 2 || vs[0].ID != "f5" || vs[1].ID != "f3" || next == "" ||
		vs[0].OriginalDevice != "base-0" {
		t.Errorf("footage: %+v %q %v", vs, next, err)
	}
	page.After = next
	if vs, next, err = l.Footage.List(ctx, page); err != nil || len(vs) != 1 || vs[0].ID != "f1" || next != "" {
		t.Errorf("the second page: %+v %q %v", vs, next, err)
	}
	for device, n := range map[string]int{"base-0": 3, "base-1": 0, "": 3} {
		js, _, err := l.Jobs.List(ctx, "done", Page{Device: device})
		if err != nil || len(js) != n {
			t.Errorf("%d jobs of %q, want %d: %v", len(js), device, n, err)
		}
		if js, _, err = l.Jobs.List(ctx, "", Page{Device: device}); err != nil || len(js) != n {
			t.Errorf("%d jobs of %q, want %d: %v", len(js), device, n, err)
		}
		if cs, _, err := l.Counts.List(ctx, Page{Device: device}); err != nil || len(cs) != n {
			t.Errorf("%d counts of %q, want %d: %v", len(cs), device, n, err)
		}
	}
	ts, _, err := l.Thumbnails.ListWaiting(ctx, Page{Device: "base-1"})
	waiting := make([]footage.ID, len(ts))
	for i := range ts {
		waiting[i] = ts[i].Footage
	}
	if want := []footage.ID{"tf5", "tf3", "tf1"}; err != nil || !slices.Equal(waiting, want) {
		t.Errorf("waiting: %v, want %v: %v", waiting, want, err)
	}
	us, err := l.Uploads.ListUnfinished(ctx, "base-1", 10)
	if err != nil || len(us) != 3 || us[0].Device != "base-1" {
		t.Errorf("sessions: %+v %v", us, err)
	}
	for device, want := range map[string]footage.ID{"": "f2", "base-0": "f2", "base-1": "f3"} {
		v, err := l.Footage.GetBySHA256(ctx, footage.Sum([]byte("1")), device)
		if err != nil || v.ID != want {
			t.Errorf("the content for %q is %s, want %s: %v", device, v.ID, want, err)
		}
	}
	_, err = l.Footage.GetBySHA256(ctx, footage.Sum([]byte("1")), "base-9")
	must.FailWith(t, err, ErrNotFound)
}
