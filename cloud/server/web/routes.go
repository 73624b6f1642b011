package web

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

// routes registers every route. openapi.yaml describes the same ones; a test
// compares.
func (s *Server) routes(app *fiber.App) {
	app.Use(s.handle)

	l := s.o.Ledger
	api := guarded{s, app.Group(wire.APIPath), wire.APIPath}
	app.Use(compress, s.checkQuery, tagJSON)
	api.Get("/footage", s.listFootage)
	api.Get("/footage/:id", s.getFootage)
	api.Post("/footage/:id/count", s.countSibling)
	api.Get("/footage/:id/result", s.sendFile(s.result("json")))
	api.Get("/footage/:id/result.csv", s.sendFile(s.result("csv")))
	api.Get("/footage/:id/crossings.csv", s.sendFile(s.result(wire.CrossingsExt)))
	s.lineRoutes(api)
	s.reviewRoutes(api)
	s.stationRoutes(api)
	s.groundRoutes(api)
	s.overviewRoutes(api)
	s.modelRoutes(api)
	s.notificationRoutes(api)
	s.peopleRoutes(api)
	api.Get("/footage/:id/still", s.sendFile(s.result("jpg")))
	api.Get("/footage/:id/video", s.sendFile(s.result(wire.AnnotatedExt)))
	api.Get("/footage/:id/sheet", s.sendFile(s.result(wire.SheetExt)))
	api.Get("/footage/:id/sheet.tif", s.sendMapSheet(s.footageMapSheet))
	api.Get("/footage/:id/contact/:page", s.sendContact)
	api.Get("/footage/:id/thumbnail", s.sendFile(s.thumbnail))
	api.Get("/footage/:id/status", s.sendFile(s.status))
	api.Get("/jobs", s.listJobs)
	api.Get("/jobs/:id", byID("id", s.jobFor, jobView))
	api.Get("/jobs/:id/attempts", s.listAttempts)
	api.Post("/jobs/:id/retry", s.retryJob)
	api.Post("/jobs/:id/cancel", s.cancelJob)
	api.Put("/jobs/:id/priority", s.prioritiseJob)
	api.Get("/counts", tables(l.Counts.List, func(v ledger.CountView) wire.Count { return countView(v.Count, v.Footage) },
		"counts", countColumns))
	api.Get("/counts/:footage", byID("footage", s.countFor, asItIs))
	api.Get("/counts/:footage/positions", s.sendPositions)
	api.Get("/positions", s.listPositions)
	api.Get("/flights", tables(l.Flights.List, flightView, "flights", flightColumns))
	api.Post("/flights", s.joinFlight)
	api.Post("/flights/:id/split", s.splitFlight)
	api.Get("/flights/:id", byID("id", s.flightFor, flightView))
	api.Get("/flights/:id/result", s.sendFile(s.flightResult))
	api.Get("/flights/:id/sheet", s.sendFile(s.flightSheet))
	api.Get("/flights/:id/sheet.tif", s.sendMapSheet(s.flightMapSheet))
	api.Get("/flights/:id/crossings.csv", s.sendFile(s.flightCrossings))
	api.Get("/devices", s.listDevices)
	api.Delete("/devices/:device", s.revokeDevice)
	api.Get("/uploads", s.listUploads)
	api.Get("/waiting", tables(l.Thumbnails.ListWaiting, waitingView, "waiting", waitingColumns))
	api.Get("/stats", s.getStats)
	api.Get("/events", s.events)
	api.Get("/openapi.yaml", s.document(s.docs.openAPI, "application/yaml"))
	api.Get("/openapi.json", s.document(s.docs.openAPIJSON, fiber.MIMEApplicationJSON))
	api.Get("/asyncapi.yaml", s.document(s.docs.asyncAPI, "application/yaml"))

	api.Get("/audit", s.listAudit)
	api.Get("/retention", s.getRetention)
	api.Get("/session", s.getSession)
	api.Post("/session", s.logIn)
	api.Delete("/session", s.logOut)
	api.Post("/session/code", s.logInWithCode)
	api.Get("/openid", s.beginOpenID)
	api.Get("/openid/callback", s.endOpenID)
	api.Post("/setup", s.setUp)
	api.Post("/second-factor", s.newSecondFactor)
	api.Post("/second-factor/confirm", s.confirmSecondFactor)
	api.Post("/second-factor/remove", s.removeSecondFactor)
	api.Post("/enrolments", s.newEnrolment)
	api.Post("/enrol", s.enrol)

	root := guarded{s, app, ""}
	root.Get(wire.HealthPath, s.healthz)
	root.Get("/livez", s.healthz)
	root.Get("/readyz", s.readyz)
	root.Get("/metrics", s.sendMetrics)

	app.All("/files", s.upload)
	app.All("/files/*", s.upload)
	app.Get("/*", s.servePage)
}

// lineRoutes registers the lines and zones of devices, flights and footage.
func (s *Server) lineRoutes(api guarded) {
	for path, kind := range map[string]ledger.LineKind{
		"/devices/:device/lines": ledger.DeviceLines, "/flights/:id/lines": ledger.FlightLines,
		"/footage/:id/lines": ledger.FootageLines,
	} {
		api.Get(path, s.getLines(kind))
		api.Put(path, s.putLines(kind))
		api.Delete(path, s.deleteLines(kind))
	}
}

// upload passes the request on to the intake, together with the holder of the token. It ends
// when the holder's access ends.
func (s *Server) upload(c *fiber.Ctx) error {
	br := *s.bridge
	if c.Method() == http.MethodOptions {
		return br.serve(c, s.o.Uploads)
	}
	if c.Get("X-HTTP-Method-Override") != "" && reads(c) { // what reads needs no token of changes
		return badRequest("X-HTTP-Method-Override does not go with %s. Send it with POST.", c.Method())
	}
	d, err := s.uploader(c)
	if err != nil {
		return err
	}
	br.context = func(_ *fiber.Ctx, ctx context.Context) context.Context { return s.o.WithDevice(ctx, d) }
	br.until = func(ctx context.Context) (context.Context, func()) {
		return s.gate.follow(ctx, holderOf(c.UserContext()), sessionOf(c.UserContext()))
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

// sendJSON answers with a document that must not be cached, because it changes.
func sendJSON(c *fiber.Ctx, v any) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	if err := c.JSON(v); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}
