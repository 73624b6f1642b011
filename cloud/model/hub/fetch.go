package hub

import (
	"context"
	"crypto/sha1" // what Git names its blobs by; the digest of record is SHA-256
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

// transfer is one file on its way into dir.
type transfer struct {
	*client
	item
	path     string // at its end
	progress func(done, total int64)
	total    int64 // bytes of the whole, by the answer at hand; -1 when not said
	settled  bool  // what the source states about the file is in item
	whole    bool  // the part is of one answer alone
	misfits  int   // finished parts that were not the stated content
	furthest int64 // longest that the part has been
}

func (t *transfer) part() string { return t.path + ".part" }
func (t *transfer) tag() string  { return t.path + ".etag" }

// fetch brings one file into dir and returns its digest. It goes on from what
// an earlier try left. The error wraps ErrNotFound for a file that the source
// does not have, or another class of this package.
func (c *client) fetch(ctx context.Context, it item, dir string, progress func(done, total int64)) (footage.Digest, error) {
	t := &transfer{client: c, item: it, path: filepath.Join(dir, it.name), progress: progress}
	if it.size > it.most {
		return footage.Digest{}, fmt.Errorf("%s: %w", it.path, t.tooLarge(it.size))
	}
	if !it.sha256.IsZero() { // an earlier pull may have ended after this file
		if d, _, err := filesum.Of(ctx, t.path); err == nil && d == it.sha256 {
			return d, nil
		}
	}
	var digest footage.Digest
	err := c.persist(ctx, func() (progress bool, err error) {
		digest, progress, err = t.try(ctx)
		return progress, err
	})
	if err != nil {
		return footage.Digest{}, fmt.Errorf("%s: %w", it.path, err)
	}
	return digest, nil
}

// try is one request, and the end of the file where the answer reaches it.
// Progress is what no try before had: a server that begins anew each time and
// never ends does not make any.
func (t *transfer) try(ctx context.Context) (d footage.Digest, progress bool, err error) {
	f, err := os.OpenFile(t.part(), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return d, false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	offset, err := t.offset(f)
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

// offset is where to go on: the end of the part when something will show
// whether it is of the same content, else 0.
func (t *transfer) offset(f *os.File) (int64, error) {
	n, err := f.Seek(0, io.SeekEnd)
	if err != nil || n == 0 {
		return 0, err
	}
	if !t.verifiable() && t.savedTag() == "" || t.size >= 0 && n > t.size {
		return 0, t.empty(f)
	}
	t.whole, t.furthest = false, max(t.furthest, n)
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

// receive asks for the bytes from offset on and adds them to the part. It
// returns where the part ends, also with an error.
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
	a, err := t.ask(ctx, t.from, header)
	if err != nil {
		return 0, err
	}
	start, total := contentRange(a.Header.Get("Content-Range"))
	switch {
	case a.StatusCode == http.StatusOK:
		offset = 0
	case a.StatusCode == http.StatusPartialContent && offset > 0 && start == offset && t.sameContent(a):
	case a.StatusCode == http.StatusRequestedRangeNotSatisfiable && offset > 0 && t.isAll(a, offset, total):
		return offset, a.Body.Close()
	case a.StatusCode == http.StatusPartialContent, a.StatusCode == http.StatusRequestedRangeNotSatisfiable && offset > 0:
		err := errors.Join(t.empty(f), a.Body.Close())
		if err == nil {
			err = temporary{fmt.Errorf("%s does not go on at byte %d: %w", a.Request.URL.Host, offset, ErrAnswer), 0}
		}
		return 0, err
	default:
		return 0, t.refused(a)
	}
	defer a.Body.Close()
	if err := t.settle(a, offset, total); err != nil {
		return 0, err // the part is as it was: this answer may come from something in between
	}
	if offset == 0 {
		if err := t.empty(f); err != nil {
			return 0, err
		}
		t.whole = true
	}
	if err := t.keepTag(a); err != nil {
		return offset, err
	}
	return t.copy(ctx, f, a, offset, alive)
}

// sameContent tells whether an answer in part goes on with what the part holds.
// Not every server looks at If-Range.
func (t *transfer) sameContent(a answer) bool {
	return t.verifiable() || a.Header.Get("ETag") == t.savedTag()
}

// isAll tells whether an answer of "nothing from there on" means that the part
// is the whole file.
func (t *transfer) isAll(a answer, offset, total int64) bool {
	tag := a.Header.Get("ETag")
	return total == offset && (t.verifiable() || tag == "" || tag == t.savedTag())
}

var rangeForm = regexp.MustCompile(`^bytes (?:(\d{1,18})-\d{1,18}|\*)/(\d{1,18}|\*)$`)

// contentRange reads the first byte of an answer in part and the size of the
// whole (RFC 9110, section 14.4), -1 for what it does not say.
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

// settle takes over what the answer says about the file as a whole, and refuses
// what cannot be it. total is what Content-Range says, below 0 for nothing.
func (t *transfer) settle(a answer, offset, total int64) error {
	if err := a.noPage(); err != nil {
		return err
	}
	switch {
	case total >= 0 && offset > 0: // the answer may hold less than the rest
	case a.ContentLength >= 0:
		total = offset + a.ContentLength
	default:
		total = a.size
	}
	if t.size >= 0 && total >= 0 && total != t.size {
		return fmt.Errorf("%s sends %d bytes, the list of files says %d: %w", a.Request.URL.Host, total, t.size, ErrAnswer)
	}
	if total > t.most {
		return t.tooLarge(total)
	}
	t.total = max(total, t.size)
	if !t.verifiable() && !t.settled {
		etag := a.etag // no server but a hub names one
		if etag == "" && t.hub {
			etag = strings.Trim(strings.TrimPrefix(a.Header.Get("ETag"), "W/"), `"`)
		}
		if d, err := footage.ParseDigest(etag); err == nil {
			t.sha256 = d
		} else if gitBlob.MatchString(etag) {
			t.blob = etag
		}
	}
	t.settled = true
	return nil
}

// keepTag notes the entity tag that the part is of.
func (t *transfer) keepTag(a answer) error {
	if tag := a.Header.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") && len(tag) <= 1000 {
		return os.WriteFile(t.tag(), []byte(tag), 0o600)
	}
	if err := os.Remove(t.tag()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (t *transfer) tooLarge(size int64) error {
	if t.most == maxText {
		return fmt.Errorf("%d bytes of text, at most %d: %w", size, t.most, ErrTooLarge)
	}
	return fmt.Errorf("%d bytes, at most %d (--max-size): %w", size, t.most, ErrTooLarge)
}

const bufferSize = 256 << 10

// copy adds the body to the part, which ends at the byte end, and returns where
// it ends then.
func (t *transfer) copy(ctx context.Context, f *os.File, a answer, end int64, alive func()) (int64, error) {
	buffer := make([]byte, bufferSize)
	for {
		n, readErr := a.Body.Read(buffer)
		if n > 0 {
			alive()
			if end+int64(n) > t.most {
				return end, t.tooLarge(end + int64(n))
			}
			if _, err := f.Write(buffer[:n]); err != nil {
				return end, full(err)
			}
			end += int64(n)
			t.progress(end, t.total)
		}
		if errors.Is(readErr, io.EOF) {
			break
		}
		if readErr != nil {
			return end, unreachable(a.Request.URL, because(ctx, readErr))
		}
	}
	if t.total >= 0 && end != t.total {
		return end, unreachable(a.Request.URL, fmt.Errorf("%d of %d bytes came", end, t.total))
	}
	return end, nil
}

// full tells a full disk from other faults of writing.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w; what came is kept, the same pull goes on from there: %w", ErrNoSpace, err)
	}
	return err
}

// finish compares the whole part with what the source stated, makes it durable
// and gives it its name. Bytes of two answers that do not fit together are
// fetched once more from the start.
func (t *transfer) finish(ctx context.Context, f *os.File) (footage.Digest, error) {
	d, _, err := filesum.Of(ctx, t.part())
	if err != nil {
		return d, err
	}
	if fault := t.compare(f, d); fault != nil {
		if err := t.empty(f); err != nil {
			return d, err
		}
		if t.misfits++; !t.whole && t.misfits == 1 {
			return d, temporary{fault, 0}
		}
		return d, fault
	}
	if err := f.Sync(); err != nil {
		return d, full(err)
	}
	if err := os.Rename(t.part(), t.path); err != nil {
		return d, err
	}
	if err := os.Remove(t.tag()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	return d, nil
}

// compare returns an error that wraps model.ErrDigest when the content is not
// the stated one.
func (t *transfer) compare(f *os.File, d footage.Digest) error {
	switch {
	case !t.sha256.IsZero() && d != t.sha256:
		return fmt.Errorf("SHA-256 is %s, wanted %s: %w", d, t.sha256, model.ErrDigest)
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
			return fmt.Errorf("Git digest is %s, wanted %s: %w", got, t.blob, model.ErrDigest)
		}
	}
	return nil
}
