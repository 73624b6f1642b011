package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

const mp4Head = "\x00\x00\x00\x20ftypisom"

// The list of what is not taken is short, whatever lies on the card.
func TestSurveyOfAFullCard(t *testing.T) {
	dir := t.TempDir()
	files := 50_000
	if testing.Short() {
		files = 2000
	}
	for i := range files {
		must.Do(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("DJI_%05d%s", i, []string{".LRF", ".JPG", ".MXF", ".xyz"}[i%4])), nil, 0o600))
	}
	write(t, filepath.Join(dir, "a.mp4"), mp4Head)
	write(t, filepath.Join(dir, "b.MP4"), "no video")
	write(t, filepath.Join(dir, "c.mov"), "")
	write(t, filepath.Join(dir, "a.SRT"), "1\n")
	write(t, filepath.Join(dir, "k\xfche.SRT"), "1\n")
	must.Do(t, os.Mkdir(filepath.Join(dir, "MISC"), 0o700))
	videos, skipped, err := Survey(t.Context(), dir)
	if err != nil || videos != 3 {
		t.Fatalf("got %d videos, error %v, want 3", videos, err)
	}
	want := map[Reason]string{
		NotVideo:    "1 with a video's name but other content (b.MP4)",
		Empty:       "1 empty (c.mov)",
		OtherVideo:  fmt.Sprintf("%d videos of a kind that cannot be read; convert them to MP4 (DJI_00002.MXF, DJI_00006.MXF, DJI_00010.MXF, …)", files/4),
		LoneLog:     `1 flight logs without a video (k\xfche.SRT)`,
		Proxy:       fmt.Sprintf("%d proxies of low resolution (DJI_00000.LRF, DJI_00004.LRF, DJI_00008.LRF, …)", files/4),
		Photo:       fmt.Sprintf("%d photos (DJI_00001.JPG, DJI_00005.JPG, DJI_00009.JPG, …)", files/4),
		OtherFolder: "1 folders of the camera or the system (MISC)",
		Unknown:     fmt.Sprintf("%d of an unknown type (DJI_00003.xyz, DJI_00007.xyz, DJI_00011.xyz, …)", files/4),
	}
	for _, s := range skipped {
		if s.String() != want[s.Reason] {
			t.Errorf("%s: got %q, want %q", s.Reason, s, want[s.Reason])
		}
		delete(want, s.Reason)
	}
	if len(want) > 0 {
		t.Errorf("%v is missing in %v", want, skipped)
	}
}

func TestReasonsAreComplete(t *testing.T) {
	for _, r := range Reasons() {
		if r.Text() == "" {
			t.Errorf("reason %q has no text", r)
		}
	}
	for r, extensions := range otherExtensions {
		if !slices.Contains(Reasons(), r) {
			t.Errorf("reason %q is not listed", r)
		}
		for _, e := range extensions {
			if k, why := classify("x" + strings.ToUpper(e)); k != skippedFile || why != r {
				t.Errorf("x%s: got kind %d, reason %q, want %q", e, k, why, r)
			}
		}
	}
}

// A new file with the name, size and time of an old one is offered again with its own fingerprint.
func TestReplacedFileIsOfferedAgain(t *testing.T) {
	watching(t, func(t *testing.T, dir string, b *recorder, _ *Watcher) {
		path, at := filepath.Join(dir, "a.mp4"), time.Unix(1e9, 0)
		for _, content := range []string{"first herd", "other herd", "third herd"} {
			write(t, path+".tmp", content)
			must.Do(t, os.Chtimes(path+".tmp", at, at))
			must.Do(t, os.Rename(path+".tmp", path))
			wait(time.Minute)
		}
		found := b.all()
		if len(found) != 3 || found[0].Video.Print == found[1].Video.Print || found[1].Video.Print == found[2].Video.Print {
			t.Errorf("captured %+v, want three recordings", found)
		}
	})
}

// A flight log that arrives or grows after its video was captured is offered with it, and alone when the video is not
// on the card any more.
func TestLateFlightLog(t *testing.T) {
	watching(t, func(t *testing.T, dir string, b *recorder, w *Watcher) {
		video, log := filepath.Join(dir, "DJI_0001.MP4"), filepath.Join(dir, "DJI_0001.SRT")
		write(t, video, mp4Head)
		wait(20 * time.Second)
		write(t, log, "1\n")
		wait(5 * time.Second)
		grow(t, log)
		wait(9 * time.Second)
		if got := b.all(); len(got) != 1 || got[0].Telemetry != nil {
			t.Fatalf("captured %+v, want the video only while the log grows", got)
		}
		wait(10 * time.Second)
		if got := b.all(); len(got) != 2 || got[1].Telemetry == nil || got[1].Video != got[0].Video {
			t.Fatalf("captured %+v, want the video and its log", got)
		}
		must.Do(t, os.Remove(video))
		grow(t, log)
		wait(time.Minute)
		got := b.all()
		if len(got) != 3 || got[2].Video.Path != "" || got[2].Telemetry.Size != 10 {
			t.Fatalf("captured %+v, want the log alone", got)
		}
		if f := w.Folders()[0]; len(f.Skipped) != 0 {
			t.Errorf("a log whose video is known is listed: %v", f.Skipped)
		}
		wait(time.Hour)
		if len(b.all()) != 3 {
			t.Errorf("captured %+v, want the log once", b.all())
		}
	})
}

// A flight log whose video was never seen is listed, and offered again once a minute.
func TestLoneFlightLog(t *testing.T) {
	watching(t, func(t *testing.T, dir string, b *recorder, w *Watcher) {
		b.setFail(ErrNoVideo)
		write(t, filepath.Join(dir, "DJI_0001.SRT"), "1\n")
		wait(time.Minute)
		if f := w.Folders()[0]; len(f.Skipped) != 1 || f.Skipped[0].Reason != LoneLog {
			t.Errorf("got %v, want the log", f.Skipped)
		}
		b.setFail(nil)
		wait(2 * time.Minute)
		if f := w.Folders()[0]; len(b.all()) != 1 || len(f.Skipped) != 0 {
			t.Errorf("captured %+v, listed %v, want the log captured and not listed", b.all(), f.Skipped)
		}
	})
}
