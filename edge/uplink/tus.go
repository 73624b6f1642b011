package uplink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"

	"cattlecounter/shared/wire"
)

// Create makes an upload of size bytes and returns its URL. The URL has the host of
// CloudOptions.URL, also when the server behind a proxy answers with another one.
func (c *Cloud) Create(ctx context.Context, size int64, m wire.Metadata) (string, error) {
	h := http.Header{wire.HeaderUploadLength: {strconv.FormatInt(size, 10)}, wire.HeaderUploadMetadata: {m.Header()}}
	r, err := c.short(ctx, http.MethodPost, c.at(wire.FilesPath), h)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusCreated {
		return "", answer(r)
	}
	return c.locate(r.Header.Get("Location"))
}

func (c *Cloud) locate(location string) (string, error) {
	u, err := url.Parse(location)
	if err != nil || u.Path == "" || u.Path == "/" {
		return "", fmt.Errorf("upload created at %q: %w", oneLine(location), ErrOdd)
	}
	if !strings.HasPrefix(u.Path, "/") {
		u = c.base.JoinPath(wire.FilesPath).ResolveReference(u)
	}
	to := *c.base
	to.Path, to.RawPath, to.RawQuery = u.Path, u.RawPath, u.RawQuery
	return to.String(), nil
}

// Offset asks how many of the size bytes of an upload the server has. The error wraps
// ErrGone when the server does not know the upload.
func (c *Cloud) Offset(ctx context.Context, upload string, size int64) (int64, error) {
	r, err := c.short(ctx, http.MethodHead, upload, nil)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK && r.StatusCode != http.StatusNoContent {
		return 0, answer(r)
	}
	return parseOffset(r.Header.Get(wire.HeaderUploadOffset), size)
}

// parseOffset reads Upload-Offset of an upload of size bytes.
func parseOffset(s string, size int64) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > size {
		return 0, fmt.Errorf("Upload-Offset %q of %d bytes: %w", oneLine(s), size, ErrOdd)
	}
	return n, nil
}

// Patch sends body, the bytes from offset to size, in one request, and returns the
// new offset of the server. It ends with ErrLink when no byte moves for the idle
// time-out, and with ErrOffset when the server has another number of bytes.
func (c *Cloud) Patch(ctx context.Context, upload string, offset, size int64, body io.Reader) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	moving := newIdleReader(body, c.idle, cancel)
	defer moving.over()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { moving.on(i.Conn) }})
	h := http.Header{"Content-Type": {wire.OffsetStream}, wire.HeaderUploadOffset: {strconv.FormatInt(offset, 10)}}
	r, err := c.send(ctx, http.MethodPatch, upload, h, moving, size-offset)
	moving.Close()
	if err != nil {
		// The reader's own fault is the cause, the transport's only its effect.
		return 0, errors.Join(moving.failed(), err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusNoContent {
		return 0, answer(r)
	}
	return parseOffset(r.Header.Get(wire.HeaderUploadOffset), size)
}
