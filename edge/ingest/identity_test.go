package ingest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/edge/cardfile"
	"cattlecounter/edge/spool"
	"cattlecounter/edge/watch"
	"cattlecounter/shared/footage"
)

// printed adds the fingerprint that the watcher reads.
func printed(t *testing.T, f watch.File) watch.File {
	t.Helper()
	sum, _, err := cardfile.PrintOf(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	f.Print = sum
	return f
}

// replace writes other content of the same size and time under the name of a file.
func (b *bench) replace(f watch.File) []byte {
	b.t.Helper()
	content := video(int(f.Size))
	b.file(filepath.Base(f.Path), content)
	if err := os.Chtimes(f.Path, f.ModTime, f.ModTime); err != nil {
		b.t.Fatal(err)
	}
	return content
}

// known asks until the file is compared.
func (b *bench) known(f watch.File) bool {
	b.t.Helper()
	limit := time.After(3 * time.Minute)
	for {
		known, err := b.in.Known(watch.Finding{Video: f})
		if err != nil {
			b.t.Fatal(err)
		}
		if _, waits := b.in.checks.first(); !waits {
			return known
		}
		select {
		case <-limit:
			b.t.Fatal("not compared in three minutes")
		case <-time.After(time.Millisecond):
		}
	}
}

// Footage of an earlier release has no fingerprint. The digest of the file decides whether it was captured.
func TestFileOfAnEarlierRelease(t *testing.T) {
	b := newBench(t)
	b.run()
	same, other := b.file("same.mp4", video(9<<20)), b.file("other.mp4", video(5000))
	for _, f := range []watch.File{same, other} {
		b.capture(watch.Finding{Video: f})
		b.waitFor("spooled", namedIn(filepath.Base(f.Path), spool.Spooled))
	}
	content := b.replace(other)
	if !b.known(printed(t, same)) {
		t.Error("the same file counts as new")
	}
	other = printed(t, other)
	for b.known(other) { // the first answer is given before the comparison
	}
	b.capture(watch.Finding{Video: other})
	if r := b.waitFor("spooled", func(r spool.Record) bool {
		return r.State == spool.Spooled && r.SHA256 == footage.Sum(content)
	}); r.Name != "other.mp4" {
		t.Errorf("got %+v", r)
	}
	if n := len(b.spool.Records.All()); n != 3 {
		t.Errorf("%d records, want 3", n)
	}
}

// Damaged footage is read again from the card. When the card has another recording under the name, the undamaged
// content stays as it is, and the other recording is captured.
func TestReadingAgainWithAnotherRecording(t *testing.T) {
	for name, reclaimed := range map[string]bool{"damaged in the spool": false, "lost by the cloud": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.run()
			first := b.file("a.mp4", video(2*footage.ChunkSize))
			b.capture(watch.Finding{Video: first}) // without a fingerprint, so that only the digest tells
			r := b.waitFor("spooled", inState(spool.Spooled))
			if reclaimed {
				b.confirm(r.ID)
			}
			content := b.replace(first)
			if err := b.spool.Recovery.Reread(r.ID); err != nil {
				t.Fatal(err)
			}
			b.in.Wake()
			got := b.waitFor("quarantined", inState(spool.Quarantined))
			if !strings.Contains(got.Reason, "another recording under the name") || got.SHA256 != r.SHA256 {
				t.Errorf("got %+v", got)
			}
			if !reclaimed {
				if err := b.spool.Content.Verify(t.Context(), r.ID); err != nil {
					t.Errorf("undamaged content was overwritten: %v", err)
				}
			}
			f := printed(t, b.stat(first.Path))
			if known, err := b.in.Known(watch.Finding{Video: f}); err != nil || known {
				t.Fatalf("the other recording: known %t, error %v", known, err)
			}
			b.capture(watch.Finding{Video: f})
			if got := b.waitFor("spooled", inState(spool.Spooled)); got.ID == r.ID || got.SHA256 != footage.Sum(content) {
				t.Errorf("got %+v, want other footage", got)
			}
		})
	}
}

// confirm ends the upload of a piece of footage.
func (b *bench) confirm(id footage.ID) {
	b.t.Helper()
	if _, err := b.spool.Uploads.Begin(id); err != nil {
		b.t.Fatal(err)
	}
	if err := b.spool.Uploads.Confirm(id, ""); err != nil {
		b.t.Fatal(err)
	}
	if err := b.spool.Disk.Reclaim(id); err != nil {
		b.t.Fatal(err)
	}
	b.waitFor("reclaimed", inState(spool.Reclaimed))
}

// A file that is replaced between the capture and the reading, with size and time as before, is not taken for it.
func TestFileReplacedBeforeItIsRead(t *testing.T) {
	b := newBench(t)
	f := printed(t, b.file("a.mp4", video(5000)))
	b.capture(watch.Finding{Video: f})
	b.replace(f)
	b.run()
	if r := b.waitFor("stale", func(r spool.Record) bool { return r.Stale }); !strings.Contains(r.Waiting, "content differs") {
		t.Errorf("waits because of %q", r.Waiting)
	}
}

// Telemetry that still grows while it is read is left out and captured again as a late log.
func TestTelemetryThatGrowsIsCapturedLater(t *testing.T) {
	b := newBench(t)
	v, log := printed(t, b.file("a.mp4", video(5000))), printed(t, b.file("a.srt", []byte("1\n")))
	b.capture(watch.Finding{Video: v, Telemetry: &log})
	b.file("a.srt", []byte("1\n2\n"))
	b.run()
	r := b.waitFor("spooled", inState(spool.Spooled))
	if !r.TelemetrySHA256.IsZero() {
		t.Fatalf("got %+v, want no telemetry yet", r)
	}
	log = printed(t, b.stat(log.Path))
	if known, err := b.in.Known(watch.Finding{Video: v, Telemetry: &log}); err != nil || known {
		t.Fatalf("grown log: known %t, error %v", known, err)
	}
	b.capture(watch.Finding{Video: v, Telemetry: &log})
	l := b.waitFor("log spooled", func(x spool.Record) bool { return x.LogOf == r.ID && x.State == spool.Spooled })
	m, err := b.spool.Content.Manifest(l.ID)
	if err != nil || m.TelemetryOf != r.ID || m.Video.SHA256 != footage.Sum([]byte("1\n2\n")) {
		t.Errorf("manifest of the log: %+v, %v", m, err)
	}
	if known, err := b.in.Known(watch.Finding{Video: v, Telemetry: &log}); err != nil || !known {
		t.Errorf("captured log: known %t, error %v", known, err)
	}
}
