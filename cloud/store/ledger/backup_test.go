package ledger

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/clock"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/job"
)

func count(t *testing.T, l *Ledger, id string) Job {
	t.Helper()
	j := begun(t, l, id)
	must.Get(l.Attempts.Finish(t.Context(), j.ID, j.Fence, Count{Unique: 3, High: 3}, "k"))(t)
	return j
}

// A backup is a consistent copy, also while another process writes. Numbers that were used
// after the backup are not used again.
func TestBackupAndRestore(t *testing.T) {
	onFile(t)
	ctx, dir := t.Context(), t.TempDir()
	path, backup := filepath.Join(dir, "ledger.db"), filepath.Join(dir, "backup.db")
	l := open(t, path, clock.New())
	count(t, l, "counted")
	running := begun(t, l, "running")
	reader := open(t, path, clock.New())
	must.Do(t, l.Backup(ctx, backup))
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got blob %v, error %v", info, err)
	}
	must.FailWith(t, l.Backup(ctx, backup), ErrUnwritable)

	count(t, l, "later")
	must.Get(l.Attempts.Finish(ctx, running.ID, running.Fence, Count{Unique: 9, High: 9}, "k"))(t)
	changed, err := l.Changes.Jobs(ctx, 0, 10)
	must.Do(t, err)
	highest := changed[len(changed)-1].Seq
	must.Do(t, l.Close())
	now := time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC)
	_, err = Restore(ctx, backup, path, now)
	must.FailWith(t, err, ErrBusy) // reader
	must.Do(t, reader.Close())
	old, err := Restore(ctx, backup, path, now)
	must.Do(t, err)
	if want := path + ".before-20260701T060000Z"; old != want {
		t.Errorf("the replaced ledger is %s, want %s", old, want)
	}

	l = open(t, path, clock.New())
	s, err := l.Totals.Stats(ctx)
	if err != nil || s.Footage != 2 || s.Jobs[job.Done] != 1 || s.Jobs[job.Processing] != 1 {
		t.Fatalf("got statistics %+v, error %v", s, err)
	}
	must.FailWith(t, errOf(l.Attempts.Finish(ctx, running.ID, running.Fence, Count{}, "k")), ErrFenced)
	if changed, err = l.Changes.Jobs(ctx, highest, 10); err != nil || len(changed) != 1 || changed[0].ID != running.ID {
		t.Errorf("the change feed after the restore: %+v %v", changed, err)
	}
	next := count(t, l, "next")
	if j, err := l.Jobs.Get(ctx, next.ID); err != nil || j.Seq <= changed[0].Seq {
		t.Errorf("got job %+v, error %v", j, err)
	}
	before := open(t, old, clock.New())
	if s, err := before.Totals.Stats(ctx); err != nil || s.Footage != 3 || s.Jobs[job.Done] != 3 {
		t.Errorf("the replaced ledger: %+v %v", s, err)
	}
	must.Do(t, before.Close())
	must.Do(t, l.Close())
	_, err = Restore(ctx, backup, path, now)
	must.FailWith(t, err, ErrExists) // in the same second
	l = open(t, path, clock.New())
	must.Do(t, l.Ping(ctx))
}

// An incomplete backup changes nothing. A damaged ledger is replaced.
func TestRestoreRefuses(t *testing.T) {
	onFile(t)
	ctx, dir := t.Context(), t.TempDir()
	path, backup := filepath.Join(dir, "ledger.db"), filepath.Join(dir, "backup.db")
	l := open(t, path, clock.New())
	for i := range 50 {
		record(t, l, string(rune('a'+i%26))+strings.Repeat("x", i), strings.Repeat("content", i+1))
	}
	must.Do(t, l.Backup(ctx, backup))
	must.Do(t, l.Close())
	good, err := os.ReadFile(backup)
	must.Do(t, err)
	torn := bytes.Clone(good)
	for at := 4096; at+4096 < len(torn); at += 4096 {
		copy(torn[at:], bytes.Repeat([]byte{0xA5}, 2000))
	}
	for name, b := range map[string][]byte{"torn": torn, "short": good[:len(good)/2],
		"no database": []byte(strings.Repeat("moo", 9000)), "empty": nil} {
		bad := filepath.Join(dir, "bad.db")
		must.Do(t, os.WriteFile(bad, b, 0o600))
		if _, err := Restore(ctx, bad, path, time.Now()); err == nil {
			t.Errorf("%s: the restore succeeded", name)
		} else {
			must.FailWith(t, err, ErrCorrupt)
		}
	}
	_, err = Restore(ctx, filepath.Join(dir, "missing.db"), path, time.Now())
	must.FailWith(t, err, os.ErrNotExist)
	l = open(t, path, clock.New())
	if s, err := l.Totals.Stats(ctx); err != nil || s.Footage != 50 {
		t.Fatalf("got statistics %+v, error %v", s, err)
	}
	must.Do(t, l.Close())

	must.Do(t, os.WriteFile(path, torn, 0o600))
	if _, err = Restore(ctx, backup, path, time.Now()); err != nil {
		t.Fatal(err)
	}
	l = open(t, path, clock.New())
	if s, err := l.Totals.Stats(ctx); err != nil || s.Footage != 50 {
		t.Fatalf("got statistics %+v, error %v", s, err)
	}
	must.Do(t, l.Close())
	if left, err := filepath.Glob(filepath.Join(dir, "*restoring*")); err != nil || len(left) > 0 {
		t.Errorf("remaining files: %v %v", left, err)
	}
}

// A backup can be restored to a path without a ledger.
func TestRestoreWithoutALedger(t *testing.T) {
	onFile(t)
	l, _ := fresh(t)
	record(t, l, "f1", "moo")
	backup, path := filepath.Join(t.TempDir(), "b.db"), filepath.Join(t.TempDir(), "ledger.db")
	must.Do(t, l.Backup(t.Context(), backup))
	if old, err := Restore(t.Context(), backup, path, time.Now()); err != nil || old != "" {
		t.Fatal(old, err)
	}
	if _, err := open(t, path, clock.New()).Footage.Get(t.Context(), "f1"); err != nil {
		t.Error(err)
	}
}
