package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/deploy/testkit/clock"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/deploy/testkit/postgres"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(postgres.Tests(m)) }

// onPostgres is the environment variable that makes the tests use PostgreSQL.
const onPostgres = "LEDGER_TEST_POSTGRES"

// TestOnPostgres runs this test binary again with PostgreSQL.
func TestOnPostgres(t *testing.T) {
	if os.Getenv(onPostgres) != "" {
		t.Skip("runs on PostgreSQL already")
	}
	if testing.Short() {
		t.Skip("every test once more takes a minute")
	}
	postgres.Get(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v")
	cmd.Env = append(os.Environ(), onPostgres+"=yes")
	out, err := cmd.CombinedOutput()
	if passed := bytes.Count(out, []byte("\n--- PASS: Test")); err != nil || passed < 15 {
		t.Fatalf("%d tests passed on PostgreSQL: %v\n%s", passed, err, out)
	}
}

// newPlace returns an empty place for a ledger: a path, or the address of a database.
func newPlace(t testing.TB) string {
	if os.Getenv(onPostgres) != "" {
		return postgres.Get(t).Database(t).Reveal()
	}
	path := filepath.Join(t.TempDir(), "ledger.db")
	must.Do(t, os.WriteFile(path, must.Get(migrated())(t), 0o600))
	return path
}

// migrated returns the content of a new ledger. The migrations take a second under the race detector.
var migrated = sync.OnceValues(func() (content []byte, err error) {
	dir, err := os.MkdirTemp("", "ledger-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "ledger.db")
	l, err := Open(context.Background(), path, Options{})
	if err != nil {
		return nil, err
	}
	if err := l.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// onFile skips tests that need a SQLite file.
func onFile(t testing.TB) {
	if os.Getenv(onPostgres) != "" {
		t.Skip("needs a SQLite file")
	}
}

func openAt(ctx context.Context, place string, o Options) (*Ledger, error) {
	if strings.HasPrefix(place, "postgres:") {
		return OpenPostgres(ctx, secret.New(place), o)
	}
	return Open(ctx, place, o)
}

func open(t testing.TB, place string, c *clock.Clock) *Ledger {
	t.Helper()
	l, err := openAt(context.Background(), place, Options{Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if l.Ping(context.Background()) == nil { // the test did not close it
			checkTotals(t, l)
		}
		_ = l.Close()
	})
	return l
}

// checkTotals compares the stored totals with the tables. No other process may write.
func checkTotals(t testing.TB, l *Ledger) {
	t.Helper()
	const kept, counted = `SELECT name, n FROM total WHERE n <> 0`,
		`SELECT name, n FROM (` + recount + `) AS tables WHERE n <> 0`
	err := l.tables.write(context.Background(), "compare", func(ctx context.Context, tx *sql.Tx) error {
		for what, q := range map[string]string{"stored and not in the tables": kept + ` EXCEPT ` + counted,
			"in the tables and not stored": counted + ` EXCEPT ` + kept} {
			wrong, err := list(ctx, tx, func(rows *sql.Rows) (s string, err error) {
				var name string
				var n int64
				err = rows.Scan(&name, &n)
				return fmt.Sprintf("%s %d", name, n), err
			}, q)
			if err != nil {
				return err
			}
			if len(wrong) > 0 {
				t.Errorf("totals %s: %v", what, wrong)
			}
		}
		return nil
	})
	if !errors.Is(err, ErrCorrupt) { // a test of damage leaves a damaged file
		must.Do(t, err)
	}
}

func fresh(t testing.TB) (*Ledger, *clock.Clock) {
	c := clock.New()
	return open(t, newPlace(t), c), c
}

func sample(id, content string) Footage {
	return Footage{
		ID: footage.ID(id), Site: "north", Device: "base-1", Name: "DJI_0001.MP4", Size: int64(len(content)),
		SHA256: footage.Sum([]byte(content)), BlobKey: "footage/" + id + "/original.mp4",
		Captured: time.Date(2026, 6, 30, 5, 0, 0, 0, time.UTC),
	}
}

func record(t testing.TB, l *Ledger, id, content string) Recorded {
	t.Helper()
	r, err := l.Footage.Record(context.Background(), sample(id, content))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFootageFromRecordToCount(t *testing.T) {
	ctx := context.Background()
	l, c := fresh(t)
	rec := record(t, l, "f1", "moo")
	if !rec.Created || rec.Job == nil || rec.Job.State != job.Uploaded {
		t.Fatalf("got recorded %+v", rec)
	}
	id := rec.Job.ID
	if js, err := l.Jobs.ListUnqueued(ctx, 10); err != nil || len(js) != 1 || js[0].ID != id {
		t.Fatalf("got jobs %v, error %v", js, err)
	}
	must.Do(t, l.Jobs.MarkQueued(ctx, id))
	must.Do(t, l.Jobs.MarkQueued(ctx, id))
	c.Advance(time.Second)
	j, f, err := l.Attempts.Begin(ctx, id, "worker-1")
	must.Do(t, err)
	if j.State != job.Processing || j.Fence != 1 || j.Attempt != 1 || f.ID != "f1" ||
		f.SHA256 != footage.Sum([]byte("moo")) {
		t.Fatalf("got job %+v, footage %+v", j, f)
	}
	eta := 12.5
	must.Get(l.Attempts.UpdateProgress(ctx, id, 1,
		job.Progress{Stage: job.StageDetect, FramesDone: 5, FramesTotal: 10, Percent: 50, FPS: 3, ETASeconds: &eta,
			Count: 7}))(t)
	must.Get(l.Attempts.Finish(ctx, id, 1, Count{Unique: 9, Low: 8, High: 11, ByClass: map[string]int{"cow": 9},
		Model: "femto"}, "footage/f1/result/x.json"))(t)
	must.Get(l.Attempts.Finish(ctx, id, 1, Count{Unique: 1}, "other"))(t) // a repeat changes nothing
	v, err := l.Footage.Get(ctx, "f1")
	must.Do(t, err)
	if v.Job.State != job.Done || v.Count.Unique != 9 || !reflect.DeepEqual(v.Count.ByClass, map[string]int{"cow": 9}) ||
		v.Job.Progress.Percent != 100 || !v.Captured.Equal(rec.Footage.Captured) || v.Job.ResultKey == "" ||
		v.Job.Progress.ETASeconds != nil {
		t.Fatalf("got footage %+v, job %+v, count %+v", v, v.Job, v.Count)
	}
	if v, err = l.Footage.GetBySHA256(ctx, footage.Sum([]byte("moo")), ""); err != nil || v.ID != "f1" {
		t.Fatalf("got footage %v, error %v", v, err)
	}
	_, _, err = l.Attempts.Begin(ctx, id, "worker-2")
	must.FailWith(t, err, job.ErrTransition)
}

func TestRecordTwice(t *testing.T) {
	ctx := context.Background()
	l, _ := fresh(t)
	first := record(t, l, "f1", "moo")
	again := record(t, l, "f1", "moo")
	if again.Created || again.Job == nil || again.Job.ID != first.Job.ID {
		t.Fatalf("got repeat %+v", again)
	}
	other := record(t, l, "f1", "other content")
	if other.Created || other.Footage.SHA256 != first.Footage.SHA256 {
		t.Fatalf("the content of an id has changed: %+v", other)
	}
	dup := record(t, l, "f2", "moo")
	if !dup.Created || dup.Job != nil || dup.Footage.DuplicateOf != "f1" || dup.Footage.BlobKey != "" ||
		dup.Footage.Original() != "f1" {
		t.Fatalf("got duplicate %+v", dup)
	}
	if dup = record(t, l, "f2", "moo"); dup.Created || dup.Footage.DuplicateOf != "f1" || dup.Job != nil {
		t.Fatalf("got duplicate %+v", dup)
	}
	if ds, err := l.Footage.ListDuplicates(ctx, "f1", 10); err != nil || len(ds) != 1 || ds[0].ID != "f2" {
		t.Fatalf("got devices %v, error %v", ds, err)
	}
	v, err := l.Footage.Get(ctx, "f2")
	if err != nil || v.Job == nil || v.Job.ID != first.Job.ID {
		t.Fatalf("a duplicate does not show its original's job: %+v %v", v, err)
	}
	for _, bad := range []Footage{{}, {ID: "x"}, {ID: "../x", Size: 1, SHA256: footage.Sum(nil)},
		{ID: "x", SHA256: footage.Sum(nil)}} {
		_, err := l.Footage.Record(ctx, bad)
		must.FailWith(t, err, ErrInvalid)
	}
}

func TestTwoLedgersRecordTheSame(t *testing.T) {
	ctx := context.Background()
	path, c := newPlace(t), clock.New()
	ledgers := []*Ledger{open(t, path, c), open(t, path, c)}
	const each = 20
	var wg sync.WaitGroup
	for n, l := range ledgers {
		for i := range each {
			wg.Go(func() {
				// The same content under two ids, and one id from both sides.
				if _, err := l.Footage.Record(ctx, sample(fmt.Sprintf("own-%d-%d", n, i), fmt.Sprint("content ", i))); err != nil {
					t.Error(err)
				}
				if _, err := l.Footage.Record(ctx, sample(fmt.Sprintf("both-%d", i), fmt.Sprint("more ", i))); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	s, err := ledgers[0].Totals.Stats(ctx)
	must.Do(t, err)
	if s.Footage != 3*each || s.Duplicates != each || s.Jobs[job.Uploaded] != 2*each {
		t.Fatalf("got statistics %+v", s)
	}
}

// errOf is the error of a call whose value does not matter.
func errOf[T any](_ T, err error) error { return err }
