package uplink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"cattlecounter/edge/proxy"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/tracing"
	"cattlecounter/shared/wire"
)

const (
	requestTimeout = 30 * time.Second // of a request without a long body
	dialTimeout    = 15 * time.Second
	maxAnswer      = 1 << 20
)

// errStalled is the cause of a request that the idle time-out canceled.
var errStalled = errors.New("no byte moved")

// Cloud is a client of the cloud's intake and API. It is safe for concurrent use.
type Cloud struct {
	base   *url.URL
	token  *Token
	budget *Budget // nil counts nothing
	clock  timeHints
	idle   time.Duration
	http   *http.Client
	sent   atomic.Pointer[secret.String] // the token of the last request
}

// CloudOptions configure a Cloud. URL is required.
type CloudOptions struct {
	URL         string
	Token       *Token
	Budget      *Budget       // nil counts no bytes
	CAFile      string        // PEM, "" for the system's authorities
	Proxy       secret.String // a setting of proxy.Func
	IdleTimeout time.Duration // 0 means one minute
	Transport   http.RoundTripper
	Clock       timeHints // nil ignores the time of answers
}

// NewCloud checks the options; it does not connect.
func NewCloud(o CloudOptions) (*Cloud, error) {
	base, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("cloud URL: %w", err)
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = time.Minute
	}
	if o.Clock == nil {
		o.Clock = noHints{}
	}
	if o.Token == nil {
		o.Token = NewToken(secret.String{}, "", nil)
	}
	if o.Transport == nil {
		if o.Transport, err = transport(o.CAFile, o.Proxy); err != nil {
			return nil, err
		}
	}
	c := &http.Client{Transport: o.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the token must not go to another address
	}}
	return &Cloud{base: base, token: o.Token, budget: o.Budget, clock: o.Clock, idle: o.IdleTimeout, http: c}, nil
}

// Close closes idle connections.
func (c *Cloud) Close() { c.http.CloseIdleConnections() }

func transport(caFile string, via secret.String) (http.RoundTripper, error) {
	cfg, err := TLSConfig(caFile)
	if err != nil {
		return nil, fmt.Errorf("cloud.ca_file: %w", err)
	}
	ask, err := proxy.Func(via)
	if err != nil {
		return nil, fmt.Errorf("cloud.proxy: %w", err)
	}
	// HTTP/1.1, because one long PATCH shares its connection with nothing.
	return &http.Transport{
		Proxy:               ask,
		DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: requestTimeout, Control: fewUnsent}).DialContext,
		TLSClientConfig:     cfg,
		TLSHandshakeTimeout: dialTimeout,
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		MaxIdleConns:        2,
		IdleConnTimeout:     time.Minute,
		WriteBufferSize:     64 << 10,
	}, nil
}

// TLSConfig trusts the authorities in caFile, or the system's when it is "".
func TLSConfig(caFile string) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("certificate authority %s: the file has no PEM certificate", caFile)
	}
	return cfg, nil
}

// Footage returns what the cloud has under an id, with job and count. The error wraps
// ErrNotFound when the cloud has nothing.
func (c *Cloud) Footage(ctx context.Context, id footage.ID) (wire.Footage, error) {
	r, err := c.short(ctx, http.MethodGet, c.at(wire.FootagePath(id)), nil)
	if err != nil {
		return wire.Footage{}, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return wire.Footage{}, answer(r)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil {
		return wire.Footage{}, c.linkError(ctx, err)
	}
	c.budget.received(len(body))
	return parseFootage(body)
}

// probed is footage that cannot exist: the cloud checks the token first.
const probed = footage.ID("probe")

// Probe checks that the cloud answers and accepts the token. The error wraps ErrToken when it refuses it; every other answer
// counts.
func (c *Cloud) Probe(ctx context.Context) error {
	_, err := c.Footage(ctx, probed)
	if errors.Is(err, ErrLink) || errors.Is(err, ErrBudget) || errors.Is(err, ErrToken) || ctx.Err() != nil {
		return err
	}
	return nil
}

func parseFootage(body []byte) (wire.Footage, error) {
	var f wire.Footage
	if err := json.Unmarshal(body, &f); err != nil {
		return wire.Footage{}, fmt.Errorf("footage document: %w: %w", err, ErrUnexpected)
	}
	return f, nil
}

func (c *Cloud) at(path string) string {
	return strings.TrimSuffix(c.base.String(), "/") + path
}

// short sends a request without a long body.
func (c *Cloud) short(ctx context.Context, method, to string, header http.Header) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	r, err := c.send(ctx, method, to, header, nil, 0)
	if err != nil {
		cancel()
		return nil, err
	}
	r.Body = &limitedBody{r.Body, cancel}
	return r, nil
}

// limitedBody releases the request's time limit when it is closed.
type limitedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c *limitedBody) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}

func (c *Cloud) send(ctx context.Context, method, to string, header http.Header, body io.Reader,
	size int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, to, err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if err := c.budget.request(); err != nil {
		return nil, err
	}
	req.ContentLength = size
	token := c.token.Current()
	c.sent.Store(&token)
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	req.Header.Set(wire.HeaderTusResumable, wire.TusVersion)
	tracing.Inject(ctx, req.Header)
	req, answered := c.timed(req)
	r, err := c.http.Do(req)
	if err != nil {
		return nil, c.linkError(ctx, err)
	}
	answered(r)
	return r, nil
}

// lastToken is the token of the last request.
func (c *Cloud) lastToken() secret.String {
	if t := c.sent.Load(); t != nil {
		return *t
	}
	return secret.String{}
}

// linkError returns ctx's cause after a stop, or else ErrLink.
func (c *Cloud) linkError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errStalled) || errors.Is(cause, context.DeadlineExceeded) {
			return fmt.Errorf("%w: %w", cause, ErrLink)
		}
		return context.Cause(ctx)
	}
	return fmt.Errorf("%s: %w", c.explain(err), ErrLink)
}

// explain adds what to do about faults other than the link's.
func (c *Cloud) explain(err error) string {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return "the cloud's certificate is signed by an unknown authority (set cloud.ca_file): " + err.Error()
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return c.outOfDate(invalid.Cert)
	}
	return err.Error()
}
