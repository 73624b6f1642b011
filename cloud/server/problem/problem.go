// Package problem turns the errors of the cloud into the problem documents of
// shared/wire, for the REST API and for the intake alike.
package problem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/faulttext"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// Error is an error that carries its answer. Detail goes to the client, the cause
// only into the log.
type Error struct {
	wire.Problem
	// RetryAfter is how many seconds the client should wait, 0 when waiting does not help.
	RetryAfter int
	cause      error
}

// New returns an error with a problem of the table. The format gives its detail:
// whole sentences that say what is wrong and what to do.
func New(slug wire.Slug, format string, args ...any) *Error {
	e := &Error{Problem: wire.NewProblem(slug, fmt.Sprintf(format, args...))}
	e.RetryAfter = retryAfter[e.Status]
	return e
}

// retryAfter is the wait in seconds by status: short for what passes by itself,
// longer for what a person may have to clear.
var retryAfter = map[int]int{
	http.StatusLocked:              5,
	http.StatusTooManyRequests:     60,
	http.StatusServiceUnavailable:  5,
	http.StatusInsufficientStorage: 60,
}

// WithStatus sets a status other than the usual one of the slug.
func (e *Error) WithStatus(status int) *Error {
	e.Status, e.RetryAfter = status, retryAfter[status]
	return e
}

// Because sets what the log should say.
func (e *Error) Because(cause error) *Error {
	e.cause = cause
	return e
}

// Error implements error.
func (e *Error) Error() string {
	s := string(e.Slug()) + ": " + e.Detail
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Failed reports a fault that an operator must look at: it belongs into the log as an
// error. A busy or full server, or one that stops, refuses a request like any other.
func (e *Error) Failed() bool {
	return e.cause != nil && (e.Slug() == wire.SlugInternal || e.Slug() == wire.SlugUnreachable)
}

// Interrupted is the detail of an offset conflict after a request that ended early.
const Interrupted = "The request ended before its last byte. The bytes that arrived are stored: ask for the offset " +
	"with HEAD and continue from there."

// classes is the one table from error classes to problems; the first class that
// fits counts. The detail is the error's own text, or public where that is set:
// then the text is for the log alone, because it may name hosts and paths.
var classes = []struct {
	class  error
	slug   wire.Slug
	public string
}{
	{ledger.ErrUnauthorised, wire.SlugUnauthorised, ""},
	// Before the two below: a server that lost an upload to another one no longer finds its blob.
	{blob.ErrTaken, wire.SlugOffsetConflict, Interrupted},
	{ledger.ErrNotFound, wire.SlugNotFound, ""},
	{blob.ErrNotFound, wire.SlugNotFound, ""},
	{job.ErrTransition, wire.SlugConflict, ""},
	{ledger.ErrExists, wire.SlugConflict, ""},
	{ledger.ErrLastAdmin, wire.SlugConflict, ""},
	{ledger.ErrLimit, wire.SlugConflict, ""},
	{ledger.ErrChanged, wire.SlugStale, ""},
	{ledger.ErrCursor, wire.SlugBadRequest, ""},
	{ledger.ErrLeaked, wire.SlugLeakedPassword, ""},
	{ledger.ErrInvalid, wire.SlugBadRequest, ""},
	{footage.ErrInvalid, wire.SlugBadRequest, ""},
	{boundary.ErrInvalid, wire.SlugBadRequest, ""},
	{blob.ErrOffset, wire.SlugOffsetConflict,
		"Upload-Offset is not where the upload ends. Ask for the offset with HEAD and continue from there."},
	{ledger.ErrNoSpace, wire.SlugNoSpace, "The disk of the server is full."},
	{blob.ErrNoSpace, wire.SlugNoSpace, "The disk of the server is full."},
	{ledger.ErrUnreachable, wire.SlugUnreachable,
		"The service cannot reach its database. It continues by itself when the database is back."},
	{blob.ErrUnreachable, wire.SlugUnreachable,
		"The service cannot reach its storage. It continues by itself when the storage is back."},
	{ledger.ErrBusy, wire.SlugBusy, "The database is busy. Try again in a few seconds."},
	{context.Canceled, wire.SlugStopping, "The service is stopping. Try again in a few seconds."},
	{context.DeadlineExceeded, wire.SlugBusy, "The service did not finish in time. Try again in a few seconds."},
}

// Of returns the answer to an error: its own when it is an *Error, else that of
// its class. An error without a class is a fault of the server.
func Of(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	for _, c := range classes {
		if !errors.Is(err, c.class) {
			continue
		}
		if c.public == "" {
			return New(c.slug, "%s", faulttext.Of(err))
		}
		return New(c.slug, "%s", c.public).Because(err)
	}
	return Internal(err)
}

// Internal is the answer to a fault of the server; the cause is for the log alone.
func Internal(cause error) *Error {
	return New(wire.SlugInternal, "The server failed. Its log has the reason.").Because(cause)
}

// SetHeaders sets the headers that every answer with a problem has.
func (e *Error) SetHeaders(set func(key, value string)) {
	set("Content-Type", wire.ProblemMedia)
	set("Cache-Control", "no-store")
	if e.RetryAfter > 0 {
		set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	if e.Status == http.StatusUnauthorized {
		set("WWW-Authenticate", `Bearer realm="cattlecounter"`)
	}
}

// Body is the problem document.
func (e *Error) Body() []byte {
	body, err := json.Marshal(e.Problem)
	if err != nil {
		panic(err) // a struct of strings always encodes
	}
	return body
}
