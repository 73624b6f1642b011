package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/clock"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/job"
)

func TestOpenRefuses(t *testing.T) {
	onFile(t)
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	must.Do(t, os.WriteFile(garbage, bytes.Repeat([]byte("no ledger "), 1000), 0o600))
	file := filepath.Join(dir, "file")
	must.Do(t, os.WriteFile(file, nil, 0o600))
	for name, c := range map[string]struct {
		path  string
		class error
	}{
		"no ledger":    {garbage, ErrCorrupt},
		"folder":       {dir, ErrUnwritable},
		"no folder":    {filepath.Join(dir, "missing", "ledger.db"), ErrUnwritable},
		"below a file": {filepath.Join(file, "ledger.db"), ErrUnwritable},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), c.path, Options{})
			must.FailWith(t, err, c.class)
			if !strings.Contains(err.Error(), c.path) {
				t.Errorf("the error does not name the file: %v", err)
			}
		})
	}
	if b, err := os.ReadFile(garbage); err != nil || !bytes.HasPrefix(b, []byte("no ledger")) {
		t.Error("the file of another program was changed")
	}
}

func TestUnusualPaths(t *testing.T) {
	onFile(t)
	for _, name := range []string{"a b.db", "what?.db", "100%.db", "a#b.db", "ä&x=1.db"} {
		path := filepath.Join(t.TempDir(), name)
		l := open(t, path, clock.New())
		record(t, l, "f1", "moo")
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
		must.Do(t, l.Ping(t.Context()))
	}
}

func TestDamageIsReported(t *testing.T) {
	onFile(t)
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, clock.New())
	for i := range 50 {
		record(t, l, string(rune('a'+i%26))+strings.Repeat("x", i), strings.Repeat("content", i+1))
	}
	must.Do(t, l.Close())
	must.FailWith(t, func() error { _, err := l.Totals.Stats(t.Context()); return err }(), errClosed(l))
	b, err := os.ReadFile(path)
	must.Do(t, err)
	for at := 4096; at+4096 < len(b); at += 4096 { // every page but the first
		copy(b[at:], bytes.Repeat([]byte{0xA5}, 2000))
	}
	must.Do(t, os.WriteFile(path, b, 0o600))
	l, err = Open(t.Context(), path, Options{})
	if err == nil {
		_, _, err = l.Footage.List(t.Context(), Page{Limit: 1000})
		must.Do(t, l.Close())
	}
	must.FailWith(t, err, ErrCorrupt)
}

// errClosed is the error of a closed ledger.
func errClosed(l *Ledger) error { return l.DB().Read().PingContext(context.Background()) }

func TestNewerFileIsRefused(t *testing.T) {
	path := newPlace(t)
	l := open(t, path, clock.New())
	must.Do(t, l.tables.write(t.Context(), "a newer program", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO `+versionTable+` (version_id, is_applied) SELECT 99999, is_applied FROM `+
			versionTable+` WHERE version_id = 1`)
		return err
	}))
	must.Do(t, l.Close())
	_, err := openAt(t.Context(), path, Options{})
	if err == nil || !strings.Contains(err.Error(), "use the newer program") {
		t.Fatalf("got %v", err)
	}
}

func TestLockedByAnotherProcess(t *testing.T) {
	path := newPlace(t)
	holder := open(t, path, clock.New())
	holding, done := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(done)
	wg.Go(func() {
		_ = holder.tables.write(t.Context(), "hold", func(context.Context, *sql.Tx) error {
			close(holding)
			<-done
			return nil
		})
	})
	<-holding
	other, err := openAt(t.Context(), path, Options{Busy: 50 * time.Millisecond})
	if err == nil { // without a migration only the first write needs the lock
		defer func() { must.Do(t, other.Close()) }()
		must.Do(t, other.Ping(t.Context())) // reads still work
		_, err = other.Footage.Record(t.Context(), sample("f1", "moo"))
	}
	must.FailWith(t, err, ErrBusy)
}

func TestCanceled(t *testing.T) {
	l, _ := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Footage.Record(ctx, sample("f1", "moo"))
	must.FailWith(t, err, context.Canceled)
	_, err = l.Footage.Get(ctx, "f1")
	must.FailWith(t, err, context.Canceled)
	record(t, l, "f1", "moo")
}

func TestManyProcessesOpenANewFile(t *testing.T) {
	path := newPlace(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			l, err := openAt(t.Context(), path, Options{Busy: time.Minute}) // they wait for each other's migrations
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = l.Close() }()
			if err := l.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

const childEnv = "LEDGER_TEST_CHILD"

// TestProcesses runs this test binary several times with one file, as cloud-api and workers
// do. Each process takes any job.
func TestProcesses(t *testing.T) {
	if path := os.Getenv(childEnv); path != "" {
		child(t, path)
		return
	}
	ctx := t.Context()
	path := newPlace(t)
	l := open(t, path, clock.New())
	const jobs = 30
	for i := range jobs {
		must.Do(t, l.Jobs.MarkQueued(ctx, record(t, l, "f"+strings.Repeat("x", i), strings.Repeat("y", i+1)).Job.ID))
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestProcesses$")
			cmd.Env = append(os.Environ(), childEnv+"="+path)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	s, err := l.Totals.Stats(ctx)
	if err != nil || s.Jobs[job.Done] != jobs || s.Counts != jobs {
		t.Fatalf("got statistics %+v, error %v", s, err)
	}
}

func child(t *testing.T, path string) {
	ctx := t.Context()
	l := open(t, path, clock.New())
	for {
		vs, _, err := l.Jobs.List(ctx, job.Queued, Page{Limit: 5})
		must.Do(t, err)
		if len(vs) == 0 {
			return
		}
		for _, v := range vs {
			j, _, err := l.Attempts.Begin(ctx, v.ID, "child")
			if errors.Is(err, job.ErrTransition) {
				continue // another child has ended it
			}
			must.Do(t, err)
			_, err = l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: 1, High: 1}, "k")
			if !errors.Is(err, ErrFenced) { // another child took it over
				must.Do(t, err)
			}
		}
	}
}
