package web

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
	"golang.org/x/time/rate"

	"cattlecounter/cloud/server/ground"
	"cattlecounter/cloud/server/progress"
	"cattlecounter/cloud/server/report/gather"
	"cattlecounter/cloud/server/retention"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

const (
	headTime    = 10 * time.Second
	keepAlive   = 75 * time.Second // between two requests of a connection
	writeTime   = 30 * time.Second // for an answer, or each piece of a streamed one
	headerBytes = 16 << 10         // largest request head
	maxConns    = 1024
	// maxPerAddress leaves a reserve of connections for other addresses.
	maxPerAddress = maxConns * 3 / 4
	drainTime     = 10 * time.Second // for requests under way at a stop
	handlersTime  = 5 * time.Second  // for handlers whose connection was cut
)

// ErrShutdown is the cause of running requests that a stop interrupts.
var ErrShutdown = errors.New("the server stops")

// Ledger has the parts of the ledger that the API uses. All are required; LedgerOf
// returns them.
type Ledger struct {
	Devices    devices
	Enrolments enrolments
	OrderKey   orderKey
	Footage    catalog
	Uploads    uploads
	Thumbnails thumbnails
	Jobs       jobs
	Attempts   attempts
	Counts     counts
	Flights    flights
	Changes    progress.Rows
	Totals     totals
	Lines      lines
	Reviews    reviews
	Recounts   recounts
	Models     models
	Workers    workers
	Priorities priorities
	Videos     videos
	People     people
	Factors    factors
	Sessions   sessions
	Identities identities
	Staff      staff
	Invites    invites
	Tokens     tokens
	Grounds    grounds
	Positions  positions
	Borders    borders
	Surveys    surveys
	Book       book
	Sites      sites
	Audit      audit

	Shares            shares
	NotificationRules notificationRules
	Notifications     notifications
}

// LedgerOf returns the parts of l.
func LedgerOf(l *ledger.Ledger) Ledger {
	return Ledger{Devices: l.Devices, Footage: l.Footage, Uploads: l.Uploads, Thumbnails: l.Thumbnails, Jobs: l.Jobs,
		Attempts: l.Attempts, Counts: l.Counts, Flights: l.Flights, Changes: l.Changes, Totals: l.Totals,
		Lines: l.Lines, Recounts: l.Jobs, Models: l.Models, Workers: l.Workers, Priorities: l.Jobs, Videos: l.Footage, People: l.People, Factors: l.People, Sessions: l.People,
		Identities: l.People, Staff: l.People, Invites: l.People, Tokens: l.Devices, Audit: l.Audit, Reviews: l.Reviews,
		Grounds: l.Grounds, Positions: l.Positions, Borders: l.Borders, Surveys: l.Surveys,
		Book: l.Book, Sites: l.Sites, Notifications: l.Notifications, NotificationRules: l.Notifications, Enrolments: l.Devices,
		OrderKey: l.OrderKey, Shares: l.Shares}
}

type (
	devices interface {
		Authenticate(ctx context.Context, token string) (ledger.Device, error)
		Touch(ctx context.Context, name string, at time.Time) error
		List(ctx context.Context) ([]ledger.Device, error)
		Revoke(ctx context.Context, name string) error
	}
	catalog interface {
		Get(ctx context.Context, id footage.ID) (ledger.FootageView, error)
		GetBySHA256(ctx context.Context, d footage.Digest, device string) (ledger.FootageView, error)
		GetBySHA256At(ctx context.Context, d footage.Digest, sites ledger.SiteSet) (ledger.FootageView, error)
		List(ctx context.Context, p ledger.Page) ([]ledger.FootageView, string, error)
		ListDuplicates(ctx context.Context, id footage.ID, limit int) ([]ledger.Footage, error)
	}
	uploads interface {
		ListUnfinishedAt(ctx context.Context, sites ledger.SiteSet, device string, limit int) ([]ledger.Upload, error)
	}
	thumbnails interface {
		Get(ctx context.Context, id footage.ID) (ledger.Thumbnail, error)
		ListWaiting(ctx context.Context, p ledger.Page) ([]ledger.Thumbnail, string, error)
	}
	jobs interface {
		Get(ctx context.Context, id string) (ledger.Job, error)
		List(ctx context.Context, s job.State, p ledger.Page) ([]ledger.JobView, string, error)
		Retry(ctx context.Context, jobID string) (ledger.Job, error)
		Cancel(ctx context.Context, jobID string) error
		MarkQueued(ctx context.Context, jobID string) error
		CountSibling(ctx context.Context, id footage.ID) (ledger.Job, error)
	}
	priorities interface {
		Prioritise(ctx context.Context, jobID string, priority int) (ledger.Job, error)
	}
	recounts interface {
		RecountWith(ctx context.Context, id footage.ID, m wire.ModelRef) (ledger.Job, error)
	}
	models interface {
		Choose(ctx context.Context, site string, m wire.ModelRef) (ledger.ModelChoice, error)
		Chosen(ctx context.Context) ([]ledger.ModelChoice, error)
		Before(ctx context.Context) ([]ledger.ModelChoice, error)
		History(ctx context.Context, sites ledger.SiteSet, limit int) ([]ledger.ModelChoice, error)
		Compare(ctx context.Context, older, newer wire.ModelRef, in ledger.Scope, limit int) ([]ledger.Compared, error)
	}
	workers interface {
		Alive(ctx context.Context) ([]ledger.Worker, error)
	}
	grounds interface {
		Get(ctx context.Context, id footage.ID) (ledger.Ground, error)
		ListPlaced(ctx context.Context, site string, limit int) ([]ledger.Place, error)
	}
	positions interface {
		List(ctx context.Context, p ledger.Page) ([]ledger.Position, string, error)
	}
	surveys interface {
		Add(ctx context.Context, n ledger.Survey) (ledger.Survey, error)
		Get(ctx context.Context, id string) (ledger.Survey, error)
		List(ctx context.Context, p ledger.Page) ([]ledger.Survey, string, error)
		Remove(ctx context.Context, id string) error
		Parts(ctx context.Context, n ledger.Survey) ([]ledger.SurveyPart, error)
	}
	book interface {
		Put(ctx context.Context, site string, since time.Time, list []ledger.Expected) error
		PutOver(ctx context.Context, site string, since time.Time, list, read []ledger.Expected) error
		At(ctx context.Context, site string, at time.Time) ([]ledger.Expected, error)
		History(ctx context.Context, site string, limit int) ([]ledger.Expected, error)
	}
	borders interface {
		PutOver(ctx context.Context, b ledger.Borders, over int64) (ledger.Borders, error)
		At(ctx context.Context, site string, at time.Time) (ledger.Borders, error)
		Get(ctx context.Context, site string, version int64) (ledger.Borders, error)
		List(ctx context.Context, site string, limit int) ([]ledger.Borders, error)
	}
	attempts interface {
		List(ctx context.Context, jobID string, limit int) ([]ledger.Attempt, error)
	}
	counts interface {
		List(ctx context.Context, p ledger.Page) ([]ledger.CountView, string, error)
	}
	flights interface {
		Get(ctx context.Context, id string) (ledger.FlightView, error)
		List(ctx context.Context, p ledger.Page) ([]ledger.FlightView, string, error)
		JoinByHand(ctx context.Context, ids []footage.ID) (string, error)
		SplitByHand(ctx context.Context, id string, before footage.ID) error
	}
	totals interface {
		Stats(ctx context.Context) (ledger.Stats, error)
		StatsAt(ctx context.Context, in ledger.Scope) (ledger.Stats, error)
	}
	audit interface {
		Record(ctx context.Context, action, subject string) error
		Find(ctx context.Context, q ledger.AuditQuery) ([]ledger.AuditEntry, error)
	}
	lines interface {
		Get(ctx context.Context, o ledger.LineOwner) (ledger.LineSet, error)
		For(ctx context.Context, id footage.ID) (ledger.LineSet, error)
		ForFlight(ctx context.Context, device string, flights ...string) (ledger.LineSet, error)
		Put(ctx context.Context, o ledger.LineOwner, set boundary.Set) (ledger.LineSet, error)
		Delete(ctx context.Context, o ledger.LineOwner) error
		RemovedSince(ctx context.Context, id footage.ID, at time.Time) (bool, error)
	}
)

// Enqueuer is the part of the job queue that a retry needs.
type Enqueuer interface {
	Enqueue(ctx context.Context, jobID string) error
	Len(ctx context.Context) (int, error)
}

// Check is one condition of readiness.
type Check struct {
	Name string
	Test func(context.Context) error
}

// Options of New. Everything is required but Hosts, OpenReading, Certificate, Secure,
// Proxies, SecondFactor, NoPasswords, OpenID, OpenIDName, Guesses, HeadTimeout, Page, Checks, Now and Log.
type Options struct {
	Listen string
	// Hosts are the names, in lower case, that the server answers for besides localhost and IP addresses.
	Hosts []string
	// OpenReading lets clients read without a token or a login. Use it only where Listen is a loopback address.
	OpenReading bool
	// Certificate of Listen; nil for no TLS.
	Certificate certificates
	// Secure says that clients reach the server by https, by its own certificate or through a proxy.
	Secure bool
	// Proxies are the networks of proxies, which report the addresses of clients (X-Forwarded-For).
	Proxies []netip.Prefix
	// SecondFactor has the roles whose people may not log in without a second factor.
	SecondFactor []ledger.Role
	// NoPasswords says that people may not log in with a password.
	NoPasswords bool
	// OpenID logs people in at a provider with a name; nil for none.
	OpenID     openIDProvider
	OpenIDName string
	// Guesses is how many tokens of one address may fail at once; 0 means 50.
	Guesses     int
	IdleTimeout time.Duration // longest pause within a request body
	// HeadTimeout bounds the time for the head of a request; 0 means 10 s.
	HeadTimeout time.Duration
	Ledger      Ledger
	Blobs       blob.Store
	Ages        retention.Ages // of videos; the zero value keeps them forever
	Queue       Enqueuer
	Hub         *progress.Hub
	// Uploads serves /files/; WithDevice tells it who uploads.
	Uploads    http.Handler
	WithDevice func(context.Context, ledger.Device) context.Context
	// Stations knows the stations by their messages.
	Stations stationTable
	// StationBroker is the address of the MQTT broker for stations that are enrolled, "" when it is not known.
	StationBroker string
	// Overview reads what the first page shows.
	Overview overviews
	// Notifier checks and tests the rules of who hears of what.
	Notifier notifier
	// Page has index.html and the files that it loads; it is empty when the page was not
	// built.
	Page    fs.FS
	Checks  []Check
	Metrics *prometheus.Registry
	Now     func() time.Time
	Log     *slog.Logger
}

// Server is the HTTP server. It listens from New on and serves while Run does.
type Server struct {
	o                    Options
	log                  *slog.Logger
	now                  func() time.Time
	ln                   *listener
	gate                 *gatekeeper
	bridge               *bridge
	metrics              *metrics
	page                 *static
	hosts                hosts
	streams              streams
	lately               lately
	chatter              chatter
	docs                 documents
	queries              queryRules
	logs                 ground.Logs
	reports              *gather.Gatherer
	placing, linkPlacing *places       // for requests that compute positions
	tests                *rate.Limiter // of test messages
}

// New listens on the address. Call Run next: it closes the listener.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.HeadTimeout == 0 {
		o.HeadTimeout = headTime
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{o: o, log: o.Log, now: o.Now, gate: newGatekeeper(o), hosts: hosts(o.Hosts),
		placing: newPlaces(mostPlacing, mostWaiting), linkPlacing: newPlaces(mostLinkPlacing, mostLinkWaiting), tests: rate.NewLimiter(rate.Every(testEvery), testBurst),
		logs: ground.Logs{Blobs: o.Blobs, Footage: o.Ledger.Footage}}
	s.reports = &gather.Gatherer{Footage: o.Ledger.Footage, Reviews: o.Ledger.Reviews, Flights: o.Ledger.Flights,
		Borders: o.Ledger.Borders, Blobs: o.Blobs, Logs: s.logs}
	var err error
	if s.docs, err = readDocuments(); err != nil {
		return nil, err
	}
	if s.queries, err = readQueryRules(openAPI); err != nil {
		return nil, err
	}
	if s.page, err = newStatic(o.Page); err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	s.metrics = newMetrics(o, func() int { return s.ln.open() })
	s.bridge = &bridge{idle: o.IdleTimeout, received: func(n int) { s.metrics.received.Add(float64(n)) }}
	if s.ln, err = listen(ctx, o.Listen, o.Certificate); err != nil {
		return nil, err
	}
	return s, nil
}

// newApp is the router with all routes. Requests have the context work and find
// stopping in it.
func (s *Server) newApp(work, stopping context.Context) *fiber.App {
	app := fiber.New(fiber.Config{
		AppName:               "cattlecounter",
		DisableStartupMessage: true,
		StrictRouting:         true,
		CaseSensitive:         true,
		// Bodies go through the bridge; nothing calls c.Body().
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		ReadBufferSize:               headerBytes,
		Concurrency:                  maxConns,
		ReadTimeout:                  s.o.HeadTimeout,
		WriteTimeout:                 writeTime,
		IdleTimeout:                  keepAlive,
		ErrorHandler:                 s.fail,
	})
	app.Server().Handler = knownMethods(app.Server().Handler)
	app.Server().Logger = quietLogger{s.log, &s.chatter}
	app.Server().SecureErrorLogMessage = true // without it, a head that is not valid is logged with its tokens
	app.Server().HeaderReceived = func(*fasthttp.RequestHeader) fasthttp.RequestConfig {
		// The head has been read: from here on the deadline is that of a body. The limit
		// of one byte is how far fasthttp reads ahead before the handler runs; when bodies
		// stream it has no other use. With a higher limit, a body that is cut within the
		// first 8 KiB would not be noticed.
		return fasthttp.RequestConfig{ReadTimeout: s.o.IdleTimeout, MaxRequestBodySize: 1}
	}
	app.Use(withLifetimes(work, stopping))
	s.routes(app)
	return app
}

// Addr is the address it listens on.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Close releases the address when Run will not be called.
func (s *Server) Close() error { return s.ln.Close() }

// Run serves until ctx ends, and then waits for running requests. It interrupts uploads at
// once, because the bytes that arrived are stored. All other requests have a few seconds.
func (s *Server) Run(ctx context.Context) error {
	lasting := context.WithoutCancel(ctx)
	stopping, stop := context.WithCancelCause(lasting)
	work, end := context.WithCancel(lasting)
	defer end()
	app := s.newApp(work, stopping)
	served := make(chan error, 1)
	go func() { served <- app.Listener(s.ln) }()
	following, endFollowing := context.WithCancel(lasting)
	var follows sync.WaitGroup
	follows.Go(func() {
		s.gate.run(following, func(err error) { s.log.Warn("cannot look for revoked access; trying again", "err", err) })
	})
	defer follows.Wait()
	defer endFollowing()
	s.log.Info("http server listens", "address", s.Addr().String())
	select {
	case err := <-served:
		stop(ErrShutdown)
		return fmt.Errorf("http server: %w", err)
	case <-ctx.Done():
	}
	stop(ErrShutdown)
	s.o.Hub.Stop()
	drain, cancel := context.WithTimeout(lasting, drainTime)
	defer cancel()
	err := app.ShutdownWithContext(drain)
	// After a stop right at the start fasthttp does not have the listener yet and does
	// not close it.
	_ = s.ln.Close()
	if err := <-served; err != nil {
		s.log.Debug("http server ended", "err", err)
	}
	if err != nil || s.ln.open() > 0 {
		s.log.Warn("http connections closed before their requests ended", "connections", s.ln.open())
		end()
		s.ln.closeAll()
		last, cancel := context.WithTimeout(lasting, handlersTime)
		defer cancel()
		s.waitForConns(last)
	}
	return nil
}

// waitForConns waits until the goroutine of every connection has closed it.
func (s *Server) waitForConns(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for s.ln.open() > 0 && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// quietLogger logs the messages of fasthttp.
type quietLogger struct {
	log     *slog.Logger
	chatter *chatter
}

// Printf implements fasthttp.Logger.
func (q quietLogger) Printf(format string, args ...any) {
	if ok, before := q.chatter.mayLog(); ok {
		q.log.Warn("http server: "+fmt.Sprintf(format, args...), "not_logged", before)
	}
}
