package watch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/edge/cardfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a sink that records findings.
type recorder struct {
	mu    sync.Mutex
	found []Finding
	fail  error
}

func (b *recorder) all() []Finding {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.found)
}

func (b *recorder) setFail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = err
}

func (b *recorder) Known(f Finding) (bool, error) {
	if f.Video.Path == "" {
		return slices.ContainsFunc(b.all(), func(x Finding) bool { return sameLog(x, f) }), nil
	}
	return slices.ContainsFunc(b.all(), func(x Finding) bool {
		return x.Video == f.Video && (f.Telemetry == nil || sameLog(x, f))
	}), nil
}

func sameLog(a, b Finding) bool {
	return a.Telemetry != nil && b.Telemetry != nil && *a.Telemetry == *b.Telemetry
}

func (b *recorder) Capture(f Finding) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	b.found = append(b.found, f)
	return nil
}

func (b *recorder) names() []string {
	var n []string
	for _, f := range b.all() {
		n = append(n, filepath.Base(f.Video.Path))
	}
	slices.Sort(n)
	return n
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func grow(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("more"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// watching runs f in a synctest bubble with a running Watcher. Time there is not real time.
func watching(t *testing.T, f func(t *testing.T, dir string, b *recorder, w *Watcher)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &recorder{}
		w := New(Options{Folders: []string{dir}, Stable: 10 * time.Second, Sidecar: 5 * time.Second, Poll: time.Second}, b)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = w.Run(ctx) }()
		f(t, dir, b, w)
		cancel()
		<-done
	})
}

// wait lets time pass in the bubble and waits until the watcher is idle.
func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestNames(t *testing.T) {
	for name, want := range map[string]Reason{
		"DJI_0001.MP4": "", "DJI_0001.mp4": "", "a.MOV": "", "a.mkv": "", "a.AVI": "", "a.ts": "", "a.m4v": "", "00001.MTS": "",
		"a.m2ts": "", "a.webm": "", "a.M2T": "", "a.3gp": "", "a.qt": "",
		"DJI_0001.LRF": Proxy, "GL010001.LRV": Proxy, "DJI_0001.THM": Thumbnail, "DJI_0001.JPG": Photo, "a.DNG": Photo,
		"a.WAV": Audio, "a.MXF": OtherVideo, "VID.insv": OtherVideo, "a.hevc": OtherVideo,
		"._DJI_0001.MP4": Hidden, ".hidden.mp4": Hidden, ".mp4": Hidden, ".srt": Hidden,
		"a.mp4.part": Unfinished, "a.mp4.tmp": Unfinished, "a.part.mp4": Unfinished, "a.tmp.MP4": Unfinished,
		"a.crdownload": Unfinished, "a.mp4~": Unfinished, "a.srt.part": Unfinished,
		"mp4": Unknown, "a.txt": Unknown, "a.mp4x": Unknown, "a": Unknown,
	} {
		if k, why := classify(name); why != want || (k == footageFile) != (want == "") {
			t.Errorf("%s: got kind %d, reason %q, want %q", name, k, why, want)
		}
	}
	if k, _ := classify("DJI_0001.SRT"); k != telemetryFile {
		t.Errorf("DJI_0001.SRT: got kind %d, want telemetry", k)
	}
	for name, want := range map[string]bool{"MISC": true, "misc": true, ".Trashes": true, "System Volume Information": true, "100MEDIA": false,
		"DJI_202611221930_001": false, "DCIM": false} {
		if skipsFolder(name) != want {
			t.Errorf("folder %s is skipped: got %v, want %v", name, !want, want)
		}
	}
}

func TestCardLayout(t *testing.T) {
	watching(t, func(t *testing.T, dir string, b *recorder, w *Watcher) {
		for _, p := range []string{"DCIM/100MEDIA/DJI_0001.MP4", "DCIM/DJI_202611221930_001/DJI_20261122_0001_D.MP4", "top.mov",
			"MISC/x.mp4", "DCIM/100MEDIA/DJI_0001.LRF", "DCIM/100MEDIA/._DJI_0001.MP4", ".Trashes/a.mp4", "a.mp4.part"} {
			write(t, filepath.Join(dir, p), "x")
		}
		if err := os.Symlink(filepath.Join(dir, "top.mov"), filepath.Join(dir, "link.mov")); err != nil {
			t.Fatal(err)
		}
		wait(time.Minute)
		if want := []string{"DJI_0001.MP4", "DJI_20261122_0001_D.MP4", "top.mov"}; !slices.Equal(b.names(), want) {
			t.Errorf("captured %v, want %v", b.names(), want)
		}
		f := w.Folders()
		if f[0].Fault != "" || f[0].Files != 3 {
			t.Errorf("got %+v, want a readable folder with 3 videos", f)
		}
		want := map[Reason][]string{
			OtherFolder: {".Trashes", "MISC"}, Proxy: {"DCIM/100MEDIA/DJI_0001.LRF"}, Hidden: {"DCIM/100MEDIA/._DJI_0001.MP4"},
			Unfinished: {"a.mp4.part"}, NotRegular: {"link.mov"},
			NotVideo: {"DCIM/100MEDIA/DJI_0001.MP4", "DCIM/DJI_202611221930_001/DJI_20261122_0001_D.MP4", "top.mov"}}
		for _, s := range f[0].Skipped {
			if s.Files != len(want[s.Reason]) || !slices.Equal(s.Examples, want[s.Reason]) {
				t.Errorf("%s: got %d files, %q, want %q", s.Reason, s.Files, s.Examples, want[s.Reason])
			}
			delete(want, s.Reason)
		}
		if len(want) > 0 {
			t.Errorf("got %+v, %v is missing", f[0].Skipped, want)
		}
	})
}

func TestGrowingFileIsNotCaptured(t *testing.T) {
	watching(t, func(t *testing.T, dir string, b *recorder, _ *Watcher) {
		p := filepath.Join(dir, "a.mp4")
		write(t, p, "x")
		for range 20 {
			wait(7 * time.Second)
			grow(t, p)
			if len(b.all()) > 0 {
				t.Fatal("captured while it grows")
			}
		}
		wait(9 * time.Second)
		if len(b.all()) > 0 {
			t.Fatal("captured within the stable window")
		}
		wait(10 * time.Second)
		if len(b.all()) != 1 || b.all()[0].Video.Size != 81 {
			t.Fatalf("captured %+v, want the whole file once", b.all())
		}
		grow(t, p) // with another size it is another file
		wait(time.Minute)
		if len(b.all()) != 2 {
			t.Errorf("captured %+v, want the longer file as well", b.all())
		}
	})
}

func TestStalledCopyIsNotCaptured(t *testing.T) {
	watching(t, func(t *testing.T, dir string, b *recorder, _ *Watcher) {
		f, err := os.Create(filepath.Join(dir, "a.mp4"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("half"); err != nil {
			t.Fatal(err)
		}
		probe, err := os.Open(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		detects := cardfile.HasWriter(probe)
		_ = probe.Close()
		wait(5 * time.Minute)
		if detects && len(b.all()) != 0 {
			t.Error("captured while a process has it open for writing")
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		wait(time.Minute)
		if len(b.all()) != 1 {
			t.Errorf("captured %+v after the writer closed the file, want it once", b.all())
		}
	})
}

func TestFileRenamedIntoPlaceIsCaptured(t *testing.T) {
	watching(t, func(t *testing.T, dir string, b *recorder, _ *Watcher) {
		p := filepath.Join(dir, "a.mp4.tmp")
		write(t, p, "whole")
		wait(time.Hour)
		if err := os.Rename(p, filepath.Join(dir, "a.mp4")); err != nil {
			t.Fatal(err)
		}
		wait(20 * time.Second)
		if len(b.all()) != 1 {
			t.Errorf("captured %+v, want the renamed file once", b.all())
		}
	})
}

func TestSidecars(t *testing.T) {
	watching(t, func(t *testing.T, dir string, b *recorder, _ *Watcher) {
		write(t, filepath.Join(dir, "DJI_0001.MP4"), "x")
		write(t, filepath.Join(dir, "DJI_0002.MP4"), "x")
		write(t, filepath.Join(dir, "DJI_0003.MP4"), "x")
		write(t, filepath.Join(dir, "dji_0001.srt"), "telemetry")
		wait(12500 * time.Millisecond)
		write(t, filepath.Join(dir, "DJI_0002.SRT"), "late telemetry")
		if len(b.all()) != 1 || b.all()[0].Telemetry == nil || filepath.Base(b.all()[0].Telemetry.Path) != "dji_0001.srt" {
			t.Fatalf("captured %+v, want the first file with its telemetry", b.all())
		}
		wait(5 * time.Second)
		if got := b.names(); !slices.Equal(got, []string{"DJI_0001.MP4", "DJI_0003.MP4"}) || b.all()[1].Telemetry != nil {
			t.Fatalf("captured %+v, want the third file as well, without telemetry", b.all())
		}
		wait(20 * time.Second)
		if len(b.all()) != 3 || b.all()[2].Telemetry == nil {
			t.Fatalf("captured %+v, want the second file as well, with its late telemetry", b.all())
		}
	})
}

func TestEmptyFile(t *testing.T) {
	watching(t, func(t *testing.T, dir string, b *recorder, _ *Watcher) {
		write(t, filepath.Join(dir, "empty.mp4"), "")
		write(t, filepath.Join(dir, "late.mp4"), "")
		wait(40 * time.Second)
		write(t, filepath.Join(dir, "late.mp4"), "content")
		if len(b.all()) != 0 {
			t.Fatalf("captured %+v, want no empty file yet", b.all())
		}
		wait(10 * time.Minute)
		if len(b.all()) != 2 {
			t.Fatalf("captured %+v, want both files", b.all())
		}
		for _, f := range b.all() {
			if (f.Fault != "") != (filepath.Base(f.Video.Path) == "empty.mp4") {
				t.Errorf("got %+v, want a fault for the empty file only", f)
			}
		}
	})
}

func TestFolderDisappearsAndReturns(t *testing.T) {
	watching(t, func(t *testing.T, dir string, b *recorder, w *Watcher) {
		b.setFail(errors.New("spool is full"))
		write(t, filepath.Join(dir, "a.mp4"), "x")
		wait(time.Minute)
		b.setFail(nil)
		wait(5 * time.Second)
		if len(b.all()) != 1 {
			t.Fatal("the file is not offered again after a failed capture")
		}
		away := dir + ".away"
		if err := os.Rename(dir, away); err != nil {
			t.Fatal(err)
		}
		wait(5 * time.Second)
		if f := w.Folders()[0]; !strings.Contains(f.Fault, "no such file") {
			t.Errorf("missing folder: got %+v, want its fault", f)
		}
		if err := os.Rename(away, dir); err != nil {
			t.Fatal(err)
		}
		wait(time.Minute)
		if f := w.Folders()[0]; f.Fault != "" || len(b.all()) != 1 {
			t.Errorf("folder back: %+v, captured %+v, want no fault and no second capture", f, b.all())
		}
	})
}
