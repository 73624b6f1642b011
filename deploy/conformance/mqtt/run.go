package mqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"cattlecounter/deploy/conformance/finding"
	"cattlecounter/shared/secret"
)

// Options describe the cloud and the checks.
type Options struct {
	URL string // of the broker: mqtt, tcp, mqtts or ssl
	API string // address of cloud-api; "" for none
	// Admin is the token of an admin of every site; with it the kit makes the other accounts. It needs API.
	Admin secret.String
	// Reader and Token are a reader at Site, used without Admin.
	Reader string
	Token  secret.String
	// Site is that of the reader and of the first station; "" means conformance.
	Site string
	CA   string // file with authorities; "" for those of the system
	// Restart restarts the cloud and returns when that has begun; nil skips what needs it.
	Restart func(context.Context) error
	// Only are the names of the checks to run; nil means all.
	Only []string
	// Patience is the limit for what must arrive; 0 means 20 s.
	Patience time.Duration
	// Settle is how long nothing may arrive before the retained messages count as complete; 0 means 1 s. With Admin a
	// message of a station marks their end instead.
	Settle time.Duration
}

// Errors of Run.
var (
	// ErrOptions is the class of invalid options.
	ErrOptions = errors.New("wrong use")
	// ErrNoServer is the class of addresses that do not answer, and of tokens that they refuse.
	ErrNoServer = errors.New("no answer")
)

// steady limits what answers on every cloud, also with a short patience: log-ins, requests and fences.
const steady = 30 * time.Second

// noDeadline ends the deadline of a connection.
var noDeadline time.Time

// ports are the default ports of the schemes, and whether they use TLS.
var ports = map[string]struct {
	port string
	tls  bool
}{"mqtt": {"1883", false}, "tcp": {"1883", false}, "mqtts": {"8883", true}, "ssl": {"8883", true}}

// kit is one run.
type kit struct {
	o        Options
	host     string
	tls      *tls.Config // nil without TLS
	http     *http.Client
	contract contract
	served   bool    // the contract is the one of the cloud, not the one of the kit
	watch    *client // the reader with every topic, for the whole run
	reader   account
	made     *accounts // nil without an admin
	seq      int64
}

// Parts that a check needs.
const (
	needsAdmin   = "admin"
	needsRestart = "restart"
	needsServed  = "api"
)

// missing says why a check without its part cannot be tested.
var missing = map[string]string{
	needsAdmin:   "it needs accounts: --api and --admin",
	needsRestart: "it needs a restart of the cloud: --restart",
	needsServed:  "it needs the contract of the cloud: --api",
}

// check is one statement of the documents.
type check struct {
	name    string
	section string // a heading of deploy/docs/mqtt.md, or asyncapi.yaml and a channel
	level   finding.Level
	needs   []string
	run     func(context.Context, *kit) error
}

// checks returns every check in the order in which they run: those of what was received come after those that cause it,
// and those that end accounts are last.
func checks() []check {
	return slices.Concat(logins, reading, stationSide, sessionsOf, rightsOf, orders, limits, ends, received, restarts)
}

// Run checks the cloud and returns a finding for each selected check, in a fixed order. It fails with ErrOptions, with
// ErrNoServer when the broker or the API does not answer at all, and with the cause when ctx ends. It leaves no goroutine
// running and no connection open.
func Run(ctx context.Context, o Options) (fs []finding.Finding, err error) {
	k, err := newKit(o)
	if err != nil {
		return nil, err
	}
	defer k.http.CloseIdleConnections()
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), steady)
		defer cancel()
		k.cleanUp(clean)
	}()
	if err := k.begin(ctx); err != nil {
		return nil, err
	}
	for _, c := range checks() {
		if k.o.Only != nil && !slices.Contains(k.o.Only, c.name) {
			continue
		}
		fs = append(fs, finding.Of(c.name, c.section, c.level, k.runCheck(ctx, c)))
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return fs, nil
}

// runCheck runs one check unless a part is missing. A check has three times the patience in all, and time for what is steady.
func (k *kit) runCheck(ctx context.Context, c check) error {
	for _, n := range c.needs {
		if n == needsAdmin && k.made == nil || n == needsRestart && k.o.Restart == nil || n == needsServed && !k.served {
			return finding.Skip("%s", missing[n])
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 3*k.o.Patience+steady)
	defer cancel()
	return c.run(ctx, k)
}

func newKit(o Options) (*kit, error) {
	k := &kit{o: o}
	u, err := url.Parse(o.URL)
	p, known := ports[""], false
	if err == nil {
		p, known = ports[u.Scheme]
	}
	if !known || u.Hostname() == "" {
		return nil, fmt.Errorf("%w: %.200q is no address such as mqtt://127.0.0.1:1883", ErrOptions, o.URL)
	}
	if u.Port() != "" {
		p.port = u.Port()
	}
	k.host = net.JoinHostPort(u.Hostname(), p.port)
	for _, name := range o.Only {
		if !slices.ContainsFunc(checks(), func(c check) bool { return c.name == name }) {
			return nil, fmt.Errorf("%w: there is no check %.80q", ErrOptions, name)
		}
	}
	switch {
	case !o.Admin.IsZero() && o.API == "":
		return nil, fmt.Errorf("%w: --admin needs --api", ErrOptions)
	case o.Admin.IsZero() && (o.Reader == "" || o.Token.IsZero()):
		return nil, fmt.Errorf("%w: give --api and --admin, or --reader and --token", ErrOptions)
	}
	k.o.API = strings.TrimSuffix(o.API, "/")
	if a, err := url.Parse(k.o.API); o.API != "" && (err != nil || a.Scheme != "http" && a.Scheme != "https") {
		return nil, fmt.Errorf("%w: --api: %.200q is no http or https address", ErrOptions, o.API)
	}
	if k.o.Patience <= 0 {
		k.o.Patience = 20 * time.Second
	}
	if k.o.Settle <= 0 {
		k.o.Settle = time.Second
	}
	if k.o.Site == "" {
		k.o.Site = "conformance"
	}
	trust, err := authorities(o.CA)
	if err != nil {
		return nil, err
	}
	k.http = &http.Client{Timeout: max(k.o.Patience, steady), Transport: &http.Transport{TLSClientConfig: trust}}
	if p.tls {
		k.tls = trust.Clone()
		k.tls.ServerName = u.Hostname()
	}
	return k, nil
}

// authorities is the TLS configuration with the authorities of a file, "" for those of the system.
func authorities(path string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if path == "" {
		return c, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: --ca: %w", ErrOptions, err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%w: --ca: %s has no certificate", ErrOptions, path)
	}
	return c, nil
}

// begin makes the accounts, reads the contract and subscribes the reader to every topic.
func (k *kit) begin(ctx context.Context) error {
	k.reader = account{k.o.Reader, k.o.Token.Reveal(), k.o.Site}
	if !k.o.Admin.IsZero() {
		if err := k.makeAccounts(ctx); err != nil {
			return err
		}
		k.reader = k.made.reader
	}
	if err := k.readContract(ctx); err != nil {
		return err
	}
	return k.beginWatch(ctx)
}

// beginWatch subscribes the reader to every topic.
func (k *kit) beginWatch(ctx context.Context) error {
	w, err := k.dial(ctx, k.reader, nil)
	if err != nil {
		return fmt.Errorf("the reader: %w: %w", ErrNoServer, err)
	}
	k.watch = w
	granted, err := w.subscribe(ctx, everything)
	if err == nil && !granted {
		err = fmt.Errorf("%w: the reader may not subscribe to %s", ErrNoServer, everything)
	}
	if err != nil {
		return err
	}
	return k.complete(ctx, w)
}

// everything is the filter that matches every topic of the contract.
const everything = "cattle/v1/#"

// complete waits until a new subscriber has its retained messages. A broker handles the packets of a client in order, so the
// message of a station to which the client subscribes afterwards comes after them.
func (k *kit) complete(ctx context.Context, c *client) error {
	if k.made != nil {
		p := k.made.station
		if c.who.site != p.site {
			p = k.made.other
		}
		if granted, err := c.subscribe(ctx, p.topic("vitals")); err != nil || !granted {
			return errors.Join(err, errors.New("the reader may not subscribe to the vitals of a station of its site"))
		}
		return k.fence(ctx, p, c)
	}
	for n := c.count(); ; n = c.count() {
		timer := time.NewTimer(k.o.Settle)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		if c.count() == n {
			return nil
		}
	}
}

// newcomer connects an account, subscribes to a filter and returns the retained messages that it gets.
func (k *kit) newcomer(ctx context.Context, a account, filter string) ([]message, error) {
	c, err := k.dial(ctx, a, nil)
	if err != nil {
		return nil, err
	}
	defer c.close()
	granted, err := c.subscribe(ctx, filter)
	if err != nil || !granted {
		return nil, err
	}
	if err := k.complete(ctx, c); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(c.all(), func(m message) bool { return !m.retained }), nil
}

// within limits one wait to the patience.
func (k *kit) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, k.o.Patience)
}

func (k *kit) cleanUp(ctx context.Context) {
	if k.watch != nil {
		k.watch.close()
	}
	if k.made != nil {
		k.made.end(ctx, k)
	}
}
