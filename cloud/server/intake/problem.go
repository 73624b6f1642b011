package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tus/tusd/v2/pkg/handler"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
)

// Problem is an error as the client gets it (RFC 9457). Detail says what to do.
type Problem struct {
	Type   string `json:"type"` // /problems/ and a slug
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`

	retryAfter string // seconds, for the header
	cause      error  // for the log, never for the client
}

// ContentType of a Problem.
const ContentType = "application/problem+json"

// Slugs of the problems.
const (
	unauthorised     = "unauthorised"
	notAVideo        = "not-a-video"
	notAPicture      = "not-a-picture"
	tooLarge         = "too-large"
	empty            = "empty"
	hashMismatch     = "hash-mismatch"
	checksumMismatch = "checksum-mismatch"
	offsetConflict   = "offset-conflict"
	uploadGone       = "upload-gone"
	noSpace          = "no-space"
	badMetadata      = "bad-metadata"
	notFound         = "not-found"
	conflict         = "conflict"
	internal         = "internal"
)

const typePrefix = "/problems/"

var titles = map[string]string{
	unauthorised:     "Not allowed",
	notAVideo:        "Not a video",
	notAPicture:      "Not a picture",
	tooLarge:         "Too large",
	empty:            "Empty file",
	hashMismatch:     "File does not match its digest",
	checksumMismatch: "Checksum does not match",
	offsetConflict:   "Wrong offset",
	uploadGone:       "No such upload",
	noSpace:          "No space left",
	badMetadata:      "Request not understood",
	notFound:         "Not found",
	conflict:         "Conflict",
	internal:         "Server fault",
}

// problem makes a Problem; it is an error so that it can be passed up.
func problem(slug string, status int, detail string, args ...any) *Problem {
	return &Problem{Type: typePrefix + slug, Title: titles[slug], Status: status, Detail: fmt.Sprintf(detail, args...)}
}

// because notes what the log should say.
func (p *Problem) because(err error) *Problem {
	p.cause = err
	return p
}

func (p *Problem) retryIn(seconds string) *Problem {
	p.retryAfter = seconds
	return p
}

// Error implements error.
func (p *Problem) Error() string {
	s := strings.TrimPrefix(p.Type, typePrefix) + ": " + p.Detail
	if p.cause != nil {
		s += ": " + p.cause.Error()
	}
	return s
}

// Unwrap gives the cause.
func (p *Problem) Unwrap() error { return p.cause }

// slug labels the metric.
func (p *Problem) slug() string { return strings.TrimPrefix(p.Type, typePrefix) }

func (p *Problem) write(w http.ResponseWriter) {
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte("{}") // a struct of strings always encodes
	}
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	if p.retryAfter != "" {
		h.Set("Retry-After", p.retryAfter)
	}
	w.WriteHeader(p.Status)
	// A client that has gone cannot be told.
	_, _ = w.Write(body)
}

func goneProblem() *Problem {
	return problem(uploadGone, http.StatusNotFound, "This upload is unknown, expired or finished long ago. Begin a new one with POST.")
}

func interruptedProblem() *Problem {
	return problem(offsetConflict, http.StatusConflict,
		"The request ended before its last byte. What arrived is kept: ask for the offset with HEAD and go on from there.")
}

// asProblem maps the classes of errors of the parts below to problems.
func asProblem(err error) *Problem {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, blob.ErrNoSpace), errors.Is(err, ledger.ErrNoSpace):
		return problem(noSpace, http.StatusInsufficientStorage,
			"The server's disk is full. What arrived is kept: try again later, from the offset that HEAD tells.").because(err).retryIn("60")
	case errors.Is(err, blob.ErrTaken):
		return interruptedProblem().because(err)
	case errors.Is(err, blob.ErrOffset):
		return problem(offsetConflict, http.StatusConflict,
			"Upload-Offset is not where the upload ends. Ask for the offset with HEAD and go on from there.").because(err)
	case errors.Is(err, blob.ErrNotFound), errors.Is(err, ledger.ErrNotFound):
		return goneProblem().because(err)
	case errors.Is(err, ledger.ErrBusy), errors.Is(err, ledger.ErrUnreachable):
		return problem(internal, http.StatusServiceUnavailable, "The server is busy. Try again in a few seconds.").because(err).retryIn("5")
	case errors.Is(err, blob.ErrUnreachable):
		return problem(internal, http.StatusServiceUnavailable,
			"The server's storage does not answer. What arrived is kept: try again, from the offset that HEAD tells.").because(err).retryIn("5")
	}
	return problem(internal, http.StatusInternalServerError,
		"The server could not do this; its log says why. What arrived is kept: try again, from the offset that HEAD tells.").because(err)
}

// tusProblems maps what tusd itself refuses, by its error code.
var tusProblems = map[string]func() *Problem{
	handler.ErrUnsupportedVersion.ErrorCode: versionProblem,
	handler.ErrMaxSizeExceeded.ErrorCode:    sizeProblem,
	handler.ErrSizeExceeded.ErrorCode:       excessProblem,
	handler.ErrInvalidContentType.ErrorCode: func() *Problem {
		return problem(badMetadata, http.StatusUnsupportedMediaType, "Send PATCH with Content-Type: application/offset+octet-stream.")
	},
	handler.ErrInvalidUploadLength.ErrorCode: func() *Problem {
		return problem(badMetadata, http.StatusBadRequest, "Upload-Length must be the size of the whole file in bytes, said once.")
	},
	handler.ErrInvalidUploadDeferLength.ErrorCode: func() *Problem {
		return problem(badMetadata, http.StatusBadRequest, "Upload-Defer-Length must be 1, or be left out.")
	},
	handler.ErrUploadLengthAndUploadDeferLength.ErrorCode: func() *Problem {
		return problem(badMetadata, http.StatusBadRequest, "Send Upload-Length or Upload-Defer-Length, not both.")
	},
	handler.ErrInvalidOffset.ErrorCode: func() *Problem {
		return problem(badMetadata, http.StatusBadRequest, "Upload-Offset must be a number of bytes, 0 or more.")
	},
	handler.ErrMismatchOffset.ErrorCode:    func() *Problem { return asProblem(blob.ErrOffset) },
	handler.ErrNotFound.ErrorCode:          goneProblem,
	handler.ErrUploadInterrupted.ErrorCode: interruptedProblem,
	handler.ErrReadTimeout.ErrorCode:       interruptedProblem,
	handler.ErrConnectionReset.ErrorCode:   interruptedProblem,
	handler.ErrUnexpectedEOF.ErrorCode:     interruptedProblem,
	handler.ErrServerShutdown.ErrorCode: func() *Problem {
		return problem(internal, http.StatusServiceUnavailable, "The server is stopping. What arrived is kept: try again in a few seconds.").retryIn("5")
	},
	handler.ErrLockTimeout.ErrorCode: lockedProblem,
	handler.ErrFileLocked.ErrorCode:  lockedProblem,
	handler.ErrNotImplemented.ErrorCode: func() *Problem {
		return problem(badMetadata, http.StatusNotImplemented, "This server does not offer that part of the tus protocol: OPTIONS tells which it does.")
	},
}

// bodyFault is how tusd reports errors that it does not know. Those of our store
// it knows, which leaves those of the request's body.
const bodyFault = "ERR_INTERNAL_SERVER_ERROR"

func versionProblem() *Problem {
	return problem(badMetadata, http.StatusPreconditionFailed, "Send the header Tus-Resumable: %s.", tusVersion)
}

func excessProblem() *Problem {
	return problem(tooLarge, http.StatusRequestEntityTooLarge, "The request holds more bytes than the upload has left. Send only up to Upload-Length.")
}

func sizeProblem() *Problem {
	return problem(tooLarge, http.StatusRequestEntityTooLarge, "The file is larger than this server takes: OPTIONS tells the limit as Tus-Max-Size.")
}

func lockedProblem() *Problem {
	return problem(conflict, http.StatusLocked, "Another request for this upload is at work. Try again in a few seconds.").retryIn("5")
}

// fromTus turns an answer of tusd, whose body begins with its error code, into
// a problem.
func fromTus(status int, body string) *Problem {
	code, _, _ := strings.Cut(body, ":")
	if make, ok := tusProblems[code]; ok {
		return make()
	}
	if code == bodyFault {
		return interruptedProblem().because(fmt.Errorf("body: %s", body))
	}
	switch {
	case status == http.StatusMethodNotAllowed:
		return problem(notFound, status, "POST creates an upload here; an upload takes HEAD, PATCH and DELETE.")
	case status >= http.StatusInternalServerError:
		return asProblem(fmt.Errorf("tus handler: %s", body))
	}
	return problem(badMetadata, status, "The request does not follow the tus protocol 1.0.").because(fmt.Errorf("tus handler: %s", body))
}
