package web

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
	"golang.org/x/time/rate"

	"cattlecounter/shared/wire"
)

const requestKey = "request"

// handle surrounds every request: it adds an id, answers panics and errors, and sets
// headers, metrics and the access log.
func (s *Server) handle(c *fiber.Ctx) error {
	began := time.Now()
	c.Locals(requestKey, newRequestID(c.Get(fiber.HeaderXRequestID)))
	err := s.admissible(c)
	if err == nil {
		err = s.recoverPanic(c)
	}
	if err != nil {
		if err := s.fail(c, err); err != nil {
			return err
		}
	}
	s.setSecurityHeaders(c)
	c.Set(fiber.HeaderXRequestID, requestID(c))
	if bodyUnread(c) {
		closeAfter(c)
	} else if s.ln.crowded() {
		c.Context().Response.SetConnectionClose()
	}
	s.logRequest(c, time.Since(began))
	return nil
}

// recoverPanic calls the route and turns a panic into an error.
func (s *Server) recoverPanic(c *fiber.Ctx) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.log.Error("panic in a request", "panic", r, "request", requestID(c), "stack", string(debug.Stack()))
			closeAfter(c)
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return c.Next()
}

// bodyUnread reports a body that no handler read. fasthttp would read it as the next
// request.
func bodyUnread(c *fiber.Ctx) bool {
	h := &c.Context().Request.Header
	return c.Locals(bridgedKey) == nil && (h.ContentLength() > 0 || h.ContentLength() == -1)
}

// setSecurityHeaders sets the headers of every answer. Scripts come only from the files
// of the page, and no other page may frame it.
func (s *Server) setSecurityHeaders(c *fiber.Ctx) {
	const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; connect-src 'self'; " +
		"worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	h := &c.Context().Response.Header
	h.Set(fiber.HeaderContentSecurityPolicy, csp)
	h.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	h.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	h.Set(fiber.HeaderXFrameOptions, "DENY")
	if s.o.Secure {
		h.Set(fiber.HeaderStrictTransportSecurity, "max-age=31536000")
	}
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set(fiber.HeaderPermissionsPolicy, "camera=(), geolocation=(), microphone=()")
}

// logRequest counts and logs the request.
func (s *Server) logRequest(c *fiber.Ctx, took time.Duration) {
	path := string(c.Context().Path())
	status := c.Response().StatusCode()
	route := c.Route().Path
	if status == fasthttp.StatusNotFound && route == "/*" || route == "/" && path != "/" {
		route = "unmatched"
	}
	method := knownMethod(c.Method())
	s.metrics.request(method, route, status, took)
	level := slog.LevelInfo
	reads := method == fiber.MethodGet || method == fiber.MethodHead || method == fiber.MethodOptions
	probe := path == wire.HealthPath || path == "/readyz" || path == "/metrics"
	if probe || reads && status < fasthttp.StatusBadRequest {
		level = slog.LevelDebug // open pages ask all day; changes must be easy to find in the log
	}
	var more []any
	if status >= fasthttp.StatusBadRequest && status < fasthttp.StatusInternalServerError && holderOf(c.UserContext()).Name == "" {
		ok, before := s.chatter.mayLog()
		if !ok {
			return
		}
		if before > 0 {
			more = []any{"not_logged", before}
		}
	}
	s.log.With(more...).Log(c.UserContext(), level, "request", "method", method, "path", printable(path), "status", status,
		"took", took.Round(time.Microsecond), "remote", c.Context().RemoteAddr().String(), "request", requestID(c))
}

// Lines about strangers in the log at once, and in a second after that. More are counted and not logged: strangers could
// fill the disk with them.
const (
	chatterAtOnce = 200
	chatterRate   = 20
)

// chatter bounds the lines about strangers. The zero value is ready for use.
type chatter struct {
	once   sync.Once
	limit  *rate.Limiter
	missed atomic.Int64
}

// mayLog reports whether a line may go into the log, and how many before it did not.
func (t *chatter) mayLog() (ok bool, missed int64) {
	t.once.Do(func() { t.limit = rate.NewLimiter(chatterRate, chatterAtOnce) })
	if !t.limit.Allow() {
		t.missed.Add(1)
		return false, 0
	}
	return true, t.missed.Swap(0)
}

// knownMethods replaces methods that Fiber does not know by one without a route. Fiber
// would refuse them itself, without a problem document or a line in the log.
func knownMethods(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(c *fasthttp.RequestCtx) {
		if knownMethod(string(c.Method())) == "other" {
			c.Request.Header.SetMethod(fiber.MethodTrace)
		}
		next(c)
	}
}

// knownMethod returns a constant: fasthttp reuses the memory of its strings, and a client
// may send any number of invented methods.
func knownMethod(m string) string {
	for _, known := range fiber.DefaultMethods {
		if m == known {
			return known
		}
	}
	return "other"
}

func requestID(c *fiber.Ctx) string {
	id, ok := c.Locals(requestKey).(string)
	if !ok {
		id = newRequestID("")
		c.Locals(requestKey, id)
	}
	return id
}

// newRequestID keeps the id of a proxy when it has a harmless form.
func newRequestID(given string) string {
	const longest = 64
	harmless := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
	}
	if given != "" && len(given) <= longest && strings.IndexFunc(given, func(r rune) bool { return !harmless(r) }) < 0 {
		return strings.Clone(given)
	}
	return rand.Text()
}
