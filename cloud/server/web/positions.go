package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/flightlog"
	"cattlecounter/cloud/place"
	"cattlecounter/cloud/place/mapfile"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// mostPlacing is how many requests compute positions at once; the others wait. Each holds a stored count in memory.
const mostPlacing = 2

// Limits of what positions are computed from, in bytes.
const (
	maxResult = 64 << 20
	maxTrace  = 128 << 20
)

// sendPositions answers with the positions of a count in the form of the parameter format. They are computed for each
// request from what the count stored and the flight log, so a log that came after the count is used.
func (s *Server) sendPositions(c *fiber.Ctx) error {
	id, err := idArg(c, "footage")
	if err != nil {
		return err
	}
	form, err := mapfile.ParseFormat(cmp.Or(text(c.Query("format")), string(mapfile.GeoJSON)))
	if err != nil {
		return badRequest("format: %v.", err)
	}
	ctx := c.UserContext()
	select {
	case s.placing <- struct{}{}:
		defer func() { <-s.placing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	body, err := s.positions(ctx, id, form)
	if err != nil {
		return err
	}
	tag := `"` + footage.Sum(body).String() + `"`
	c.Set(fiber.HeaderETag, tag)
	c.Set(fiber.HeaderCacheControl, "no-cache")
	c.Set(fiber.HeaderContentType, form.ContentType())
	c.Set(fiber.HeaderContentDisposition, fmt.Sprintf("inline; filename=%q", safeName(string(id))+"-positions."+string(form)))
	if matches(c.Get(fiber.HeaderIfNoneMatch), tag) {
		c.Status(fiber.StatusNotModified)
		return nil
	}
	return c.Send(body)
}

// positions computes the positions of a count.
func (s *Server) positions(ctx context.Context, id footage.ID, form mapfile.Format) ([]byte, error) {
	f, err := s.result("json")(ctx, id)
	if err != nil {
		return nil, err
	}
	doc, err := s.readBlob(ctx, f.key, maxResult)
	if err != nil {
		return nil, err
	}
	trace, err := s.readBlob(ctx, strings.TrimSuffix(f.key, path.Ext(f.key))+".trace", maxTrace)
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return nil, err
	}
	log, err := s.flightLog(ctx, id)
	if err != nil {
		return nil, err
	}
	res, err := place.Stored(doc, trace, log)
	if err != nil {
		return nil, fmt.Errorf("positions of %s: %w", id, err)
	}
	v, err := s.resultOf(ctx, id)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := mapfile.Write(&out, form, res, v.Captured); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// flightLog reads the flight log of footage, which its original has for a duplicate; nil without one, and for one that cannot be read.
func (s *Server) flightLog(ctx context.Context, id footage.ID) (*flightlog.Log, error) {
	v, err := s.resultOf(ctx, id)
	if err == nil && v.TelemetryKey == "" && v.DuplicateOf != "" {
		v, err = s.o.Ledger.Footage.Get(ctx, v.DuplicateOf)
	}
	if err != nil || v.TelemetryKey == "" {
		return nil, err
	}
	b, err := s.readBlob(ctx, v.TelemetryKey, wire.MaxTelemetry)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	log, err := flightlog.Read(v.TelemetryKey, bytes.NewReader(b))
	if err != nil {
		s.log.Debug("flight log cannot be read; the count has no positions", "footage", id, "err", err)
		return nil, nil
	}
	return log, nil
}

// readBlob reads at most most bytes of a blob.
func (s *Server) readBlob(ctx context.Context, key string, most int64) ([]byte, error) {
	r, err := s.o.Blobs.Open(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("blob %s has more than %d bytes", key, most)
	}
	return b, nil
}
