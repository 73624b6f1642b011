package intake

import (
	"context"
	"net/http"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// exchange carries facts about a request from our data store past tusd, which passes
// only a status, a text and headers on.
type exchange struct {
	method  string
	device  ledger.Device
	upload  string // session
	footage footage.ID
	bytes   int64     // stored by this request
	expires time.Time // of the session, zero when it is finished
	problem *problem.Error
	check   *check // nil without a checksum
	control *http.ResponseController
	parent  string // the step of a trace to which the request belongs, as its client says
}

// interrupt ends a running Read of the request's body and reports whether the server
// can do that. A server without deadlines ends the Read with its connection.
func (x *exchange) interrupt() bool {
	return x.control.SetReadDeadline(time.Unix(1, 0)) == nil
}

type exchangeKey struct{}

func exchangeFrom(ctx context.Context) *exchange {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		// Only ServeHTTP calls tusd, and it always sets one.
		panic("intake: request without exchange")
	}
	return x
}

// fail sets the problem and returns the error that makes tusd refuse the request.
func (x *exchange) fail(err error) error {
	x.problem = asProblem(err)
	return handler.NewError("ERR_CATTLECOUNTER", x.problem.Title, x.problem.Status)
}

// answer turns every error that leaves through it into a problem document and
// completes the headers of tus.
type answer struct {
	http.ResponseWriter
	x      *exchange
	base   string
	status int
	text   []byte // of an error of tusd: not sent, only its code is used
	held   bool   // the answer is an error: finish sends it
}

const maxText = 512

// Unwrap lets http.ResponseController set deadlines and flush.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	if c := a.x.check; c != nil && !c.compared && status < http.StatusBadRequest {
		// tusd reads no bytes when an upload is complete, and answers with success.
		a.x.problem = excessProblem()
		status = a.x.problem.Status
	}
	a.status = status
	h := a.Header()
	h.Set("Tus-Resumable", wire.TusVersion)
	if ext := h.Get("Tus-Extension"); ext != "" {
		h.Set("Tus-Extension", ext+",expiration,checksum")
		h.Set("Tus-Checksum-Algorithm", algorithmNames())
	}
	if h.Get("Location") != "" && a.x.upload != "" {
		// A path without a host is right behind every proxy (RFC 9110 section 10.2.2).
		h.Set("Location", a.base+a.x.upload)
	}
	if a.held = status >= http.StatusBadRequest; a.held {
		return
	}
	if !a.x.expires.IsZero() {
		a.expiry()
	}
	if a.x.method == http.MethodHead {
		// tusd sets the file's size, but the answer has no body.
		h.Del("Content-Length")
	}
	a.ResponseWriter.WriteHeader(status)
}

// expiry sets when the upload expires, in the format of RFC 9110 section 5.6.7.
func (a *answer) expiry() {
	a.Header().Set("Upload-Expires", a.x.expires.UTC().Format(http.TimeFormat))
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if a.held {
		a.text = append(a.text, b[:min(len(b), maxText-len(a.text))]...)
		return len(b), nil
	}
	return a.ResponseWriter.Write(b)
}

// finish sends the problem that WriteHeader and Write held back.
func (a *answer) finish() {
	if !a.held {
		a.x.problem = nil // the request succeeded after the fault
		return
	}
	if a.x.problem == nil {
		a.x.problem = fromTus(a.status, string(a.text))
	}
	a.status = a.x.problem.Status
	switch slug := a.x.problem.Slug(); {
	case a.status == http.StatusPreconditionFailed:
		a.Header().Set("Tus-Version", wire.TusVersion)
	case (slug == wire.SlugOffsetConflict || slug == wire.SlugChecksumMismatch) && a.x.method == http.MethodPatch &&
		!a.x.expires.IsZero():
		a.expiry() // the upload can continue
	}
	writeProblem(a.ResponseWriter, a.x.problem)
}
