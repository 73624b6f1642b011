// Package intake receives footage over tus 1.0
// (https://tus.io/protocols/resumable-upload): core, creation, creation-with-upload,
// creation-defer-length, termination, expiration and checksum. tusd's handler speaks
// the protocol; the storage behind it is this package.
//
// Bytes count as they arrive, unless they come with a checksum. Bytes that arrived
// before a connection was lost are durable, and HEAD returns their number, even while
// the lost PATCH still hangs. Memory per request is bounded, whatever the file's size.
//
// A footage id belongs to the device that first used it, for every kind of upload. The
// ledger decides that when a session is created, and again before a finish stores a blob.
// The sessions of other devices are answered like unknown ones.
//
// A finish has these steps. Each is durable before the next one begins, and harmless
// when it is repeated:
//   - all bytes and their hash,
//   - the comparison with the declared hash,
//   - the blob under its key,
//   - the footage with its job in the ledger,
//   - the message in the queue, and the mark that it is there,
//   - the mark that the session is finished.
//
// A finish that stopped in between is continued by the next request or by Run. The end is one
// footage, one job and one message.
package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/tus/tusd/v2/pkg/handler"
	xslog "golang.org/x/exp/slog"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/tracing"
	"cattlecounter/shared/wire"
)

// Blobs stores the bytes.
type Blobs interface {
	blob.Store
	blob.Stager
}

// Options configure an Intake. Ledger, Stager and Queue are required.
type Options struct {
	Ledger *ledger.Ledger
	Stager Blobs
	Queue  queue.Queue

	MaxSize  int64  // bytes of one file; 0 means 64 GiB
	BasePath string // where the handler is mounted; "" means /files/
	// IdleTimeout ends a request whose body is silent for so long; 0 means 60 s. It
	// needs a ResponseWriter with SetReadDeadline.
	IdleTimeout time.Duration
	// Expire is the age at which an untouched session is deleted; 0 means 7 days.
	Expire time.Duration
	// MaxSessions bounds the unfinished sessions of one device; 0 means 200.
	MaxSessions int
	// MaxDeviceBytes bounds what one device has announced and not sent yet; 0 means no bound.
	MaxDeviceBytes int64
	// Free returns the free bytes of the storage; nil for a storage without a bound. Below MinFree no bytes are taken, and
	// an upload begins only when it fits besides what others have announced.
	Free    func() (int64, error)
	MinFree int64
	// SweepEvery is the pause between two rounds of Run; 0 means 30 s.
	SweepEvery time.Duration

	Now     func() time.Time      // nil means time.Now
	Log     *slog.Logger          // nil means no log
	Metrics prometheus.Registerer // nil means no metrics
}

const (
	defaultMaxSize     = 64 << 30
	defaultIdle        = 60 * time.Second
	defaultExpire      = 7 * 24 * time.Hour
	defaultMaxSessions = 200
	defaultSweep       = 30 * time.Second
	lockWait           = 20 * time.Second
	// graceful is how long tusd keeps the context of a request after the request. Work
	// that must not be cut off uses detached.
	graceful = 100 * time.Millisecond
)

// What the intake needs of the ledger, by purpose. Tests put others in their place,
// which fail at a chosen call.
type (
	// sessions begins, resumes and ends upload sessions.
	sessions interface {
		Create(context.Context, ledger.Upload) (ledger.Upload, error)
		Get(ctx context.Context, id string) (ledger.Upload, error)
		SetSize(ctx context.Context, id string, size int64) error
		Delete(ctx context.Context, id string) error
		CountUnfinished(ctx context.Context, device string) (int, error)
	}
	// received saves how far a session is.
	received interface {
		SaveOffset(ctx context.Context, id string, offset int64, hashState []byte) error
		SetKey(ctx context.Context, id, blobKey string) error
		Touch(ctx context.Context, id string) error
		Finish(ctx context.Context, id string) error
	}
	// stale lists the sessions that no client comes back to.
	stale interface {
		List(ctx context.Context, before time.Time, limit int) ([]ledger.Upload, error)
		ListComplete(ctx context.Context, before time.Time, limit int) ([]ledger.Upload, error)
	}
	// catalog records footage.
	catalog interface {
		Get(context.Context, footage.ID) (ledger.FootageView, error)
		RecordUpload(ctx context.Context, id string, f ledger.Footage) (ledger.Recorded, error)
		RestoreVideo(ctx context.Context, id string, f footage.ID, lost, key string) (ledger.Job, error)
		SetTelemetry(ctx context.Context, id footage.ID, key string) error
	}
	// jobs compares the ledger with the queue.
	jobs interface {
		Get(ctx context.Context, id string) (ledger.Job, error)
		MarkQueued(ctx context.Context, jobID string) error
		ListUnqueued(ctx context.Context, limit int) ([]ledger.Job, error)
		ListIdle(ctx context.Context, s job.State, before time.Time, afterID string, limit int) ([]ledger.Job, error)
	}
	thumbnails interface {
		Put(context.Context, ledger.Thumbnail) error
	}
	// owners decides which device a footage id belongs to.
	owners interface {
		Claim(ctx context.Context, id footage.ID, device string) error
	}
)

// Intake is the upload handler. It is safe for concurrent use.
type Intake struct {
	o Options

	sessions   sessions
	received   received
	stale      stale
	footage    catalog
	jobs       jobs
	thumbnails thumbnails
	owners     owners
	reserved   reserved
	blobs      Blobs
	queue      queue.Queue

	log        *slog.Logger
	now        func() time.Time
	locks      *locks // by session
	finishes   *locks // by footage
	rollings   rollings
	creating   sync.Mutex // from the look at quotas to the new session
	metrics    *metrics
	tus        http.Handler
	touchEvery time.Duration     // how often a running finish touches its session
	jobCursors map[string]string // where the next look at the queue begins, by job state; Run's own
}

// New checks the options and returns the handler. Run does its housekeeping.
func New(o Options) (*Intake, error) {
	if o.Ledger == nil || o.Stager == nil || o.Queue == nil {
		return nil, errors.New("intake: ledger, stager and queue are required")
	}
	fill(&o)
	shared, _ := o.Stager.(blob.Holder)
	l := o.Ledger
	in := &Intake{
		o: o, sessions: l.Uploads, received: l.Uploads, stale: l.Uploads, footage: l.Footage, jobs: l.Jobs,
		thumbnails: l.Thumbnails, owners: l.Owners, reserved: l.Uploads, blobs: o.Stager, queue: o.Queue, log: o.Log, now: o.Now,
		locks: newLocks(shared), finishes: newLocks(nil), rollings: rollings{byID: map[string]*rolling{}},
		touchEvery: idleTime / 3, jobCursors: map[string]string{},
	}
	var err error
	if in.metrics, err = newMetrics(o.Metrics, l.Uploads); err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	c := handler.NewStoreComposer()
	c.UseCore(store{in})
	c.UseTerminater(store{in})
	c.UseLengthDeferrer(store{in})
	c.UseLocker(in.locks)
	in.tus, err = handler.NewHandler(handler.Config{
		StoreComposer:                    c,
		BasePath:                         o.BasePath,
		MaxSize:                          o.MaxSize,
		DisableDownload:                  true,
		DisableConcatenation:             true,
		Cors:                             &handler.CorsConfig{Disable: true}, // the page has the same origin
		AcquireLockTimeout:               lockWait,
		NetworkTimeout:                   o.IdleTimeout,
		GracefulRequestCompletionTimeout: graceful,
		// ServeHTTP logs each request itself.
		Logger: xslog.New(xslog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	return in, nil
}

func fill(o *Options) {
	if o.MaxSize <= 0 {
		o.MaxSize = defaultMaxSize
	}
	if o.BasePath == "" {
		o.BasePath = wire.FilesPath
	}
	if !strings.HasSuffix(o.BasePath, "/") {
		o.BasePath += "/"
	}
	for _, d := range []struct {
		value *time.Duration
		none  time.Duration
	}{{&o.IdleTimeout, defaultIdle}, {&o.Expire, defaultExpire}, {&o.SweepEvery, defaultSweep}} {
		if *d.value <= 0 {
			*d.value = d.none
		}
	}
	if o.MaxSessions <= 0 {
		o.MaxSessions = defaultMaxSessions
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// ServeHTTP implements http.Handler. Every error leaves as a problem document.
func (in *Intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel() // tusd's goroutines end with the request
	in.metrics.active.Inc()
	defer in.metrics.active.Dec()
	x := &exchange{method: method(r), control: http.NewResponseController(w), parent: r.Header.Get(tracing.HeaderParent)}
	a := &answer{ResponseWriter: w, x: x, base: in.o.BasePath}
	id, p := in.admit(r, x)
	if p != nil {
		x.problem = p
		a.WriteHeader(p.Status)
	} else {
		r = r.WithContext(context.WithValue(ctx, exchangeKey{}, x))
		r.Method = x.method
		r.Header.Del("X-HTTP-Method-Override")
		u := *r.URL
		u.Path, u.RawPath = "/"+id, ""
		r.URL = &u
		in.tus.ServeHTTP(a, r)
	}
	a.finish()
	in.logRequest(x, id, a.status)
}

// method is the method of a request. Clients that cannot send PATCH override it, which
// tus 1.0 allows for every method.
func method(r *http.Request) string {
	if m := r.Header.Get("X-HTTP-Method-Override"); m != "" {
		return strings.ToUpper(m)
	}
	return r.Method
}

// admit checks what can be checked before tusd sees the request, and returns
// the session's id, empty for creation.
func (in *Intake) admit(r *http.Request, x *exchange) (string, *problem.Error) {
	if x.method == http.MethodOptions {
		return "", nil
	}
	d, ok := deviceFrom(r.Context())
	if !ok {
		return "", problem.New(wire.SlugUnauthorised,
			"Send the header Authorization: Bearer TOKEN with a valid device token.")
	}
	if !mayUpload(d) {
		return "", problem.New(wire.SlugForbidden,
			"This token may only read. Upload with the token of a device or an operator.")
	}
	x.device = d
	id, ok := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/")+"/", in.o.BasePath)
	if !ok {
		return "", problem.New(wire.SlugNotFound, "Uploads are at %s.", in.o.BasePath)
	}
	id = strings.TrimSuffix(id, "/")
	if id != "" && blob.CheckID(id) != nil {
		return "", uploadGoneProblem()
	}
	if p := checkSingleHeaders(r.Header); p != nil {
		return id, p
	}
	if v := r.Header.Get("Tus-Resumable"); v != "" && v != wire.TusVersion {
		return id, versionProblem() // tusd lets it pass with HEAD
	}
	if r.Header.Get("Upload-Concat") != "" {
		return id, problem.New(wire.SlugBadMetadata, "Concatenation is not offered: send the file as one upload.")
	}
	if x.method == http.MethodPost {
		if _, err := wire.ParseMetadataHeader(r.Header.Get("Upload-Metadata")); err != nil {
			return id, problem.New(wire.SlugBadMetadata, "Upload-Metadata: %v.", err)
		}
	}
	if n, err := strconv.ParseInt(r.Header.Get("Upload-Length"), 10, 64); err == nil && n > in.o.MaxSize {
		return id, sizeProblem()
	}
	if p := x.readChecksum(r); p != nil || id == "" {
		return id, p
	}
	return id, in.checkSession(r.Context(), id, d)
}

// checkSession refuses a session of another device like one that does not exist. It comes
// before tusd, which would interrupt a running request of the session's own device.
func (in *Intake) checkSession(ctx context.Context, id string, d ledger.Device) *problem.Error {
	u, err := in.sessions.Get(ctx, id)
	switch {
	case err != nil:
		return asProblem(err)
	case u.Device != d.Name:
		return uploadGoneProblem()
	}
	return nil
}

// checkSingleHeaders refuses duplicate headers. tusd would use the first one silently, and a digest
// in the second one would not be checked.
func checkSingleHeaders(h http.Header) *problem.Error {
	for _, name := range []string{"Upload-Length", "Upload-Defer-Length", "Upload-Offset", "Upload-Metadata",
		"Upload-Checksum"} {
		if len(h.Values(name)) > 1 {
			return problem.New(wire.SlugBadMetadata, "Duplicate header %s: send it once.", name)
		}
	}
	return nil
}

// logRequest logs and counts the outcome of a request.
func (in *Intake) logRequest(x *exchange, id string, status int) {
	if x.upload != "" {
		id = x.upload
	}
	args := []any{"method", x.method, "upload", id, "device", x.device.Name, "status", status}
	if x.footage != "" {
		args = append(args, "footage", x.footage, "bytes", x.bytes)
	}
	p := x.problem
	switch {
	case p == nil:
		in.log.Debug("upload request", args...)
		return
	case p.Failed():
		in.log.Error("upload request failed", append(args, "problem", p.Slug(), "err", p)...)
	default:
		in.log.Info("upload request refused", append(args, "problem", p.Slug(), "err", p)...)
	}
	in.metrics.refused.WithLabelValues(string(p.Slug())).Inc()
}
