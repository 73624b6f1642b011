package web

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
)

const checkTime = 3 * time.Second

type healthView struct {
	Status string                `json:"status"` // ok | failing
	Checks map[string]checkState `json:"checks,omitempty"`
}

type checkState struct {
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// healthz says that the process lives.
func (s *Server) healthz(c *fiber.Ctx) error { return sendJSON(c, healthView{Status: "ok"}) }

// readyz says whether the process can do its work, check by check.
func (s *Server) readyz(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(s.work, checkTime)
	defer cancel()
	v := healthView{Status: "ok", Checks: map[string]checkState{}}
	states := make([]checkState, len(s.o.Checks))
	var wg sync.WaitGroup
	for i, check := range s.o.Checks {
		wg.Go(func() { states[i] = try(ctx, check) })
	}
	wg.Wait()
	for i, check := range s.o.Checks {
		v.Checks[check.Name] = states[i]
		if !states[i].OK {
			v.Status = "failing"
		}
	}
	if s.base.Err() != nil {
		v.Status, v.Checks["server"] = "failing", checkState{Detail: ErrShutdown.Error()}
	}
	if v.Status != "ok" {
		c.Status(fiber.StatusServiceUnavailable)
	}
	return sendJSON(c, v)
}

func try(ctx context.Context, check Check) (st checkState) {
	defer func() {
		if r := recover(); r != nil {
			st = checkState{Detail: fmt.Sprintf("panic: %v", r)}
		}
	}()
	if err := check.Test(ctx); err != nil {
		return checkState{Detail: err.Error()}
	}
	return checkState{OK: true}
}
