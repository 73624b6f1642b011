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
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/deploy/testkit/must"
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
	if _, err := s.b.Stat(t.Context(), wire.ResultKey("one", modelDigest, 1, wire.SheetExt)); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("a sheet is stored: %v", err)
	}
	if got := s.form("jpg"); got != "jpeg" {
		t.Errorf("still %q", got)
	}
}

// A recount writes beside the result that counts, and replaces it only when the ledger has the new count.
func TestResultsOfEarlierAttempts(t *testing.T) {
	s := newStage(t)
	j := s.put("one")
	ctx := t.Context()
	w := s.worker("w", counterFunc(withEvidence))
	w.o.Sheets = true
	s.deliver(ctx, w)
	older := footage.Sum([]byte("older model"))
	for _, key := range []string{"footage/one/result/0123abcd.json", wire.ResultKey("one", older, 1, "trace"),
		wire.ResultKey("two", older, 1, "json"), wire.ResultKey("one", older, 9, "json")} {
		if _, err := s.b.Put(ctx, key, strings.NewReader("former")); err != nil {
			t.Fatal(err)
		}
	}
	recount := func() {
		t.Helper()
		if _, err := s.l.Jobs.Recount(ctx, "one"); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.q.Enqueue(ctx, j.ID), s.l.Jobs.MarkQueued(ctx, j.ID)); err != nil {
			t.Fatal(err)
		}
		s.deliver(ctx, w)
	}
	stays := func(want map[string]bool) {
		t.Helper()
		for key, stays := range want {
			if _, err := s.b.Stat(ctx, key); (err == nil) != stays {
				t.Errorf("%s: %v, want it to stay: %t", key, err, stays)
			}
		}
	}
	w.o.Counter = counterFunc(func(ctx context.Context, src count.Source, p func(job.Progress)) (count.Outcome, error) {
		if err := s.l.Jobs.Cancel(ctx, j.ID); err != nil {
			t.Error(err)
		}
		return withEvidence(ctx, src, p)
	})
	recount()
	stays(map[string]bool{
		wire.ResultKey("one", modelDigest, 1, "json"):        true,
		wire.ResultKey("one", modelDigest, 1, wire.SheetExt): true,
		wire.ResultKey("one", modelDigest, 2, "json"):        false,
	})
	w.o.Counter = counterFunc(func(ctx context.Context, src count.Source, p func(job.Progress)) (count.Outcome, error) {
		out, err := withEvidence(ctx, src, p)
		out.Still = nil
		return out, err
	})
	if _, err := s.l.Jobs.Retry(ctx, j.ID); err != nil {
		t.Fatal(err)
	}
	s.later(time.Minute) // the canceled attempt still holds its message
	if err := errors.Join(s.q.Enqueue(ctx, j.ID), s.l.Jobs.MarkQueued(ctx, j.ID)); err != nil {
		t.Fatal(err)
	}
	s.deliver(ctx, w)
	stays(map[string]bool{
		"footage/one/result/0123abcd.json":                   false,
		wire.ResultKey("one", older, 1, "trace"):             false,
		wire.ResultKey("one", modelDigest, 1, "jpg"):         true, // it counted until now: links to it may live
		wire.ResultKey("one", modelDigest, 1, wire.SheetExt): true,
		wire.ResultKey("one", modelDigest, 2, "json"):        false,
		wire.ResultKey("one", modelDigest, 4, "json"):        true, // canceling took fence 3
		wire.ResultKey("one", modelDigest, 4, wire.SheetExt): true,
		wire.ResultKey("one", older, 9, "json"):              true, // of an attempt that took over
		wire.ResultKey("two", older, 1, "json"):              true,
	})
	if got := s.job(j.ID); got.ResultKey != wire.ResultKey("one", modelDigest, 4, "json") {
		t.Errorf("the job's result is %s", got.ResultKey)
	}
}

// A recount that ends without a result leaves none of its files, and the count and its files stay.
func TestFailedRecountsLeaveNoFiles(t *testing.T) {
	ctx := t.Context()
	for name, fault := range map[string]error{"refused by the ledger": nil, "of faulty footage": video.ErrDecode} {
		s := newStage(t)
		j := s.put("one")
		w := s.worker("w", counterFunc(withEvidence))
		w.o.Sheets = true
		s.deliver(ctx, w)
		before := must.Get(s.l.Counts.Get(ctx, "one"))(t)
		w.o.Counter = counterFunc(func(ctx context.Context, src count.Source, p func(job.Progress)) (count.Outcome, error) {
			out, err := withEvidence(ctx, src, p)
			out.Result.Count.Low = out.Result.Count.Unique + 1 // no interval: the ledger refuses it
			if fault != nil {
				must.Get(s.b.Put(ctx, wire.ResultKey("one", modelDigest, 2, "trace"), strings.NewReader("x")))(t)
				err = fault
			}
			return out, err
		})
		must.Get(s.l.Jobs.Recount(ctx, "one"))(t)
		must.Do(t, errors.Join(s.q.Enqueue(ctx, j.ID), s.l.Jobs.MarkQueued(ctx, j.ID)))
		s.deliver(ctx, w)
		files := 0
		for info, err := range s.b.List(ctx, wire.ResultPrefix("one")) {
			must.Do(t, err)
			if wire.ResultFence(info.Key) != 1 {
				t.Errorf("%s: %s is left", name, info.Key)
			}
			files++
		}
		after, got := must.Get(s.l.Counts.Get(ctx, "one"))(t), s.job(j.ID)
		if files < 3 || after.Unique != before.Unique || !after.At.Equal(before.At) || got.State == job.Done || got.Reason == "" ||
			got.ResultKey != wire.ResultKey("one", modelDigest, 1, "json") {
			t.Errorf("%s: %d files, count %+v, job %+v", name, files, after, got)
		}
	}
}

// form reads one form of the result of the footage one.
func (s *stage) form(ext string) string {
	s.t.Helper()
	r, err := s.b.Open(s.t.Context(), wire.ResultKey("one", modelDigest, 1, ext), 0, -1)
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
