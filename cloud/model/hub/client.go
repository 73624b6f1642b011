package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"cattlecounter/shared/secret"
)

// client speaks to one source. It belongs to one goroutine.
type client struct {
	http  *http.Client
	token secret.String
	home  string // scheme://host that may see the token
	hub   bool   // the source is a hub, so its entity tags are digests
	stall time.Duration
	pause func(context.Context, time.Duration) error
	note  func(string) // told before each further try
}

const (
	// stallTime is how long a transfer may stand still before it is cut.
	stallTime = time.Minute
	// dialTime is how long a connection may take to come about.
	dialTime = 15 * time.Second
	// tries without a byte of progress before a source counts as unreachable.
	tries = 5
	// longestWait bounds what a server may ask for with Retry-After.
	longestWait  = 5 * time.Minute
	maxRedirects = 8
)

// newClient returns a client that shows the token to the hub at base alone.
func newClient(base string, token secret.String) *client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: dialTime}).DialContext
	t.ResponseHeaderTimeout = stallTime
	c := &client{
		http:  &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		stall: stallTime, pause: pause, note: func(string) {},
	}
	if u, err := url.Parse(base); err == nil && mayCarryToken(u) {
		c.token, c.home = token, u.Scheme+"://"+u.Host
	}
	return c
}

// mayCarryToken keeps the token off the wire where everybody can read it.
func mayCarryToken(u *url.URL) bool {
	host := u.Hostname()
	return u.Scheme == "https" || host == "localhost" || net.ParseIP(host).IsLoopback()
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// temporary marks a fault that another try may not meet.
type temporary struct {
	error
	after time.Duration // the server asked to wait so long
}

func (t temporary) Unwrap() error { return t.error }

// persist calls try until it succeeds, fails for good, or fails too often in a
// row without progress.
func (c *client) persist(ctx context.Context, try func() (progress bool, err error)) error {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = time.Second, 30*time.Second
	for n := 1; ; n++ {
		progress, err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		t, ok := errors.AsType[temporary](err)
		if !ok {
			return err
		}
		if progress {
			n = 1
			b.Reset()
		}
		if n >= tries || t.after > longestWait {
			if t.after > 0 {
				err = fmt.Errorf("%w (the server asks to wait %s)", err, t.after)
			}
			return err
		}
		wait := max(b.NextBackOff(), t.after).Round(100 * time.Millisecond)
		c.note(fmt.Sprintf("%v; trying again in %s", err, wait))
		if err := c.pause(ctx, wait); err != nil {
			return err
		}
	}
}

// answer is a response with what the redirects on its way said.
type answer struct {
	*http.Response
	etag string // of the file, as the hub states it
	size int64  // -1 when not said
}

// ask gets an answer that is no redirect. It follows redirects itself: the token
// goes to the hub alone, never to where that points, and the way never leads
// from https to http. The caller closes the body.
func (c *client) ask(ctx context.Context, address string, header http.Header) (answer, error) {
	a := answer{size: -1}
	for range maxRedirects {
		r, err := c.send(ctx, address, header) //nolint:bodyclose // the caller closes it as part of the answer
		if err != nil {
			return a, err
		}
		a.Response = r
		a.linked()
		if a.StatusCode < 300 || a.StatusCode > 399 || a.StatusCode == http.StatusNotModified {
			return a, nil
		}
		to, err := a.Location()
		_ = a.Body.Close()
		if err != nil || to.Scheme != "https" && to.Scheme != r.Request.URL.Scheme {
			return a, fmt.Errorf("%s redirects to no address or to one without encryption: %w", r.Request.URL.Host, ErrAnswer)
		}
		address = to.String()
	}
	return a, fmt.Errorf("more than %d redirects: %w", maxRedirects, ErrAnswer)
}

// send sends one GET, with the token when it goes to the hub itself.
func (c *client) send(ctx context.Context, address string, header http.Header) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("no address to ask at: %w", ErrAnswer)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	// Bytes as they are stored: offsets and digests mean these.
	r.Header.Set("Accept-Encoding", "identity")
	r.Header.Set("User-Agent", "cattlecounter")
	if !c.token.IsZero() && r.URL.Scheme+"://"+r.URL.Host == c.home {
		r.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, unreachable(r.URL, err)
	}
	return response, nil
}

// linked notes what the hub says about the file behind a redirect. The first
// word counts: what it redirects to speaks of other things.
func (a *answer) linked() {
	if a.etag == "" {
		a.etag = strings.Trim(a.Header.Get("X-Linked-Etag"), `"`)
	}
	if n, err := strconv.ParseInt(a.Header.Get("X-Linked-Size"), 10, 64); err == nil && n >= 0 && a.size < 0 {
		a.size = n
	}
}

// noPage refuses a web page where a file was asked for.
func (a answer) noPage() error {
	if kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); kind != "text/html" {
		return nil
	}
	return fmt.Errorf("%s answers with a web page; is the address right, or does a login stand before it? %w", a.Request.URL.Host, ErrAnswer)
}

// unreachable classifies a request that got no answer. Addresses of storage
// servers carry passwords in their queries, so only the host is told.
func unreachable(u *url.URL, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	err = fmt.Errorf("%s %w: %w", u.Host, ErrOffline, err)
	if _, bad := errors.AsType[*tls.CertificateVerificationError](err); bad {
		return err
	}
	return temporary{err, 0}
}

// refused turns a status that is no success into an error, and closes the body.
func (c *client) refused(a answer) error {
	defer a.Body.Close()
	host, code := a.Request.URL.Host, a.Header.Get("X-Error-Code")
	said := fmt.Sprintf("%s answers %d %s", host, a.StatusCode, http.StatusText(a.StatusCode)) // the server's own words may hold anything
	if m := a.Header.Get("X-Error-Message"); m != "" {
		said += fmt.Sprintf(" (%.200q)", m)
	}
	switch {
	case !c.hub && (a.StatusCode == http.StatusUnauthorized || a.StatusCode == http.StatusForbidden):
		return fmt.Errorf("%s: is the address right, and may everybody read it? %w", said, ErrDenied)
	case code == "GatedRepo":
		return fmt.Errorf("%s: access is given on request: accept the terms on the model's page and set HF_TOKEN to a token of that account: %w", said, ErrDenied)
	case a.StatusCode == http.StatusUnauthorized && !c.token.IsZero():
		return fmt.Errorf("%s: there is no such model, or the token in HF_TOKEN may not see it: %w", said, ErrDenied)
	case a.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%s: there is no such model, or it is private: check the spelling; for a private one set HF_TOKEN (sent over https only): %w", said, ErrDenied)
	case a.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s: the token in HF_TOKEN, or its absence, does not allow this: %w", said, ErrDenied)
	case code == "RevisionNotFound":
		return fmt.Errorf("%s: the repository is there, the revision is not: %w", said, ErrNotFound)
	case a.StatusCode == http.StatusNotFound || a.StatusCode == http.StatusGone:
		return fmt.Errorf("%s: %w", said, ErrNotFound)
	case a.StatusCode == http.StatusTooManyRequests || a.StatusCode == http.StatusRequestTimeout || a.StatusCode >= 500:
		return temporary{fmt.Errorf("%s: %w", said, ErrOffline), retryAfter(a.Header.Get("Retry-After"), time.Now())}
	}
	return fmt.Errorf("%s: %w", said, ErrAnswer)
}

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3), 0 for neither.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return time.Duration(min(n, 1<<20)) * time.Second
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

// get returns a small document whole.
func (c *client) get(ctx context.Context, address string, most int64) (b []byte, err error) {
	err = c.persist(ctx, func() (bool, error) {
		ctx, alive, stop := c.watch(ctx)
		defer stop()
		a, err := c.ask(ctx, address, nil)
		if err != nil {
			return false, err
		}
		if a.StatusCode != http.StatusOK {
			return false, c.refused(a)
		}
		defer a.Body.Close()
		if err := a.noPage(); err != nil {
			return false, err
		}
		b, err = io.ReadAll(io.LimitReader(aliveReader{a.Body, alive}, most+1))
		if err != nil {
			return false, unreachable(a.Request.URL, because(ctx, err))
		}
		if int64(len(b)) > most {
			return false, fmt.Errorf("%s sends more than %d bytes: %w", a.Request.URL.Host, most, ErrAnswer)
		}
		return false, nil
	})
	return b, err
}

// has tells whether there is a file at address, by its first byte.
func (c *client) has(ctx context.Context, address string) (there bool, err error) {
	err = c.persist(ctx, func() (bool, error) {
		ctx, _, stop := c.watch(ctx)
		defer stop()
		a, err := c.ask(ctx, address, http.Header{"Range": {"bytes=0-0"}})
		if err != nil {
			return false, err
		}
		if a.StatusCode == http.StatusOK || a.StatusCode == http.StatusPartialContent {
			defer a.Body.Close()
			there = a.noPage() == nil // some servers answer everything with a page
			return false, nil
		}
		if err = c.refused(a); errors.Is(err, ErrNotFound) {
			return false, nil
		}
		return false, err
	})
	return there, err
}

var errStalled = errors.New("the transfer stood still")

// watch returns a context that ends when alive is not called for a while.
func (c *client) watch(ctx context.Context) (_ context.Context, alive func(), stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	t := time.AfterFunc(c.stall, func() { cancel(errStalled) })
	return ctx, func() { t.Reset(c.stall) }, func() { t.Stop(); cancel(nil) }
}

// because puts the reason of a cancelled context in place of its plain error.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

type aliveReader struct {
	r     io.Reader
	alive func()
}

func (r aliveReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if n > 0 {
		r.alive()
	}
	return n, err
}
