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

	"cattlecounter/deploy/conformance/finding"
)

// Options describe the server and the checks.
type Options struct {
	URL    string      // where uploads are created
	Header http.Header // added to every request to the host of URL
	// Extensions replace the list of the server; nil reads the list from OPTIONS.
	Extensions []string
	// Only are the names of the checks to run; nil means all.
	Only []string
	// Begin is the start of every content, for servers that check it; nil means the head of an MP4.
	Begin []byte
	// Metadata is sent with every creation.
	Metadata map[string]string
	// Digest is the metadata key of the file's SHA-256 in hexadecimal, which the server checks; "" sends none.
	Digest string
	// Patience is the limit for an answer; 0 means 10 s.
	Patience time.Duration
	// Settle is the time for bytes to reach the server before a connection is reset; 0 means 500 ms.
	Settle time.Duration
}

// ErrOptions is the class of invalid options.
var ErrOptions = errors.New("wrong use")

// ErrNoServer is the class of addresses that do not answer as HTTP.
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

// target is the answer of the server to OPTIONS.
type target struct {
	options    answer
	extensions []string
	maxSize    int64 // -1 when the server announces none
	algorithms []string
}

func (t target) offers(extension string) bool { return slices.Contains(t.extensions, extension) }

// check is one statement of the protocol.
type check struct {
	name    string
	section string
	level   Level
	needs   []string // extensions
	run     func(*probe) error
}

// checks returns every check in the order of the protocol. The last one uses the answers of the others.
func checks() []check {
	return slices.Concat(discovery, heads, versions, patches, offsets, cuts, creation, deferred, withUpload, expiration, checksums, termination, concatenation, []check{everywhere})
}

// Run checks the server and returns a finding for each selected check, in a fixed order. It fails with ErrOptions, with
// ErrNoServer when the server does not answer at all, and with the cause when ctx ends. It leaves no goroutine running.
func Run(ctx context.Context, o Options) ([]Finding, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	s := newSession(o)
	defer s.client.CloseIdleConnections()
	if err := s.readOptions(ctx); err != nil {
		return nil, err
	}
	var out []Finding
	for _, c := range checks() {
		if o.Only != nil && !slices.Contains(o.Only, c.name) {
			continue
		}
		out = append(out, newFinding(c, s.runCheck(ctx, c)))
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return out, nil
}

// runCheck runs one check with a new probe and cleans up after it.
func (s *session) runCheck(ctx context.Context, c check) error {
	for _, e := range c.needs {
		if !s.server.offers(e) {
			return finding.Skip("the server does not offer %s", e)
		}
	}
	v := s.probe(ctx, c.name)
	defer v.cleanUp()
	return c.run(v)
}

// readOptions asks the server for its extensions and limits.
func (s *session) readOptions(ctx context.Context) error {
	v := s.probe(ctx, "options")
	a, err := v.do(http.MethodOptions, s.o.URL, nil, "Tus-Resumable", "")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoServer, err)
	}
	t := target{options: a, extensions: s.o.Extensions, maxSize: -1, algorithms: list(a.header.Get("Tus-Checksum-Algorithm"))}
	if t.extensions == nil {
		t.extensions = list(a.header.Get("Tus-Extension"))
	}
	if n, err := strconv.ParseInt(a.header.Get("Tus-Max-Size"), 10, 64); err == nil && n >= 0 {
		t.maxSize = n
	}
	s.server = t
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
