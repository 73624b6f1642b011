package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

const (
	authLife    = 2 * time.Second // how long a revoked token may still be accepted
	authEntries = 1024
	touchEvery  = time.Minute
	maxToken    = 256
)

// gatekeeper turns bearer tokens into devices. It caches an answer for a short time, so
// that not every PATCH of an upload reads the ledger.
type gatekeeper struct {
	devices devices
	now     func() time.Time

	mu      sync.Mutex
	known   map[[sha256.Size]byte]admission
	touched map[string]time.Time
}

type admission struct {
	device ledger.Device
	until  time.Time
}

func newGatekeeper(d devices, now func() time.Time) *gatekeeper {
	return &gatekeeper{devices: d, now: now, known: map[[sha256.Size]byte]admission{}, touched: map[string]time.Time{}}
}

// bearer returns the token of the request. The error is a problem.
func bearer(c *fiber.Ctx) (string, error) {
	scheme, token, ok := strings.Cut(c.Get(fiber.HeaderAuthorization), " ")
	token = strings.TrimSpace(token)
	if !ok || subtle.ConstantTimeCompare([]byte(strings.ToLower(scheme)),
		[]byte("bearer")) != 1 || token == "" || len(token) > maxToken {
		return "", problem.New(wire.SlugUnauthorised,
			"Send the header Authorization: Bearer TOKEN. The command cloud-api device add makes a token.")
	}
	return strings.Clone(token), nil
}

// admit finds the holder of a token. Cache and ledger compare digests of tokens, so the
// time that it takes reveals nothing about them.
func (g *gatekeeper) admit(ctx context.Context, token string) (ledger.Device, error) {
	sum := sha256.Sum256([]byte(token))
	now := g.now()
	g.mu.Lock()
	a, ok := g.known[sum]
	g.mu.Unlock()
	if ok && now.Before(a.until) {
		return a.device, nil
	}
	d, err := g.devices.Authenticate(ctx, token)
	if err != nil {
		return ledger.Device{}, fmt.Errorf("token: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= authEntries {
		clear(g.known)
	}
	g.known[sum] = admission{device: d, until: now.Add(authLife)}
	return d, nil
}

// due reports whether it is time to record when the device was seen.
func (g *gatekeeper) due(name string) bool {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.touched[name]) < touchEvery {
		return false
	}
	if len(g.touched) >= authEntries {
		clear(g.touched)
	}
	g.touched[name] = now
	return true
}

// authenticate returns the holder of the token of a request. It requires one of the roles.
func (s *Server) authenticate(c *fiber.Ctx, roles ...ledger.Role) (ledger.Device, error) {
	token, err := bearer(c)
	if err != nil {
		return ledger.Device{}, err
	}
	d, err := s.gate.admit(c.UserContext(), token)
	if err != nil {
		return ledger.Device{}, err
	}
	if s.gate.due(d.Name) {
		if err := s.o.Ledger.Devices.Touch(c.UserContext(), d.Name, s.now().UTC()); err != nil {
			s.log.Warn("cannot record when the device was seen", "device", d.Name, "err", err)
		}
	}
	for _, r := range roles {
		if d.Role == r {
			return d, nil
		}
	}
	return ledger.Device{}, problem.New(wire.SlugForbidden, "The token has the role %s. One of %v is required.", d.Role,
		roles)
}
