package originals

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// list is the spool's records.
type list []spool.Record

func (l list) All() []spool.Record { return l }

func (l list) Get(id footage.ID) (spool.Record, bool) {
	for _, r := range l {
		if r.ID == id {
			return r, true
		}
	}
	return spool.Record{}, false
}

func write(t *testing.T, path, content string) spool.Source {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return spool.Source{Path: path, Size: info.Size(), ModTime: info.ModTime()}
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

func deleter(l list) *Deleter { return New(l, slog.New(slog.DiscardHandler)) }

func TestOnlyConfirmedFootageIsDeleted(t *testing.T) {
	for name, c := range map[string]struct {
		state   spool.State
		first   spool.State // of the footage that a duplicate stands for
		deleted bool
	}{
		"captured":               {spool.Captured, "", false},
		"spooled":                {spool.Spooled, "", false},
		"uploaded":               {spool.Uploaded, "", false},
		"confirmed":              {spool.Confirmed, "", true},
		"reclaimed":              {spool.Reclaimed, "", true},
		"quarantined":            {spool.Quarantined, "", false},
		"duplicate of spooled":   {spool.Duplicate, spool.Spooled, false},
		"duplicate of reclaimed": {spool.Duplicate, spool.Reclaimed, true},
		"duplicate of unknown":   {spool.Duplicate, "", false},
		"duplicate of duplicate": {spool.Duplicate, spool.Duplicate, false},
	} {
		dir := t.TempDir()
		r := spool.Record{ID: "b", State: c.state, DuplicateOf: "a", SHA256: footage.Sum([]byte("cows")),
			Source: write(t, filepath.Join(dir, "b.mp4"), "cows")}
		telemetry := write(t, filepath.Join(dir, "b.srt"), "1")
		r.Telemetry = &telemetry
		l := list{r}
		if c.first != "" {
			l = append(l, spool.Record{ID: "a", State: c.first, SHA256: r.SHA256, DuplicateOf: "b",
				Source: spool.Source{Path: filepath.Join(dir, "a.mp4")}})
		}
		deleter(l).deleteConfirmed()
		if exists(t, r.Source.Path) == c.deleted || exists(t, telemetry.Path) == c.deleted {
			t.Errorf("%s: video exists %t, telemetry exists %t, want deleted %t", name,
				exists(t, r.Source.Path), exists(t, telemetry.Path), c.deleted)
		}
	}
}

// A duplicate with other content than the first footage stays.
func TestDuplicateWithOtherDigestStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.mp4")
	r := spool.Record{ID: "b", State: spool.Duplicate, DuplicateOf: "a", SHA256: footage.Sum([]byte("cows")),
		Source: write(t, path, "cows")}
	deleter(list{r, {ID: "a", State: spool.Reclaimed, SHA256: footage.Sum([]byte("bulls"))}}).deleteConfirmed()
	if !exists(t, path) {
		t.Error("deleted")
	}
}

// Another file with the same name, a link or a folder stays.
func TestOtherFileStays(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.mp4")
	source := write(t, path, "cows")
	r := spool.Record{ID: "a", State: spool.Reclaimed, Source: source}
	write(t, path, "another flight, still being written")
	d := deleter(list{r})
	d.deleteConfirmed()
	if !exists(t, path) || !d.finished["a"] {
		t.Error("a changed file is deleted, or tried again")
	}
	if err := os.Rename(path, path+".real"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path+".real", path); err != nil {
		t.Fatal(err)
	}
	deleter(list{r}).deleteConfirmed()
	if !exists(t, path) {
		t.Error("a link is deleted")
	}
}

// A card that is not inserted is tried again, hourly and after a wake.
func TestCardThatComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mp4")
	source := write(t, path, "cows")
	for name, after := range map[string]func(*Deleter){
		"hourly": func(*Deleter) { <-time.After(retryEvery) },
		"wake":   func(d *Deleter) { d.Wake() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
				d := deleter(list{{ID: "a", State: spool.Reclaimed, Source: source}})
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- d.Run(ctx) }()
				synctest.Wait()
				if err := os.WriteFile(path, []byte("cows"), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chtimes(path, source.ModTime, source.ModTime); err != nil {
					t.Fatal(err)
				}
				after(d)
				synctest.Wait()
				if exists(t, path) {
					t.Error("not deleted")
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
