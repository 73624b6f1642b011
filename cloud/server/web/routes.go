package web

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

// routes registers every route. openapi.yaml describes the same ones; a test
// compares.
func (s *Server) routes() {
	s.app.Use(s.around)

	api := s.app.Group(wire.APIPath)
	api.Get("/footage", s.listFootage)
	api.Get("/footage/:id", s.getFootage)
	api.Get("/footage/:id/result", s.download("json"))
	api.Get("/footage/:id/result.csv", s.download("csv"))
	api.Get("/footage/:id/still", s.download("jpg"))
	api.Get("/footage/:id/thumbnail", s.getThumbnail)
	api.Get("/footage/:id/status", s.getStatus)
	api.Get("/jobs", s.listJobs)
	api.Get("/jobs/:id", s.getJob)
	api.Get("/jobs/:id/attempts", s.listAttempts)
	api.Post("/jobs/:id/retry", s.retryJob)
	api.Post("/jobs/:id/cancel", s.cancelJob)
	api.Get("/counts", s.listCounts)
	api.Get("/counts/:footage", s.getCount)
	api.Get("/devices", s.listDevices)
	api.Get("/uploads", s.listUploads)
	api.Get("/waiting", s.listWaiting)
	api.Get("/stats", s.getStats)
	api.Get("/events", s.events)
	api.Get("/openapi.yaml", s.document(s.docs.openAPI, "application/yaml"))
	api.Get("/openapi.json", s.document(s.docs.openAPIJSON, fiber.MIMEApplicationJSON))
	api.Get("/asyncapi.yaml", s.document(s.docs.asyncAPI, "application/yaml"))

	s.app.Get(wire.HealthPath, s.healthz)
	s.app.Get("/readyz", s.readyz)
	metrics := promhttp.HandlerFor(s.o.Metrics, promhttp.HandlerOpts{DisableCompression: true})
	s.app.Get("/metrics", func(c *fiber.Ctx) error { return s.bridge.serve(c, metrics) })

	s.app.All("/files", s.upload)
	s.app.All("/files/*", s.upload)
	s.app.Get("/*", s.servePage)
}

// upload hands the request to the intake, in the name of the token's holder.
func (s *Server) upload(c *fiber.Ctx) error {
	br := *s.bridge
	if c.Method() != http.MethodOptions {
		d, err := s.who(c, ledger.RoleDevice, ledger.RoleOperator)
		if err != nil {
			return err
		}
		br.context = func(_ *fiber.Ctx, ctx context.Context) context.Context { return s.o.WithDevice(ctx, d) }
	}
	return br.serve(c, s.o.Uploads)
}

func (s *Server) document(text []byte, media string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, media)
		c.Set(fiber.HeaderCacheControl, "no-cache")
		return c.Send(text)
	}
}

// sendJSON answers with a document that must not be kept: state changes.
func sendJSON(c *fiber.Ctx, v any) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	if err := c.JSON(v); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}
