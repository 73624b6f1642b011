package tus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options say which server to look at, and how.
type Options struct {
	URL    string      // where uploads are created
	Header http.Header // added to every request to the host of URL
	// Extensions are taken as offered, in place of what OPTIONS says; nil believes OPTIONS.
	Extensions []string
	// Only are the names of the checks to run; nil means all.
	Only []string
	// Begin is how every content begins, for servers that look at it; nil means
	// the head of an MP4.
	Begin []byte
	// Metadata goes with every creation.
	Metadata map[string]string
	// Digest is the metadata key under which the server takes the SHA-256 of the
	// file in hexadecimal and refuses another content; "" means that it does not.
	Digest string
	// Patience is how long an answer may take; 0 means 10 s.
	Patience time.Duration
	// Settle is how long bytes may take to the server before a connection is
	// reset; 0 means 500 ms.
	Settle time.Duration
}

// ErrOptions is the class of options that make no sense.
var ErrOptions = errors.New("wrong use")

// ErrNoServer says that nothing at the address answers as HTTP.
var ErrNoServer = errors.New("no answer")

var mp4 = []byte("\x00\x00\x00\x20ftypisom")

func (o *Options) fill() error {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%w: %.200q is no http or https address", ErrOptions, o.URL)
	}
	if len(o.Begin) > small/2 {
		return fmt.Errorf("%w: the content begins with %d bytes, at most %d", ErrOptions, len(o.Begin), small/2)
	}
	for _, name := range o.Only {
		if !slices.ContainsFunc(checks(), func(c check) bool { return c.name == name }) {
			return fmt.Errorf("%w: there is no check %.80q", ErrOptions, name)
		}
	}
	if o.Begin == nil {
		o.Begin = mp4
	}
	if o.Patience <= 0 {
		o.Patience = 10 * time.Second
	}
	if o.Settle <= 0 {
		o.Settle = 500 * time.Millisecond
	}
	return nil
}

// server is what OPTIONS told.
type target struct {
	options    answer
	extensions []string
	maxSize    int64 // -1 when it is not told
	algorithms []string
}

func (s target) offers(extension string) bool { return slices.Contains(s.extensions, extension) }

// check is one statement of the protocol.
type check struct {
	name    string
	section string
	level   Level
	needs   []string // extensions
	run     func(*visit) error
}

// checks in the order of the protocol. The last one looks back at the others.
func checks() []check {
	return slices.Concat(discovery, heads, versions, patches, offsets, cuts, creation, deferred, withUpload, expiration, checksums, termination, concatenation, []check{everywhere})
}

// Run looks at the server and returns a finding for every check that was asked
// for, in a fixed order. It fails with ErrOptions, with ErrNoServer when the server cannot be
// asked at all, and with the cause when ctx ends. It leaves no goroutine behind.
func Run(ctx context.Context, o Options) ([]Finding, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	g := newGuest(o)
	defer g.client.CloseIdleConnections()
	if err := g.learn(ctx); err != nil {
		return nil, err
	}
	var out []Finding
	for _, c := range checks() {
		if o.Only != nil && !slices.Contains(o.Only, c.name) {
			continue
		}
		out = append(out, verdict(c, g.look(ctx, c)))
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return out, nil
}

// look runs one check with a fresh visit and cleans up after it.
func (g *guest) look(ctx context.Context, c check) error {
	for _, e := range c.needs {
		if !g.server.offers(e) {
			return skip("the server does not offer %s", e)
		}
	}
	v := g.visit(ctx, c.name)
	defer v.leave()
	return c.run(v)
}

// learn asks what the server offers.
func (g *guest) learn(ctx context.Context) error {
	v := g.visit(ctx, "options")
	a, err := v.do(http.MethodOptions, g.o.URL, nil, "Tus-Resumable", "")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoServer, err)
	}
	s := target{options: a, extensions: g.o.Extensions, maxSize: -1, algorithms: list(a.header.Get("Tus-Checksum-Algorithm"))}
	if s.extensions == nil {
		s.extensions = list(a.header.Get("Tus-Extension"))
	}
	if n, err := strconv.ParseInt(a.header.Get("Tus-Max-Size"), 10, 64); err == nil && n >= 0 {
		s.maxSize = n
	}
	g.server = s
	return nil
}

// list reads a comma-separated header.
func list(header string) []string {
	var out []string
	for e := range strings.SplitSeq(header, ",") {
		if e = strings.TrimSpace(e); e != "" {
			out = append(out, e)
		}
	}
	return out
}
