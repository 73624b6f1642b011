package originals

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/edge/cardfile"
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

// forgotten records which footage is forgotten.
type forgotten map[footage.ID]bool

func (f forgotten) Forget(id footage.ID) error { f[id] = true; return nil }

func (f forgotten) RequireDigest(footage.ID) error { return nil }

func (f forgotten) Resolve(spool.Source, footage.Digest) (bool, error) { return true, nil }

// noted counts notes about a file, which must be there then.
type noted struct {
	forgotten
	t     *testing.T
	path  string
	fails error
	notes int
}

func (n *noted) RequireDigest(footage.ID) error {
	n.notes++
	if !exists(n.t, n.path) {
		n.t.Error("the file was deleted before the note: a new recording under its name could pass for it")
	}
	return n.fails
}

// The spool notes that a file must be read whole to be known before it is deleted. Without the note it stays.
func TestNoteBeforeDeletion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mp4")
	r := spool.Record{ID: "a", State: spool.Reclaimed, Source: write(t, path, "cows"), SHA256: footage.Sum([]byte("cows"))}
	n := &noted{t: t, path: path, fails: errors.New("disk full")}
	d := New(Options{Records: list{r}, Files: n})
	if d.deleteConfirmed(t.Context()); n.notes != 1 || !exists(t, path) {
		t.Errorf("%d notes, file exists %v, want one note and the file", n.notes, exists(t, path))
	}
	n.fails = nil
	if d.deleteConfirmed(t.Context()); n.notes != 2 || exists(t, path) {
		t.Errorf("%d notes, file exists %v, want two notes and no file", n.notes, exists(t, path))
	}
}

func deleter(l list) *Deleter { return New(Options{Records: l, Files: forgotten{}}) }

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
		r.Telemetry, r.TelemetrySHA256, r.Sidecar = &telemetry, footage.Sum([]byte("1")), spool.Transfer{URL: "u", Done: true}
		l := list{r}
		if c.first != "" {
			l = append(l, spool.Record{ID: "a", State: c.first, SHA256: r.SHA256, DuplicateOf: "b",
				TelemetrySHA256: r.TelemetrySHA256, Sidecar: r.Sidecar,
				Source: spool.Source{Path: filepath.Join(dir, "a.mp4")}})
		}
		deleter(l).deleteConfirmed(t.Context())
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
	deleter(list{r, {ID: "a", State: spool.Reclaimed, SHA256: footage.Sum([]byte("bulls"))}}).deleteConfirmed(t.Context())
	if !exists(t, path) {
		t.Error("deleted")
	}
}

// Another file with the same name, a link or a folder stays.
func TestOtherFileStays(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.mp4")
	source := write(t, path, "cows")
	r := spool.Record{ID: "a", State: spool.Reclaimed, Source: source, SHA256: footage.Sum([]byte("cows"))}
	write(t, path, "another flight, still being written")
	d := deleter(list{r})
	d.deleteConfirmed(t.Context())
	if !exists(t, path) || len(d.stays) != 1 {
		t.Error("a changed file is deleted, or tried again")
	}
	if err := os.Rename(path, path+".real"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path+".real", path); err != nil {
		t.Fatal(err)
	}
	deleter(list{r}).deleteConfirmed(t.Context())
	if !exists(t, path) {
		t.Error("a link is deleted")
	}
}

// A question that the cloud does not answer is asked again after a minute, not after an hour.
func TestCloudThatCannotBeAskedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mp4")
	r := spool.Record{ID: "a", State: spool.Reclaimed, Source: write(t, path, "cows"), SHA256: footage.Sum([]byte("cows"))}
	synctest.Test(t, func(t *testing.T) {
		asked, third, begun := 0, make(chan struct{}), time.Now()
		confirms := func(context.Context, spool.Record) (bool, error) {
			if asked++; asked < 3 {
				return false, errors.New("no link")
			}
			close(third)
			return true, nil
		}
		d := New(Options{Records: list{r}, Files: forgotten{}, Confirms: confirms})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		<-third
		if waited := time.Since(begun); waited != 2*time.Minute {
			t.Errorf("the third question came after %s, want 2 minutes", waited)
		}
		synctest.Wait()
		if exists(t, path) {
			t.Error("the file is still there")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
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
				d := deleter(list{{ID: "a", State: spool.Reclaimed, Source: source, SHA256: footage.Sum([]byte("cows"))}})
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

// A camera whose clock was reset writes a new recording with the name, the size and the time of an earlier one.
func TestRecordingWithTheSameNameSizeAndTimeStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "DJI_0001.MP4")
	source := write(t, path, "other cows")
	for name, sum := range map[string]footage.Digest{"fingerprint known": fingerprint(t, path), "record of an earlier release": {}} {
		source.Print = sum
		files := forgotten{}
		r := spool.Record{ID: "a", State: spool.Reclaimed, Source: source, SHA256: footage.Sum([]byte("first cows"))}
		New(Options{Records: list{r}, Files: files}).deleteConfirmed(t.Context())
		if !exists(t, path) {
			t.Fatalf("%s: a recording that was never read is deleted", name)
		}
		if !files["a"] {
			t.Errorf("%s: the file still counts as captured", name)
		}
	}
}

func fingerprint(t *testing.T, path string) footage.Digest {
	t.Helper()
	sum, _, err := cardfile.PrintOf(path)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// Telemetry that the cloud refused, or that was never read, stays on the card.
func TestTelemetryThatTheCloudLacksStays(t *testing.T) {
	for name, change := range map[string]func(*spool.Record){
		"refused":         func(r *spool.Record) { r.Sidecar = spool.Transfer{Done: true} },
		"not read":        func(r *spool.Record) { r.TelemetrySHA256 = footage.Digest{} },
		"grown since":     func(r *spool.Record) { r.TelemetrySHA256 = footage.Sum([]byte("an older log")) },
		"not sent":        func(r *spool.Record) { r.Sidecar = spool.Transfer{URL: "u"} },
		"another release": func(r *spool.Record) { r.TelemetrySHA256, r.Sidecar = footage.Digest{}, spool.Transfer{} },
	} {
		dir := t.TempDir()
		r := spool.Record{ID: "a", State: spool.Reclaimed, Source: write(t, filepath.Join(dir, "a.mp4"), "cows"),
			SHA256: footage.Sum([]byte("cows")), TelemetrySHA256: footage.Sum([]byte("log")), Sidecar: spool.Transfer{URL: "u", Done: true}}
		telemetry := write(t, filepath.Join(dir, "a.srt"), "log")
		r.Telemetry = &telemetry
		change(&r)
		deleter(list{r}).deleteConfirmed(t.Context())
		if exists(t, r.Source.Path) || !exists(t, telemetry.Path) {
			t.Errorf("%s: video exists %t, telemetry exists %t, want only the telemetry", name, exists(t, r.Source.Path),
				exists(t, telemetry.Path))
		}
	}
}

// A flight log that arrived after its video is deleted as well, when the cloud has it.
func TestLateFlightLogIsDeleted(t *testing.T) {
	dir := t.TempDir()
	log := spool.Record{ID: "l", LogOf: "a", State: spool.Reclaimed, Source: write(t, filepath.Join(dir, "a.srt"), "log"),
		SHA256: footage.Sum([]byte("log"))}
	again := log
	again.ID, again.State, again.DuplicateOf, again.Source = "m", spool.Duplicate, "l", write(t, filepath.Join(dir, "b.srt"), "log")
	deleter(list{log, again}).deleteConfirmed(t.Context())
	if exists(t, log.Source.Path) || exists(t, again.Source.Path) {
		t.Error("not deleted")
	}
}

// A file that changes while it is read for its digest stays, and is tried again.
func TestFileThatChangesWhileItIsReadStays(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"written": func(p string) error { return os.WriteFile(p, []byte("more cows"), 0o600) },
		"replaced": func(p string) error {
			return errors.Join(os.WriteFile(p+".new", []byte("cows"), 0o600), os.Rename(p+".new", p))
		},
		"removed": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.mp4")
			r := spool.Record{ID: "a", State: spool.Reclaimed, Source: write(t, path, "cows"), SHA256: footage.Sum([]byte("cows"))}
			d := New(Options{Records: list{r}, Files: forgotten{}, Busy: func() bool {
				if err := change(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
				return false
			}})
			d.deleteConfirmed(t.Context())
			if exists(t, path) == (name == "removed") || len(d.stays) != 0 {
				t.Errorf("exists %t, left alone from now on: %v", exists(t, path), d.stays)
			}
		})
	}
}

// While the agent reads new footage the card is left to it, and a stop ends the wait.
func TestDeleterWaitsForTheReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mp4")
	source := write(t, path, "cows")
	synctest.Test(t, func(t *testing.T) {
		busy := true
		d := New(Options{Records: list{{ID: "a", State: spool.Reclaimed, Source: source, SHA256: footage.Sum([]byte("cows"))}},
			Files: forgotten{}, Busy: func() bool { return busy }})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		d.deleteConfirmed(ctx)
		cancel()
		if !exists(t, path) || len(d.stays) != 0 {
			t.Error("deleted while the card is in use")
		}
		busy = false
		d.deleteConfirmed(t.Context())
		if exists(t, path) {
			t.Error("not deleted")
		}
	})
}

// Just before a deletion the cloud is asked again: it may have lost what it confirmed, or not answer.
func TestCloudIsAskedBeforeTheDeletion(t *testing.T) {
	errLink := errors.New("link is down")
	has, err := false, errLink
	var asked []footage.ID
	dir := t.TempDir()
	a := spool.Record{ID: "a", State: spool.Reclaimed, Source: write(t, filepath.Join(dir, "a.mp4"), "cows"),
		SHA256: footage.Sum([]byte("cows"))}
	b := a
	b.ID, b.State, b.DuplicateOf, b.Source = "b", spool.Duplicate, "a", write(t, filepath.Join(dir, "b.mp4"), "cows")
	d := New(Options{Records: list{a, b}, Files: forgotten{}, Confirms: func(_ context.Context, r spool.Record) (bool, error) {
		asked = append(asked, r.ID)
		return has, err
	}})
	d.deleteConfirmed(t.Context())
	if len(asked) != 1 || !exists(t, a.Source.Path) {
		t.Errorf("link is down: asked about %v, file exists %t, want one request and the file", asked, exists(t, a.Source.Path))
	}
	asked, err = nil, nil
	d.deleteConfirmed(t.Context())
	if len(asked) != 2 || asked[1] != "a" || !exists(t, a.Source.Path) || !exists(t, b.Source.Path) {
		t.Errorf("lost by the cloud: asked about %v, want both files to stay", asked)
	}
	has = true
	d.deleteConfirmed(t.Context())
	if exists(t, a.Source.Path) || exists(t, b.Source.Path) {
		t.Error("confirmed again: not deleted")
	}
}
