package originals

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/deploy/testkit/smalldisk"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// The files of a write-protected card stay known by their fingerprints, so no start reads them whole to compare them. When
// the card can be written they are deleted, and then a fingerprint is not proof enough any more.
func TestFilesOfAWriteProtectedCardStayKnown(t *testing.T) {
	card := smalldisk.Mount(t, "1m")
	video, telemetry := write(t, filepath.Join(card, "a.mp4"), "cows"), write(t, filepath.Join(card, "a.srt"), "log")
	for _, f := range []*spool.Source{&video, &telemetry} {
		f.Print = fingerprint(t, f.Path)
	}
	s := must.Get(spool.Open(spool.Options{Dir: t.TempDir()}))(t)
	defer func() { must.Do(t, s.Close()) }()
	confirm(t, s, video, telemetry)
	wantMatch := func(when string, want spool.Match) {
		t.Helper()
		if got := must.Get(s.Captures.Match(video))(t); got != want {
			t.Errorf("%s: match %d, want %d", when, got, want)
		}
	}
	wantMatch("confirmed", spool.Same)

	protect(t, card, syscall.MS_RDONLY)
	for range 2 { // starts
		New(Options{Records: s.Records, Files: s.Captures}).deleteConfirmed(t.Context())
		if !exists(t, video.Path) || !exists(t, telemetry.Path) {
			t.Fatal("a file of a write-protected card is gone")
		}
		wantMatch("write-protected", spool.Same)
	}

	protect(t, card, 0)
	New(Options{Records: s.Records, Files: s.Captures}).deleteConfirmed(t.Context())
	if exists(t, video.Path) || exists(t, telemetry.Path) {
		t.Error("not deleted from a card that can be written again")
	}
	wantMatch("deleted", spool.Unsure)
}

// protect mounts a small file system again with flags.
func protect(t *testing.T, dir string, flags uintptr) {
	t.Helper()
	must.Do(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, ""))
}

// confirm captures a video with its telemetry, and confirms both as the cloud does.
func confirm(t *testing.T, s *spool.Spool, video, telemetry spool.Source) {
	t.Helper()
	r := must.Get(s.Captures.Add(video, &telemetry))(t)
	must.Get(s.Captures.BeginRead(r.ID))(t)
	m := footage.Manifest{Version: footage.ManifestVersion, Footage: r.ID}
	store := func(p spool.Part, f spool.Source) footage.File {
		b := must.Get(os.ReadFile(f.Path))(t)
		c := footage.Chunk{Size: f.Size, SHA256: footage.Sum(b)}
		must.Do(t, s.Content.PutChunk(r.ID, p, c, b))
		return footage.File{Name: filepath.Base(f.Path), Size: f.Size, SHA256: c.SHA256, Chunks: []footage.Chunk{c}}
	}
	log := store(spool.Telemetry, telemetry)
	m.Video, m.Telemetry = store(spool.Video, video), &log
	must.Get(s.Captures.Commit(m))(t)
	must.Get(s.Uploads.Begin(r.ID))(t)
	must.Do(t, s.Uploads.SetTransfer(r.ID, spool.Telemetry, spool.Transfer{URL: "u", Done: true}))
	must.Do(t, s.Uploads.Confirm(r.ID, ""))
}

// replaced has something else under the name of the file as soon as its deletion is noted.
type replaced struct {
	forgotten
	t        *testing.T
	path     string
	resolved bool
}

func (r *replaced) RequireDigest(footage.ID) error {
	must.Do(r.t, os.Remove(r.path))
	must.Do(r.t, os.MkdirAll(filepath.Join(r.path, "DCIM"), 0o700)) // cannot be removed
	return nil
}

func (r *replaced) Resolve(spool.Source, footage.Digest) (bool, error) {
	r.resolved = true
	return true, nil
}

// The note stays when the file that was read is not the one that stays.
func TestNoteAboutAReplacedFileStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mp4")
	r := spool.Record{ID: "a", State: spool.Reclaimed, Source: write(t, path, "cows"), SHA256: footage.Sum([]byte("cows"))}
	f := &replaced{t: t, path: path}
	New(Options{Records: list{r}, Files: f}).deleteConfirmed(t.Context())
	if f.resolved || !exists(t, path) {
		t.Errorf("counts as known: %t, exists: %t; want an unknown file that exists", f.resolved, exists(t, path))
	}
}
