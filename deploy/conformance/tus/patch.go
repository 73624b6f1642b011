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
	{"patch-appends", "Core, PATCH", Must, creating, func(v *visit) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		for _, part := range [][2]int{{0, 5}, {5, small / 2}, {small / 2, small}} {
			if err := v.append(to, part[0], content[part[0]:part[1]]); err != nil {
				return err
			}
			if err := v.still(to, part[1], "a PATCH"); err != nil {
				return err
			}
		}
		return v.shown(to, content)
	}},
	{"patch-chunked", "RFC 9112, 7.1", Must, creating, func(v *visit) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		a, err := v.patch(to, 0, sizeless(content))
		if err != nil {
			return err
		}
		return errors.Join(taken(a, small), v.shown(to, content))
	}},
	{"patch-empty", "Core, PATCH", Must, creating, func(v *visit) error {
		content := v.content(small)
		to, err := v.create(content)
		if err != nil {
			return err
		}
		for _, at := range []int{0, small / 2} {
			if err := v.append(to, at, nil); err != nil {
				return fmt.Errorf("without bytes, at %d: %w", at, err)
			}
			if err := v.still(to, at, "a PATCH without bytes"); err != nil || at > 0 {
				return err
			}
			if err := v.append(to, 0, content[:small/2]); err != nil {
				return err
			}
		}
		return nil
	}},
	{"patch-media-type", "Core, PATCH", Should, creating, func(v *visit) error {
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
	{"patch-unknown", "Core, PATCH", Should, creating, func(v *visit) error {
		to, err := v.unknown()
		if err != nil {
			return err
		}
		a, err := v.patch(to, 0, bytes.NewReader(v.content(small)))
		if err == nil && !a.gone() {
			err = fmt.Errorf("status %d for an upload that is not there, want 404", a.status)
		}
		return err
	}},
}

// sizeless hides the size of a body, which goes in chunks then.
func sizeless(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} }

var offsets = []check{
	{"offset-ahead", "Core, PATCH", Must, creating, conflict(small/2, small/2+1)},
	{"offset-behind", "Core, PATCH", Must, creating, conflict(small/2, 0)},
	{"offset-after-the-end", "Core, PATCH", Must, creating, conflict(small, small/2)},
	{"offset-malformed", "Core, Upload-Offset", Must, creating, func(v *visit) error {
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
		return v.still(to, 0, "malformed offsets")
	}},
	{"offset-within-length", "Core, PATCH", Must, creating, beyond(func(b []byte) io.Reader { return bytes.NewReader(b) })},
	{"offset-within-length-chunked", "Core, PATCH", Must, creating, beyond(sizeless)},
	{"offset-two-patches", "Core, PATCH", Must, creating, twoPatches},
}

// conflict sends a PATCH to where the upload is not.
func conflict(have, at int) func(*visit) error {
	return func(v *visit) error {
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
		return v.still(to, have, "a refused PATCH")
	}
}

// beyond sends more than the upload has left.
func beyond(body func([]byte) io.Reader) func(*visit) error {
	return func(v *visit) error {
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
			return fmt.Errorf("the answer tells offset %d of %d bytes", n, small)
		}
		n, err := v.head(to)
		if err == nil && n > small {
			err = fmt.Errorf("HEAD tells offset %d of %d bytes", n, small)
		}
		if err != nil {
			return err
		}
		if a.ok() && n < small {
			return fmt.Errorf("status %d, and %d of the bytes sent do not count", a.status, small-n)
		}
		return nil
	}
}

// twoPatches has two requests at one offset at the same time. The upload has
// room for both, and only one may count.
func twoPatches(v *visit) error {
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
		return errors.New("both of two PATCHes at one offset are said to be taken")
	}
	got, err := v.head(to)
	switch {
	case err != nil:
		return err
	case got > int64(len(half)):
		return fmt.Errorf("HEAD tells offset %d after two PATCHes of %d bytes at offset 0", got, len(half))
	case (one.ok() || second.ok()) && got != int64(len(half)):
		return fmt.Errorf("HEAD tells offset %d, and one PATCH of %d bytes was said to be taken", got, len(half))
	}
	return v.resume(to, content)
}

func length(n int64) []string { return []string{"Upload-Length", strconv.FormatInt(n, 10)} }
