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

// client sends the requests to one source. It belongs to one goroutine.
type client struct {
	http  *http.Client
	token secret.String
	home  string // scheme://host that may get the token
	hub   bool   // the source is a hub; its entity tags are digests
	stall time.Duration
	pause func(context.Context, time.Duration) error
	note  func(string) // called before each retry
}

const (
	// stallTime is how long a transfer without new bytes may last before it is canceled.
	stallTime = time.Minute
	// dialTime bounds the set-up of a connection.
	dialTime = 15 * time.Second
	// tries is the number of tries without progress before a source counts as unreachable.
	tries = 5
	// longestWait is the largest accepted Retry-After.
	longestWait  = 5 * time.Minute
	maxRedirects = 8
)

// newClient returns a client that sends the token only to the hub at base.
func newClient(base string, token secret.String) *client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: dialTime}).DialContext
	t.ResponseHeaderTimeout = stallTime
	c := &client{
		http: &http.Client{Transport: t, CheckRedirect: func(*http.Request,
			[]*http.Request) error {
			return http.ErrUseLastResponse
		}},
		stall: stallTime, pause: pause, note: func(string) {},
	}
	if u, err := url.Parse(base); err == nil && mayCarryToken(u) {
		c.token, c.home = token, u.Scheme+"://"+u.Host
	}
	return c
}

// mayCarryToken reports whether a connection to u hides the token from others.
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

// temporary marks a fault that may end by itself.
type temporary struct {
	error
	after time.Duration // the delay that the server asks for
}

func (t temporary) Unwrap() error { return t.error }

// retry calls try until it succeeds, fails with a permanent error, or fails several times in a row without progress.
func (c *client) retry(ctx context.Context, try func() (progress bool, err error)) error {
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
				err = fmt.Errorf("%w (the server asks for a delay of %s)", err, t.after)
			}
			return err
		}
		wait := max(b.NextBackOff(), t.after).Round(100 * time.Millisecond)
		c.note(fmt.Sprintf("%v; retrying in %s", err, wait))
		if err := c.pause(ctx, wait); err != nil {
			return err
		}
	}
}

// answer is a response with the headers of the redirects before it.
type answer struct {
	*http.Response
	etag string // of the file, from the hub
	size int64  // -1 when unknown
}

// get sends a GET request and follows its redirects. The token is sent only to the hub, never to the target of a
// redirect. A redirect from https to http is an error. The caller closes the body.
func (c *client) get(ctx context.Context, address string, header http.Header) (answer, error) {
	a := answer{size: -1}
	for range maxRedirects {
		r, err := c.send(ctx, address, header) //nolint:bodyclose // the caller closes it as part of the answer
		if err != nil {
			return a, err
		}
		a.Response = r
		a.addLinked()
		if a.StatusCode < 300 || a.StatusCode > 399 || a.StatusCode == http.StatusNotModified {
			return a, nil
		}
		to, err := a.Location()
		_ = a.Body.Close()
		if err != nil || to.Scheme != "https" && to.Scheme != r.Request.URL.Scheme {
			return a, fmt.Errorf("%s redirects to an invalid or unencrypted URL: %w", r.Request.URL.Host, ErrAnswer)
		}
		address = to.String()
	}
	return a, fmt.Errorf("more than %d redirects: %w", maxRedirects, ErrAnswer)
}

// send sends one GET request, with the token when it goes to the hub.
func (c *client) send(ctx context.Context, address string, header http.Header) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("invalid URL: %w", ErrAnswer)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	// Offsets and digests are those of the stored bytes.
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

// addLinked adds the hub's headers about the file behind a redirect. The first answer counts: the later ones are not
// from the hub.
func (a *answer) addLinked() {
	if a.etag == "" {
		a.etag = strings.Trim(a.Header.Get("X-Linked-Etag"), `"`)
	}
	if n, err := strconv.ParseInt(a.Header.Get("X-Linked-Size"), 10, 64); err == nil && n >= 0 && a.size < 0 {
		a.size = n
	}
}

// checkNotPage returns an error for a web page in place of a file.
func (a answer) checkNotPage() error {
	if kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); kind != "text/html" {
		return nil
	}
	return fmt.Errorf("%s answers with a web page; check the URL, and whether the network needs a login: %w",
		a.Request.URL.Host, ErrAnswer)
}

// unreachable classifies a request without an answer. URLs of storage servers have passwords in their queries, so the
// error only has the host.
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

// statusError turns the status of a failed request into an error, and closes the body.
func (c *client) statusError(a answer) error {
	defer a.Body.Close()
	host, code := a.Request.URL.Host, a.Header.Get("X-Error-Code")
	text := fmt.Sprintf("%s answers %d %s", host, a.StatusCode, http.StatusText(a.StatusCode)) // not the server's text: it may contain anything
	if m := a.Header.Get("X-Error-Message"); m != "" {
		text += fmt.Sprintf(" (%.200q)", m)
	}
	switch {
	case !c.hub && (a.StatusCode == http.StatusUnauthorized || a.StatusCode == http.StatusForbidden):
		return fmt.Errorf("%s: check that the URL is right and publicly readable: %w", text, ErrDenied)
	case code == "GatedRepo":
		return fmt.Errorf("%s: the model needs consent; accept the terms on its page and set HF_TOKEN to a token of that account: %w", text, ErrDenied)
	case a.StatusCode == http.StatusUnauthorized && !c.token.IsZero():
		return fmt.Errorf("%s: the model does not exist, or the token in HF_TOKEN has no access to it: %w", text,
			ErrDenied)
	case a.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%s: the model does not exist or is private; check the spelling, or set HF_TOKEN for a private model (sent only over https): %w", text, ErrDenied)
	case a.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s: access needs a token with more rights in HF_TOKEN: %w", text, ErrDenied)
	case code == "RevisionNotFound":
		return fmt.Errorf("%s: the repository exists, but the revision does not: %w", text, ErrNotFound)
	case a.StatusCode == http.StatusNotFound || a.StatusCode == http.StatusGone:
		return fmt.Errorf("%s: %w", text, ErrNotFound)
	case a.StatusCode == http.StatusTooManyRequests || a.StatusCode == http.StatusRequestTimeout || a.StatusCode >= 500:
		return temporary{fmt.Errorf("%s: %w", text, ErrOffline), retryAfter(a.Header.Get("Retry-After"), time.Now())}
	}
	return fmt.Errorf("%s: %w", text, ErrAnswer)
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

// getDocument returns a document of at most max bytes.
func (c *client) getDocument(ctx context.Context, address string, max int64) (b []byte, err error) {
	err = c.retry(ctx, func() (bool, error) {
		ctx, alive, stop := c.watch(ctx)
		defer stop()
		a, err := c.get(ctx, address, nil)
		if err != nil {
			return false, err
		}
		if a.StatusCode != http.StatusOK {
			return false, c.statusError(a)
		}
		defer a.Body.Close()
		if err := a.checkNotPage(); err != nil {
			return false, err
		}
		b, err = io.ReadAll(io.LimitReader(aliveReader{a.Body, alive}, max+1))
		if err != nil {
			return false, unreachable(a.Request.URL, causeOf(ctx, err))
		}
		if int64(len(b)) > max {
			return false, fmt.Errorf("%s sends more than %d bytes: %w", a.Request.URL.Host, max, ErrAnswer)
		}
		return false, nil
	})
	return b, err
}

// exists reports whether there is a file at address, by a request for its first byte.
func (c *client) exists(ctx context.Context, address string) (ok bool, err error) {
	err = c.retry(ctx, func() (bool, error) {
		ctx, _, stop := c.watch(ctx)
		defer stop()
		a, err := c.get(ctx, address, http.Header{"Range": {"bytes=0-0"}})
		if err != nil {
			return false, err
		}
		if a.StatusCode == http.StatusOK || a.StatusCode == http.StatusPartialContent {
			defer a.Body.Close()
			ok = a.checkNotPage() == nil // some servers answer every request with a page
			return false, nil
		}
		if err = c.statusError(a); errors.Is(err, ErrNotFound) {
			return false, nil
		}
		return false, err
	})
	return ok, err
}

var errStalled = errors.New("the transfer stalled")

// watch returns a context that ends when alive has not been called for the time of a stall.
func (c *client) watch(ctx context.Context) (_ context.Context, alive func(), stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	t := time.AfterFunc(c.stall, func() { cancel(errStalled) })
	return ctx, func() { t.Reset(c.stall) }, func() { t.Stop(); cancel(nil) }
}

// causeOf returns the cause of a canceled context, or err without one.
func causeOf(ctx context.Context, err error) error {
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
