package web

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/server/origin"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/secret"
)

const (
	authLife    = 2 * time.Second // how long a revoked token may still be accepted
	authEntries = 1024
	touchEvery  = time.Minute
	followEvery = time.Second // how often running requests of revoked holders are looked for
)

// errRevoked is the cause of requests whose holder lost what was granted.
var errRevoked = errors.New("access ended while the request was running")

type (
	sessions interface {
		Session(ctx context.Context, token string) (ledger.Person, error)
		Generations(ctx context.Context) (map[string]int64, error)
		Live(ctx context.Context, tokens []string) (map[string]bool, error)
		LogOut(ctx context.Context, name string) error
		EndSession(ctx context.Context, token string) error
	}
	people interface {
		CheckPassword(ctx context.Context, name, password string) (ledger.Person, error)
		LogIn(ctx context.Context, p ledger.Person, step ledger.SecondStep) (secret.String, error)
		LogInWithCode(ctx context.Context, code string, step ledger.SecondStep) (ledger.Person, secret.String, error)
		AddFirst(ctx context.Context, code string, p ledger.Person, password string) error
		Count(ctx context.Context) (int, error)
	}
	factors interface {
		NewSecondFactor(ctx context.Context, p ledger.Person, step ledger.SecondStep) (secret.String, error)
		ConfirmSecondFactor(ctx context.Context, p ledger.Person, code secret.String) (secret.String, []secret.String, error)
		EndSecondFactor(ctx context.Context, p ledger.Person, step ledger.SecondStep) error
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
	factor  []ledger.Role // roles that need a second factor
	limits  attemptLimits

	mu      sync.Mutex
	known   map[credential]admission
	touched map[string]time.Time
	running map[*follower]struct{}
}

type admission struct {
	holder access.Holder
	until  time.Time
}

// follower is a running request that ends with the access of its holder.
type follower struct {
	holder  access.Holder
	session string // its secret, "" for a token
	end     context.CancelCauseFunc
}

func newGatekeeper(o Options) *gatekeeper {
	n := o.Guesses
	if n == 0 {
		n = guesses
	}
	return &gatekeeper{devices: o.Ledger.Devices, people: o.Ledger.Sessions, now: o.Now, guesses: n, factor: o.SecondFactor,
		known: map[credential]admission{}, touched: map[string]time.Time{},
		running: map[*follower]struct{}{}}
}

// admit finds the holder of a token or a session. Cache and ledger compare digests, so the time
// that it takes reveals nothing about them. Strangers who guess tokens are slowed down. A valid token
// passes all the same: it has 256 random bits, and stations behind one address or one proxy must not
// be locked out by a stranger there.
func (g *gatekeeper) admit(ctx context.Context, client, kind, token string) (access.Holder, error) {
	sum := sha256.Sum256([]byte(kind + " " + token))
	now := g.now()
	g.mu.Lock()
	a, ok := g.known[sum]
	g.mu.Unlock()
	if ok && now.Before(a.until) {
		return a.holder, nil
	}
	h, err := g.lookUp(ctx, kind, token)
	if err != nil {
		if errors.Is(err, ledger.ErrUnauthorised) && kind == "token" {
			if _, limit := g.limits.begin(now, "token "+client, g.guesses, guessEvery); limit != nil {
				return access.Holder{}, limit
			}
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
		if err == nil && !p.SecondFactor && p.Issuer == "" && slices.Contains(g.factor, p.Role) { // of a time when the role needed none
			err = ledger.ErrUnauthorised
		}
		return access.OfPerson(p), err
	}
	d, err := g.devices.Authenticate(ctx, token)
	return access.OfDevice(d), err
}

// forget ends the running requests of a session, and makes the next one ask the ledger.
func (g *gatekeeper) forget(session string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.known, sha256.Sum256([]byte("session "+session)))
	for f := range g.running {
		if session != "" && f.session == session {
			f.end(errRevoked)
		}
	}
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

// follow returns a context that ends when the access of the holder or the session ends. session is ""
// for a token. Call release at the end of the request.
func (g *gatekeeper) follow(ctx context.Context, h access.Holder, session string) (followed context.Context, release func()) {
	if h.Name == "" {
		return ctx, func() {}
	}
	followed, end := context.WithCancelCause(ctx)
	f := &follower{holder: h, session: session, end: end}
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

// followed returns the number of running requests, and their sessions.
func (g *gatekeeper) followed() (n int, sessions []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for f := range g.running {
		if f.session != "" && !slices.Contains(sessions, f.session) {
			sessions = append(sessions, f.session)
		}
	}
	return len(g.running), sessions
}

func (g *gatekeeper) endRevoked(ctx context.Context) error {
	n, followed := g.followed()
	if n == 0 {
		return nil
	}
	valid, err := g.people.Generations(ctx)
	if err != nil {
		return err
	}
	live, err := g.people.Live(ctx, followed) // another server may have ended them
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for f := range g.running {
		ended := f.session != "" && slices.Contains(followed, f.session) && !live[f.session]
		if ended || valid[f.holder.Name] != f.holder.Generation {
			f.end(errRevoked)
		}
	}
	return nil
}

// client is the address that limits apply to: that of the connection, or that which a proxy
// reports. Of IPv6 it is the network of a customer.
func (s *Server) client(c *fiber.Ctx) string {
	host, _, err := net.SplitHostPort(c.Context().RemoteAddr().String())
	if err != nil {
		return "unknown"
	}
	ip, err := netip.ParseAddr(host)
	if err == nil && s.isProxy(ip.Unmap()) {
		forwarded := "" // some proxies add a line of their own to those of the client
		if lines := c.Request().Header.PeekAll(fiber.HeaderXForwardedFor); len(lines) > 0 {
			forwarded = string(lines[len(lines)-1])
		}
		if last, perr := netip.ParseAddr(strings.TrimSpace(forwarded[strings.LastIndex(forwarded, ",")+1:])); perr == nil {
			ip = last
		}
	}
	if err != nil {
		return "unknown"
	}
	return origin.OfIP(ip)
}

// isProxy reports whether an address is that of a proxy.
func (s *Server) isProxy(ip netip.Addr) bool {
	return slices.ContainsFunc(s.o.Proxies, func(p netip.Prefix) bool { return p.Contains(ip) })
}
