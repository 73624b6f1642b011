package web

import (
	"context"

	"github.com/gofiber/fiber/v2"
)

// The server has two lifetimes. Its work ends when the last handler has returned, or
// when the time for that is over. Long requests, such as uploads and event streams, are
// interrupted earlier: when the stop begins. Every request has the first as its context,
// and finds the second in it.

type stoppingKey struct{}

// withLifetimes gives requests the context work, in which stopping is found.
func withLifetimes(work, stopping context.Context) fiber.Handler {
	ctx := context.WithValue(work, stoppingKey{}, stopping)
	return func(c *fiber.Ctx) error {
		c.SetUserContext(ctx)
		return c.Next()
	}
}

// stopping is the context that ends when the server of a request begins to stop.
func stopping(ctx context.Context) context.Context {
	if s, ok := ctx.Value(stoppingKey{}).(context.Context); ok {
		return s
	}
	return ctx
}
