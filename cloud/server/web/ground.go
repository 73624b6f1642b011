package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/place/mapfile"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
)

// groundRoutes registers what is about places on the earth.
func (s *Server) groundRoutes(api guarded) {
	api.Get("/footage/:id/telemetry", s.sendTelemetry)
	api.Get("/sites/:site/paddocks", s.getPaddocks)
	api.Put("/sites/:site/paddocks", s.putPaddocks)
	api.Get("/sites/:site/paddocks/versions", s.listPaddocks)
	api.Get("/sites/:site/book", s.getBook)
	api.Put("/sites/:site/book", s.putBook)
	api.Get("/surveys", s.listSurveys)
	api.Post("/surveys", s.addSurvey)
	api.Get("/surveys/:id", s.getSurvey)
	api.Delete("/surveys/:id", s.removeSurvey)
	s.shareRoutes(api)
	s.reportRoutes(api)
}

// sendTelemetry answers with the flight log of footage: as it is stored, or its normal form.
func (s *Server) sendTelemetry(c *fiber.Ctx) error {
	if c.Query("format") == "" {
		return s.sendFile(s.telemetry)(c)
	}
	id, err := idArg(c, "id")
	if err != nil {
		return err
	}
	ctx := c.UserContext()
	v, err := s.resultOf(ctx, id)
	if err != nil {
		return err
	}
	leave, err := s.enterPlacing(ctx) // a log may take some hundred megabytes to read
	if err != nil {
		return err
	}
	defer leave()
	log, found, err := s.logs.Find(ctx, v.Footage, 0)
	if err != nil {
		return err
	}
	if log == nil {
		return fmt.Errorf("flight log of footage %s: %s: %s: %w", id, found.State, found.Why, ledger.ErrNotFound)
	}
	format := text(c.Query("format"))
	var out bytes.Buffer
	if err := mapfile.WriteLog(&out, format, log); err != nil {
		return badRequest("format: %v.", err)
	}
	return sendTagged(c, out.Bytes(), mapfile.LogContentType(format), safeName(string(id))+"-flightlog."+format)
}

// sendTagged answers with a document that is computed for each request, with an entity tag of its content.
func sendTagged(c *fiber.Ctx, body []byte, media, name string) error {
	tag := tagOf(body)
	c.Set(fiber.HeaderETag, tag)
	c.Set(fiber.HeaderCacheControl, privately)
	c.Set(fiber.HeaderContentType, media)
	if name != "" {
		c.Set(fiber.HeaderContentDisposition, fmt.Sprintf("inline; filename=%q", name))
	}
	if matches(c.Get(fiber.HeaderIfNoneMatch), tag) {
		c.Status(fiber.StatusNotModified)
		return nil
	}
	return c.Send(body)
}

// telemetry finds the flight log that came with footage. It may be any file: it is served as bytes.
func (s *Server) telemetry(ctx context.Context, id footage.ID) (file, error) {
	v, err := s.resultOf(ctx, id)
	if err != nil {
		return file{}, err
	}
	key, err := s.logs.Key(ctx, v.Footage)
	if err == nil && key == "" {
		err = fmt.Errorf("no flight log came with footage %s: %w", id, ledger.ErrNotFound)
	}
	if errors.Is(err, blob.ErrNotFound) {
		err = fmt.Errorf("flight log of footage %s: %w", id, ledger.ErrNotFound)
	}
	name := strings.TrimSuffix(path.Base("/"+v.Name), path.Ext(v.Name))
	return file{key: key, media: fiber.MIMEOctetStream, name: safeName(name) + ".SRT"}, err
}
