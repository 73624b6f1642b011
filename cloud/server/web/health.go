package web

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/shared/wire"
)

const checkTime = 3 * time.Second

// healthz answers that the process runs.
func (s *Server) healthz(c *fiber.Ctx) error { return sendJSON(c, wire.Health{Status: wire.HealthOK}) }

// readyz answers whether the process can do its work. What fails and why is for those who may read everything.
func (s *Server) readyz(c *fiber.Ctx) error {
	var v wire.Health
	switch {
	case s.mayInspect(c):
		v = s.readiness(c.UserContext())
	case stopping(c.UserContext()).Err() != nil:
		v.Status = wire.HealthFailing
	default:
		v.Status = s.lately.status(func() string { return s.readiness(c.UserContext()).Status })
	}
	if v.Status != wire.HealthOK {
		c.Status(fiber.StatusServiceUnavailable)
	}
	return sendJSON(c, v)
}

// readyLife is how long strangers get the same answer: the checks write to the disk and ask the database.
const readyLife = time.Second

// lately remembers the last answer to strangers. The zero value has none.
type lately struct {
	mu     sync.Mutex
	answer string
	until  time.Time
}

// status returns an answer that is younger than readyLife. Requests at the same time wait for one test.
func (l *lately) status(test func() string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().After(l.until) {
		l.answer = test()
		l.until = time.Now().Add(readyLife)
	}
	return l.answer
}

// readiness tests every check.
func (s *Server) readiness(base context.Context) wire.Health {
	ctx, cancel := context.WithTimeout(base, checkTime)
	defer cancel()
	v := wire.Health{Status: wire.HealthOK, Checks: map[string]wire.Check{}}
	states := make([]wire.Check, len(s.o.Checks))
	var wg sync.WaitGroup
	for i, check := range s.o.Checks {
		wg.Go(func() { states[i] = try(ctx, check) })
	}
	wg.Wait()
	for i, check := range s.o.Checks {
		v.Checks[check.Name] = states[i]
		if !states[i].OK {
			v.Status = wire.HealthFailing
		}
	}
	if stopping(base).Err() != nil {
		v.Status, v.Checks["server"] = wire.HealthFailing, wire.Check{Detail: ErrShutdown.Error()}
	}
	return v
}

func try(ctx context.Context, check Check) (st wire.Check) {
	defer func() {
		if r := recover(); r != nil {
			st = wire.Check{Detail: fmt.Sprintf("panic: %v", r)}
		}
	}()
	if err := check.Test(ctx); err != nil {
		return wire.Check{Detail: err.Error()}
	}
	return wire.Check{OK: true}
}
