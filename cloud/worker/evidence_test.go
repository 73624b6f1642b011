package worker

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// textVideo writes text in the place of pictures.
type textVideo struct{ file *os.File }

func (v textVideo) Write(*image.RGBA, time.Duration) error {
	_, err := v.file.WriteString("picture ")
	return err
}

func (v textVideo) Close() error { return v.file.Close() }

// withEvidence is a count that makes everything it is asked for.
func withEvidence(_ context.Context, s count.Source, _ func(job.Progress)) (count.Outcome, error) {
	out := outcome(3)
	out.Result.Evidence = &report.Evidence{}
	if s.Evidence.Sheets {
		out.Evidence = evidence.Evidence{Sheet: []byte("sheet"), Contact: [][]byte{[]byte("page 1"), []byte("page 2")}}
	}
	if s.Evidence.Video == nil {
		return out, nil
	}
	v, err := s.Evidence.Video(2, 2, 1)
	if err != nil {
		return out, nil
	}
	out.Result.Evidence.Video = &report.EvidenceVideo{}
	return out, errors.Join(v.Write(nil, 0), v.Write(nil, 1), v.Close())
}

func TestEvidenceIsStored(t *testing.T) {
	s := newStage(t)
	s.put("one")
	w := s.worker("w", counterFunc(withEvidence))
	w.o.Sheets = true
	w.o.Video = func(path string) VideoFunc {
		return func(int, int, float64) (evidence.VideoWriter, error) {
			f, err := os.Create(path)
			return textVideo{f}, err
		}
	}
	s.deliver(t.Context(), w)
	for ext, want := range map[string]string{
		wire.AnnotatedExt: "picture picture ", wire.SheetExt: "sheet", wire.ContactExt(1): "page 1", wire.ContactExt(2): "page 2",
	} {
		if got := s.form(ext); got != want {
			t.Errorf("%s: %q, want %q", ext, got, want)
		}
	}
	if doc := s.form("json"); !strings.Contains(doc, `"bytes": 16`) {
		t.Errorf("the result has not the size of the video:\n%s", doc)
	}
	left, err := os.ReadDir(w.o.CacheDir)
	if err != nil || len(left) != 0 {
		t.Errorf("left in the cache: %v, %v", left, err)
	}
}

// withoutRoom is a blob store whose space is enough for all but evidence.
type withoutRoom struct{ blob.Store }

func (s withoutRoom) Put(ctx context.Context, key string, r io.Reader) (blob.Info, error) {
	if wire.IsEvidence(key) {
		return blob.Info{}, fmt.Errorf("blob %s: %w", key, blob.ErrNoSpace)
	}
	return s.Store.Put(ctx, key, r)
}

// A full store costs the evidence, not the count.
func TestAFullStoreHasTheCountWithoutEvidence(t *testing.T) {
	s := newStage(t)
	s.put("one")
	w := s.worker("w", counterFunc(withEvidence))
	w.o.Sheets = true
	w.o.Blobs = withoutRoom{w.o.Blobs}
	s.deliver(t.Context(), w)
	doc := s.form("json")
	if !strings.Contains(doc, `"code": "no-evidence"`) || strings.Contains(doc, `"evidence": {`) {
		t.Errorf("the result does not tell that the evidence is missing:\n%s", doc)
	}
	if got := s.form("jpg"); got != "jpeg" {
		t.Errorf("still %q", got)
	}
}

func TestNoEvidenceIsAskedFor(t *testing.T) {
	s := newStage(t)
	s.put("one")
	s.deliver(t.Context(), s.worker("w", counterFunc(withEvidence)))
	if _, err := s.b.Stat(t.Context(), wire.ResultKey("one", modelDigest, wire.SheetExt)); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("a sheet is stored: %v", err)
	}
	if got := s.form("jpg"); got != "jpeg" {
		t.Errorf("still %q", got)
	}
}

// Evidence of an earlier count is removed when the count with the same model makes it no more. The rest stays.
func TestOldEvidenceIsRemoved(t *testing.T) {
	s := newStage(t)
	j := s.put("one")
	ctx := t.Context()
	former := footage.Sum([]byte("former model"))
	keys := map[string]bool{ // whether they stay after the second count
		wire.ResultKey("one", modelDigest, wire.AnnotatedExt):  false,
		wire.ResultKey("one", modelDigest, wire.ContactExt(3)): false,
		wire.ResultKey("one", modelDigest, "jpg"):              false,
		wire.ResultKey("one", modelDigest, wire.SheetExt):      true,
		wire.ResultKey("one", modelDigest, wire.ContactExt(2)): true,
		wire.ResultKey("one", modelDigest, "json"):             true,
		wire.ResultKey("one", modelDigest, "trace"):            true,
		wire.ResultKey("one", former, wire.AnnotatedExt):       true,
		wire.ResultKey("two", modelDigest, wire.AnnotatedExt):  true,
	}
	w := s.worker("w", counterFunc(withEvidence))
	w.o.Sheets = true
	s.deliver(ctx, w)
	for key := range keys {
		if _, err := s.b.Put(ctx, key, strings.NewReader("former")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.l.Jobs.Recount(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.q.Enqueue(ctx, j.ID), s.l.Jobs.MarkQueued(ctx, j.ID)); err != nil {
		t.Fatal(err)
	}
	w.o.Counter = counterFunc(func(ctx context.Context, src count.Source, p func(job.Progress)) (count.Outcome, error) {
		out, err := withEvidence(ctx, src, p)
		out.Still = nil
		return out, err
	})
	s.deliver(ctx, w)
	for key, want := range keys {
		if _, err := s.b.Stat(ctx, key); (err == nil) != want {
			t.Errorf("%s: %v, want it to stay: %v", key, err, want)
		}
	}
}

// form reads one form of the result of the footage one.
func (s *stage) form(ext string) string {
	s.t.Helper()
	r, err := s.b.Open(s.t.Context(), wire.ResultKey("one", modelDigest, ext), 0, -1)
	if err != nil {
		s.t.Errorf("%s: %v", ext, err)
		return ""
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		s.t.Errorf("%s: %v", ext, err)
	}
	return string(b)
}
