package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/shared/wire"
)

// evidenceFile is the file of the annotated video of one attempt. It has no name, so nothing is left of it after a crash.
type evidenceFile struct {
	options evidence.Options
	file    *os.File // nil without a video
}

// openEvidence prepares the evidence of an attempt. A file that cannot be created costs the video, not the count.
func (a *attempt) openEvidence() *evidenceFile {
	o := a.w.o
	e := &evidenceFile{options: evidence.Options{Sheets: o.Sheets}}
	if o.Video == nil {
		return e
	}
	f, err := os.CreateTemp(o.CacheDir, ".annotated.*.mp4")
	if err != nil {
		e.options.Video = func(int, int, float64) (evidence.VideoWriter, error) { return nil, err }
		return e
	}
	path := f.Name()
	if os.Remove(path) == nil {
		path = fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	}
	e.file, e.options.Video = f, o.Video(path)
	return e
}

func (e *evidenceFile) close() {
	if e.file != nil {
		_ = e.file.Close() // its content is stored, or of no use
	}
}

// measure completes the description of the video in the result.
func (e *evidenceFile) measure(r *report.Result) {
	if r.Evidence == nil || r.Evidence.Video == nil {
		return
	}
	info, err := e.file.Stat()
	if err != nil {
		r.Evidence.Video = nil
		return
	}
	r.Evidence.Video.Bytes = info.Size()
}

// storeEvidence writes the evidence beside the other forms of the result. A blob store without space costs the evidence,
// not the count: the result then has a warning instead.
func (a *attempt) storeEvidence(ctx context.Context, out *count.Outcome, e *evidenceFile) error {
	readers := map[string]func() io.Reader{}
	for ending, b := range out.Files() {
		readers[ending] = func() io.Reader { return bytes.NewReader(b) }
	}
	if b := out.Evidence.Ground; b != nil {
		readers["."+wire.GroundExt] = func() io.Reader { return bytes.NewReader(b) }
	}
	if r := out.Result.Evidence; r != nil && r.Video != nil {
		readers[report.VideoEnding] = func() io.Reader { return io.NewSectionReader(e.file, 0, r.Video.Bytes) }
	}
	var full error
	for ending, open := range readers {
		err := a.persist(ctx, func() error {
			_, err := a.w.o.Blobs.Put(ctx, a.resultKey(out, strings.TrimPrefix(ending, ".")), open())
			if errors.Is(err, blob.ErrNoSpace) {
				full = err
				return nil
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("write evidence of %s: %w", a.footage.ID, err)
		}
		if full != nil {
			break
		}
	}
	if full == nil {
		return nil
	}
	a.log.Warn("no space for the evidence; the count goes on without it", "err", full)
	out.Result.Evidence = nil
	out.Result.Warnings = append(out.Result.Warnings, report.Warning{Code: report.NoEvidence,
		Text: "there was no space for the annotated video and the sheets; free space and count again to get them"})
	err := a.persist(ctx, func() error { return a.w.remove(ctx, a.resultKey(out, ""), wire.IsEvidence) })
	if err != nil {
		return fmt.Errorf("remove evidence of %s: %w", a.footage.ID, err)
	}
	return nil
}

// remove deletes those of the blobs with a prefix that match.
func (w *Worker) remove(ctx context.Context, prefix string, match func(key string) bool) error {
	var keys []string
	for info, err := range w.o.Blobs.List(ctx, prefix) {
		if err != nil {
			return err
		}
		if match(info.Key) {
			keys = append(keys, info.Key)
		}
	}
	for _, key := range keys {
		if err := w.o.Blobs.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
