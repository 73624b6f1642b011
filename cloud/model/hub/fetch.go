package hub

import (
	"context"
	"crypto/sha1" // the digest of Git blobs; the recorded digest is SHA-256
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"cattlecounter/cloud/model"
	"cattlecounter/shared/filesum"
	"cattlecounter/shared/footage"
)

// transfer is the download of one file.
type transfer struct {
	*client
	item
	path       string // of the finished file
	progress   func(done, total int64)
	total      int64 // bytes of the file by the current answer, -1 when unknown
	described  bool  // item has the digest and size of the answer
	oneAnswer  bool  // all bytes of the part are from one answer
	mismatches int   // finished parts with wrong content
	furthest   int64 // largest size of the part so far
}

func (t *transfer) part() string { return t.path + ".part" }
func (t *transfer) tag() string  { return t.path + ".etag" }

// fetch downloads one file into dir and returns its digest. It continues the part of an earlier try. The error wraps
// ErrNotFound for a file that the source does not have, or another class of this package.
func (c *client) fetch(ctx context.Context, it item, dir string,
	progress func(done, total int64)) (footage.Digest, error) {
	t := &transfer{client: c, item: it, path: filepath.Join(dir, it.name), progress: progress}
	if it.size > it.max {
		return footage.Digest{}, fmt.Errorf("%s: %w", it.path, t.tooLarge(it.size))
	}
	if !it.sha256.IsZero() { // an earlier pull may have ended after this file
		if d, _, err := filesum.Of(ctx, t.path); err == nil && d == it.sha256 {
			return d, nil
		}
	}
	var digest footage.Digest
	err := c.retry(ctx, func() (progress bool, err error) {
		digest, progress, err = t.try(ctx)
		return progress, err
	})
	if err != nil {
		return footage.Digest{}, fmt.Errorf("%s: %w", it.path, err)
	}
	return digest, nil
}

// try sends one request and finishes the file when the answer reaches its end. progress is true when the part is longer
// than ever before. A server that starts again each time and never reaches the end makes no progress.
func (t *transfer) try(ctx context.Context) (d footage.Digest, progress bool, err error) {
	f, err := os.OpenFile(t.part(), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return d, false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	offset, err := t.resumeOffset(f)
	if err != nil {
		return d, false, err
	}
	if offset == 0 || offset != t.size {
		end, err := t.receive(ctx, f, offset)
		progress = end > t.furthest
		t.furthest = max(t.furthest, end)
		if err != nil {
			return d, progress, err
		}
	}
	d, err = t.finish(ctx, f)
	return d, progress, err
}

// resumeOffset returns the end of the part when a digest or an entity tag can show that the rest is of the same
// content, else 0.
func (t *transfer) resumeOffset(f *os.File) (int64, error) {
	n, err := f.Seek(0, io.SeekEnd)
	if err != nil || n == 0 {
		return 0, err
	}
	if !t.verifiable() && t.savedTag() == "" || t.size >= 0 && n > t.size {
		return 0, t.empty(f)
	}
	t.oneAnswer, t.furthest = false, max(t.furthest, n)
	return n, nil
}

func (t *transfer) verifiable() bool { return !t.sha256.IsZero() || t.blob != "" }

func (t *transfer) empty(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return errors.Join(err, f.Truncate(0))
}

func (t *transfer) savedTag() string {
	b, err := os.ReadFile(t.tag())
	if err != nil || len(b) > 1000 {
		return ""
	}
	return string(b)
}

// receive requests the bytes from offset on and appends them to the part. It returns the size of the part, even with an
// error.
func (t *transfer) receive(ctx context.Context, f *os.File, offset int64) (int64, error) {
	ctx, alive, stop := t.watch(ctx)
	defer stop()
	header := http.Header{}
	if offset > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
		if tag := t.savedTag(); tag != "" {
			header.Set("If-Range", tag)
		}
	}
	a, err := t.get(ctx, t.from, header)
	if err != nil {
		return 0, err
	}
	start, total := contentRange(a.Header.Get("Content-Range"))
	switch {
	case a.StatusCode == http.StatusOK:
		offset = 0
	case a.StatusCode == http.StatusPartialContent && offset > 0 && start == offset && t.sameContent(a):
	case a.StatusCode == http.StatusRequestedRangeNotSatisfiable && offset > 0 && t.isComplete(a, offset, total):
		return offset, a.Body.Close()
	case a.StatusCode == http.StatusPartialContent, a.StatusCode == http.StatusRequestedRangeNotSatisfiable && offset > 0:
		err := errors.Join(t.empty(f), a.Body.Close())
		if err == nil {
			err = temporary{fmt.Errorf("%s does not continue at byte %d: %w", a.Request.URL.Host, offset, ErrAnswer), 0}
		}
		return 0, err
	default:
		return 0, t.statusError(a)
	}
	defer a.Body.Close()
	if err := t.describe(a, offset, total); err != nil {
		return 0, err // the part is unchanged: the answer may be from a proxy or a login page
	}
	if offset == 0 {
		if err := t.empty(f); err != nil {
			return 0, err
		}
		t.oneAnswer = true
	}
	if err := t.saveTag(a); err != nil {
		return offset, err
	}
	return t.copy(ctx, f, a, offset, alive)
}

// sameContent reports whether a partial answer continues the content of the part. Some servers ignore If-Range.
func (t *transfer) sameContent(a answer) bool {
	return t.verifiable() || a.Header.Get("ETag") == t.savedTag()
}

// isComplete reports whether an unsatisfiable range means that the part is the complete file.
func (t *transfer) isComplete(a answer, offset, total int64) bool {
	tag := a.Header.Get("ETag")
	return total == offset && (t.verifiable() || tag == "" || tag == t.savedTag())
}

var rangeForm = regexp.MustCompile(`^bytes (?:(\d{1,18})-\d{1,18}|\*)/(\d{1,18}|\*)$`)

// contentRange reads the first byte of a partial answer and the size of the file (RFC 9110, section 14.4), -1 for
// unknown values.
func contentRange(text string) (start, total int64) {
	start, total = -1, -1
	if m := rangeForm.FindStringSubmatch(text); m != nil {
		for i, to := range []*int64{&start, &total} {
			if n, err := strconv.ParseInt(m[i+1], 10, 64); err == nil {
				*to = n
			}
		}
	}
	return start, total
}

// describe takes size and digest of the file from the answer, and returns an error for an answer that cannot be the
// file. total is the size in Content-Range, below 0 without one.
func (t *transfer) describe(a answer, offset, total int64) error {
	if err := a.checkNotPage(); err != nil {
		return err
	}
	switch {
	case total >= 0 && offset > 0: // the answer may be shorter than the rest
	case a.ContentLength >= 0:
		total = offset + a.ContentLength
	default:
		total = a.size
	}
	if t.size >= 0 && total >= 0 && total != t.size {
		return fmt.Errorf("%s sends %d bytes, but the list of files has %d: %w", a.Request.URL.Host, total, t.size,
			ErrAnswer)
	}
	if total > t.max {
		return t.tooLarge(total)
	}
	t.total = max(total, t.size)
	if !t.verifiable() && !t.described {
		etag := a.etag // only a hub sends one
		if etag == "" && t.hub {
			etag = strings.Trim(strings.TrimPrefix(a.Header.Get("ETag"), "W/"), `"`)
		}
		if d, err := footage.ParseDigest(etag); err == nil {
			t.sha256 = d
		} else if gitBlob.MatchString(etag) {
			t.blob = etag
		}
	}
	t.described = true
	return nil
}

// saveTag saves the entity tag of the part.
func (t *transfer) saveTag(a answer) error {
	if tag := a.Header.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") && len(tag) <= 1000 {
		return os.WriteFile(t.tag(), []byte(tag), 0o600)
	}
	if err := os.Remove(t.tag()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (t *transfer) tooLarge(size int64) error {
	if t.max == maxText {
		return fmt.Errorf("the text file has %d bytes, at most %d are allowed: %w", size, t.max, ErrTooLarge)
	}
	return fmt.Errorf("the file has %d bytes, at most %d are allowed (--max-size): %w", size, t.max, ErrTooLarge)
}

const bufferSize = 256 << 10

// copy appends the body to the part, which has end bytes, and returns the new size of the part.
func (t *transfer) copy(ctx context.Context, f *os.File, a answer, end int64, alive func()) (int64, error) {
	buffer := make([]byte, bufferSize)
	for {
		n, readErr := a.Body.Read(buffer)
		if n > 0 {
			alive()
			if end+int64(n) > t.max {
				return end, t.tooLarge(end + int64(n))
			}
			if _, err := f.Write(buffer[:n]); err != nil {
				return end, classifyFull(err)
			}
			end += int64(n)
			t.progress(end, t.total)
		}
		if errors.Is(readErr, io.EOF) {
			break
		}
		if readErr != nil {
			return end, unreachable(a.Request.URL, causeOf(ctx, readErr))
		}
	}
	if t.total >= 0 && end != t.total {
		return end, unreachable(a.Request.URL, fmt.Errorf("%d of %d bytes received", end, t.total))
	}
	return end, nil
}

// classifyFull adds ErrNoSpace to the error of a full disk.
func classifyFull(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w; the received part is kept, and the same pull continues it: %w", ErrNoSpace, err)
	}
	return err
}

// finish compares the complete part with the digest of the source, makes it durable and renames it. When the bytes of
// two answers do not fit together the file is downloaded once more from the start.
func (t *transfer) finish(ctx context.Context, f *os.File) (footage.Digest, error) {
	d, _, err := filesum.Of(ctx, t.part())
	if err != nil {
		return d, err
	}
	if mismatch := t.compare(f, d); mismatch != nil {
		if err := t.empty(f); err != nil {
			return d, err
		}
		if t.mismatches++; !t.oneAnswer && t.mismatches == 1 {
			return d, temporary{mismatch, 0}
		}
		return d, mismatch
	}
	if err := f.Sync(); err != nil {
		return d, classifyFull(err)
	}
	if err := os.Rename(t.part(), t.path); err != nil {
		return d, err
	}
	if err := os.Remove(t.tag()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	return d, nil
}

// compare compares the content with the digest of the source. The error wraps model.ErrDigest.
func (t *transfer) compare(f *os.File, d footage.Digest) error {
	switch {
	case !t.sha256.IsZero() && d != t.sha256:
		return fmt.Errorf("SHA-256 is %s, want %s: %w", d, t.sha256, model.ErrDigest)
	case t.sha256.IsZero() && t.blob != "":
		st, err := f.Stat()
		if err != nil {
			return err
		}
		h := sha1.New()
		fmt.Fprintf(h, "blob %d\x00", st.Size())
		if _, err := io.Copy(h, io.NewSectionReader(f, 0, st.Size())); err != nil {
			return err
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != t.blob {
			return fmt.Errorf("Git digest is %s, want %s: %w", got, t.blob, model.ErrDigest)
		}
	}
	return nil
}
