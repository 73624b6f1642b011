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

// Create creates an upload of size bytes and returns its URL. The URL has the host of
// CloudOptions.URL, even if the server behind a proxy answers with another one.
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
		return "", fmt.Errorf("upload created at %q: %w", oneLine(location), ErrUnexpected)
	}
	if !strings.HasPrefix(u.Path, "/") {
		u = c.base.JoinPath(wire.FilesPath).ResolveReference(u)
	}
	to := *c.base
	to.Path, to.RawPath, to.RawQuery = u.Path, u.RawPath, u.RawQuery
	return to.String(), nil
}

// Offset returns how many of an upload's size bytes the server has. The error wraps
// ErrNotFound when the server does not know the upload.
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
		return 0, fmt.Errorf("Upload-Offset %q of %d bytes: %w", oneLine(s), size, ErrUnexpected)
	}
	return n, nil
}

// Patch sends body, the bytes from offset to size, in one request and returns the server's
// new offset. The error wraps ErrLink after the idle time-out without progress, and
// ErrOffset when the server has another number of bytes.
func (c *Cloud) Patch(ctx context.Context, upload string, offset, size int64, body io.Reader) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	moving := newIdleReader(body, c.idle, cancel)
	defer moving.endWatch()
	ctx = httptrace.WithClientTrace(ctx,
		&httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { moving.watchConn(i.Conn) }})
	h := http.Header{"Content-Type": {wire.OffsetStream}, wire.HeaderUploadOffset: {strconv.FormatInt(offset, 10)}}
	r, err := c.send(ctx, http.MethodPatch, upload, h, moving, size-offset)
	moving.Close()
	if err != nil {
		// An error of the reader is the cause, that of the transport its effect.
		return 0, errors.Join(moving.readError(), err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusNoContent {
		return 0, answer(r)
	}
	return parseOffset(r.Header.Get(wire.HeaderUploadOffset), size)
}
