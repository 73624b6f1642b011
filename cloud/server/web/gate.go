package web

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/time/rate"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

const (
	authLife    = 2 * time.Second // how long a revoked token may still be accepted
	authEntries = 1024
	touchEvery  = time.Minute
	followEvery = time.Second // how often running requests of revoked holders are looked for

	// Failed log-ins and tokens of one address at once, and the time until the next.
	guesses       = 50
	guessEvery    = time.Second
	userGuesses   = 10
	userGuessWait = 10 * time.Second
	guessers      = 4096 // addresses and names that are remembered
)

// errRevoked is the cause of requests whose holder lost what was granted.
var errRevoked = errors.New("access ended while the request was running")

type (
	sessions interface {
		Session(ctx context.Context, token string) (ledger.Person, error)
		Generations(ctx context.Context) (map[string]int64, error)
		LogOut(ctx context.Context, name string) error
		EndSession(ctx context.Context, token string) error
	}
	people interface {
		CheckPassword(ctx context.Context, name, password string) (ledger.Person, error)
		LogIn(ctx context.Context, p ledger.Person) (secretString, error)
		LogInWithCode(ctx context.Context, code string) (ledger.Person, secretString, error)
		AddFirst(ctx context.Context, code string, p ledger.Person, password string) error
		Count(ctx context.Context) (int, error)
	}
	credential = [sha256.Size]byte
)

// gatekeeper turns tokens and sessions into holders. It caches an answer for a short time, so
// that not every PATCH of an upload reads the ledger, slows down those who guess, and ends the
// running requests of holders whose access ended.
type gatekeeper struct {
	devices devices
	people  sessions
	now     func() time.Time
	guesses int

	mu      sync.Mutex
	known   map[credential]admission
	touched map[string]time.Time
	failed  map[string]*rate.Limiter
	running map[*follower]struct{}
}

type admission struct {
	holder access.Holder
	until  time.Time
}

// follower is a running request that ends with the access of its holder.
type follower struct {
	holder access.Holder
	end    context.CancelCauseFunc
}

func newGatekeeper(o Options) *gatekeeper {
	n := o.Guesses
	if n == 0 {
		n = guesses
	}
	return &gatekeeper{devices: o.Ledger.Devices, people: o.Ledger.Sessions, now: o.Now, guesses: n,
		known: map[credential]admission{}, touched: map[string]time.Time{}, failed: map[string]*rate.Limiter{},
		running: map[*follower]struct{}{}}
}

// admit finds the holder of a token or a session. Cache and ledger compare digests, so the time
// that it takes reveals nothing about them.
func (g *gatekeeper) admit(ctx context.Context, client, kind, token string) (access.Holder, error) {
	sum := sha256.Sum256([]byte(kind + " " + token))
	now := g.now()
	g.mu.Lock()
	a, ok := g.known[sum]
	g.mu.Unlock()
	if ok && now.Before(a.until) {
		return a.holder, nil
	}
	if err := g.mayGuess("address "+client, g.guesses, guessEvery); err != nil {
		return access.Holder{}, err
	}
	h, err := g.lookUp(ctx, kind, token)
	if err != nil {
		if errors.Is(err, ledger.ErrUnauthorised) && kind == "token" {
			g.guessed("address " + client)
		}
		return access.Holder{}, fmt.Errorf("%s: %w", kind, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= authEntries {
		clear(g.known)
	}
	g.known[sum] = admission{holder: h, until: now.Add(authLife)}
	return h, nil
}

func (g *gatekeeper) lookUp(ctx context.Context, kind, token string) (access.Holder, error) {
	if kind == "session" {
		p, err := g.people.Session(ctx, token)
		return access.OfPerson(p), err
	}
	d, err := g.devices.Authenticate(ctx, token)
	return access.OfDevice(d), err
}

// mayGuess refuses those who failed too often: burst times at once, and then once in each pause.
func (g *gatekeeper) mayGuess(who string, burst int, pause time.Duration) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.failed[who]
	if l == nil {
		if len(g.failed) >= guessers {
			clear(g.failed)
		}
		l = rate.NewLimiter(rate.Every(pause), burst)
		g.failed[who] = l
	}
	if left := l.TokensAt(g.now()); left < 1 {
		e := problem.New(wire.SlugTooManyGuesses, "Too many log-ins or tokens failed. Wait, then try again with the right one.")
		e.RetryAfter = max(1, int(math.Ceil((1-left)*pause.Seconds())))
		return e
	}
	return nil
}

// guessed records a failure.
func (g *gatekeeper) guessed(who string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.failed[who]; l != nil {
		l.AllowN(g.now(), 1)
	}
}

// forget makes the next request with a session ask the ledger.
func (g *gatekeeper) forget(session string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.known, sha256.Sum256([]byte("session "+session)))
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

// follow returns a context that ends when the access of the holder ends. Call release at the end
// of the request.
func (g *gatekeeper) follow(ctx context.Context, h access.Holder) (followed context.Context, release func()) {
	if h.Name == "" {
		return ctx, func() {}
	}
	followed, end := context.WithCancelCause(ctx)
	f := &follower{holder: h, end: end}
	g.mu.Lock()
	g.running[f] = struct{}{}
	g.mu.Unlock()
	return followed, func() {
		g.mu.Lock()
		delete(g.running, f)
		g.mu.Unlock()
		end(nil)
	}
}

// run ends requests of holders whose access ended, until ctx ends.
func (g *gatekeeper) run(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := g.endRevoked(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
}

func (g *gatekeeper) endRevoked(ctx context.Context) error {
	g.mu.Lock()
	n := len(g.running)
	g.mu.Unlock()
	if n == 0 {
		return nil
	}
	valid, err := g.people.Generations(ctx)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for f := range g.running {
		if valid[f.holder.Name] != f.holder.Generation {
			f.end(errRevoked)
		}
	}
	return nil
}

// client is the address that limits apply to: that of the connection, or that which a proxy on this
// machine reports. Of IPv6 it is the network of a customer.
func (s *Server) client(c *fiber.Ctx) string {
	host, _, err := net.SplitHostPort(c.Context().RemoteAddr().String())
	if err != nil {
		return "unknown"
	}
	ip, err := netip.ParseAddr(host)
	if err == nil && ip.Unmap().IsLoopback() && s.o.Proxied {
		forwarded := c.Get(fiber.HeaderXForwardedFor)
		if last, perr := netip.ParseAddr(strings.TrimSpace(forwarded[strings.LastIndex(forwarded, ",")+1:])); perr == nil {
			ip = last
		}
	}
	if err != nil {
		return "unknown"
	}
	if ip = ip.Unmap(); ip.Is6() {
		const customer = 64 // bits
		if p, err := ip.WithZone("").Prefix(customer); err == nil {
			return p.String()
		}
	}
	return ip.String()
}
