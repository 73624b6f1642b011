package tus

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

var patches = []check{
	{"patch-appends", "Core, PATCH", Must, creating, func(v *probe) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		for _, part := range [][2]int{{0, 5}, {5, small / 2}, {small / 2, small}} {
			if err := v.append(to, part[0], content[part[0]:part[1]]); err != nil {
				return err
			}
			if err := v.wantOffset(to, part[1], "a PATCH"); err != nil {
				return err
			}
		}
		return v.wantContent(to, content)
	}},
	{"patch-chunked", "RFC 9112, 7.1", Must, creating, func(v *probe) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		a, err := v.patch(to, 0, withoutSize(content))
		if err != nil {
			return err
		}
		return errors.Join(wantPatched(a, small), v.wantContent(to, content))
	}},
	{"patch-empty", "Core, PATCH", Must, creating, func(v *probe) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		for _, at := range []int{0, small / 2} {
			if err := v.append(to, at, nil); err != nil {
				return fmt.Errorf("without bytes, at %d: %w", at, err)
			}
			if err := v.wantOffset(to, at, "a PATCH without bytes"); err != nil || at > 0 {
				return err
			}
			if err := v.append(to, 0, content[:small/2]); err != nil {
				return err
			}
		}
		return nil
	}},
	{"patch-media-type", "Core, PATCH", Should, creating, func(v *probe) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		a, err := v.patch(to, 0, bytes.NewReader(content), "Content-Type", "application/octet-stream")
		if err == nil && a.status != http.StatusUnsupportedMediaType {
			err = fmt.Errorf("status %d to another Content-Type, want 415", a.status)
		}
		return err
	}},
	{"patch-unknown", "Core, PATCH", Should, creating, func(v *probe) error {
		to, err := v.unknownAddress()
		if err != nil {
			return err
		}
		a, err := v.patch(to, 0, bytes.NewReader(v.content(small)))
		if err == nil && !a.gone() {
			err = fmt.Errorf("status %d for an unknown upload, want 404", a.status)
		}
		return err
	}},
}

// withoutSize hides the size of a body, so that it is sent in chunks.
func withoutSize(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} }

var offsets = []check{
	{"offset-ahead", "Core, PATCH", Must, creating, conflict(small/2, small/2+1)},
	{"offset-behind", "Core, PATCH", Must, creating, conflict(small/2, 0)},
	{"offset-after-the-end", "Core, PATCH", Must, creating, conflict(small, small/2)},
	{"offset-malformed", "Core, Upload-Offset", Must, creating, func(v *probe) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		for _, bad := range []string{"", "-1", "abc", "0x0", "1e1", "99999999999999999999"} {
			a, err := v.patch(to, 0, bytes.NewReader(content), "Upload-Offset", bad)
			if err == nil && !a.refused() {
				err = fmt.Errorf("status %d to Upload-Offset %q", a.status, bad)
			}
			if err != nil {
				return err
			}
		}
		return v.wantOffset(to, 0, "malformed offsets")
	}},
	{"offset-within-length", "Core, PATCH", Must, creating, beyond(func(b []byte) io.Reader { return bytes.NewReader(b) })},
	{"offset-within-length-chunked", "Core, PATCH", Must, creating, beyond(withoutSize)},
	{"offset-two-patches", "Core, PATCH", Must, creating, twoPatches},
}

// conflict sends a PATCH at another offset than the one of the upload.
func conflict(have, at int) func(*probe) error {
	return func(v *probe) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		if err := v.append(to, 0, content[:have]); err != nil {
			return err
		}
		a, err := v.patch(to, at, bytes.NewReader(content[at:]))
		if err == nil && a.status != http.StatusConflict {
			err = fmt.Errorf("status %d to offset %d of an upload that has %d, want 409", a.status, at, have)
		}
		if err != nil {
			return err
		}
		return v.wantOffset(to, have, "a refused PATCH")
	}
}

// beyond sends more bytes than the upload lacks.
func beyond(body func([]byte) io.Reader) func(*probe) error {
	return func(v *probe) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		if err := v.append(to, 0, content[:small/2]); err != nil {
			return err
		}
		a, err := v.patch(to, small/2, body(append(content[small/2:], "more"...)))
		if err != nil {
			return err
		}
		if n, err := a.offset(); err == nil && n > small {
			return fmt.Errorf("the answer has offset %d of %d bytes", n, small)
		}
		n, err := v.head(to)
		if err == nil && n > small {
			err = fmt.Errorf("HEAD answers with offset %d of %d bytes", n, small)
		}
		if err != nil {
			return err
		}
		if a.ok() && n < small {
			return fmt.Errorf("status %d, but %d of the sent bytes are missing", a.status, small-n)
		}
		return nil
	}
}

// twoPatches sends two requests at the same offset at the same time. The upload has room for both, and the server may
// accept only one.
func twoPatches(v *probe) error {
	content := v.content(large)
	half := content[:large/2]
	to, err := v.create(content)
	if err != nil {
		return err
	}
	first, err := v.begin(to, 0, len(half), half[:len(half)/2])
	if err != nil {
		return err
	}
	defer first.close()
	second, err := v.patch(to, 0, bytes.NewReader(half))
	if err != nil {
		return fmt.Errorf("the second of two PATCHes: %w", err)
	}
	_ = first.send(half[len(half)/2:]) // the server may have closed it
	one, err := first.answer()
	if err != nil {
		return err
	}
	if one.ok() && second.ok() {
		return errors.New("both of two PATCHes at the same offset were accepted")
	}
	got, err := v.head(to)
	switch {
	case err != nil:
		return err
	case got > int64(len(half)):
		return fmt.Errorf("HEAD answers with offset %d after two PATCHes of %d bytes at offset 0", got, len(half))
	case (one.ok() || second.ok()) && got != int64(len(half)):
		return fmt.Errorf("HEAD answers with offset %d after an accepted PATCH of %d bytes", got, len(half))
	}
	return v.resume(to, content)
}

func length(n int64) []string { return []string{"Upload-Length", strconv.FormatInt(n, 10)} }
