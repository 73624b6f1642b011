package intake

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tus/tusd/v2/pkg/handler"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

// bytesStoredSentence ends the answers to faults that pass: nothing that arrived is lost.
const bytesStoredSentence = " The bytes that arrived are stored: try again from the offset that HEAD returns."

func writeProblem(w http.ResponseWriter, p *problem.Error) {
	w.Header().Del("Content-Length")
	p.SetHeaders(w.Header().Set)
	w.WriteHeader(p.Status)
	_, _ = w.Write(p.Body()) // fails only when the client is gone
}

func uploadGoneProblem() *problem.Error {
	return problem.New(wire.SlugUploadGone,
		"This upload is unknown, expired or was finished long ago. Create a new one with POST.")
}

func interruptedProblem() *problem.Error {
	return problem.New(wire.SlugOffsetConflict, problem.Interrupted)
}

// asProblem answers an error of the parts below. For a client of the intake, what
// is not found is its upload.
func asProblem(err error) *problem.Error {
	var p *problem.Error
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, blob.ErrTaken): // before ErrNotFound, which it may wrap
	case errors.Is(err, blob.ErrNotFound), errors.Is(err, ledger.ErrNotFound):
		return uploadGoneProblem().Because(err)
	}
	p = problem.Of(err)
	if p.Slug() == wire.SlugConflict || p.Slug() == wire.SlugBadRequest {
		// The intake has checked the request: what the ledger refuses now is a fault of the server. A station gives
		// footage up after a conflict and tries again after a fault.
		p = problem.Internal(err)
	}
	if p.Status >= http.StatusInternalServerError {
		p.Detail += bytesStoredSentence
	}
	return p
}

// tusProblems are the answers to what tusd itself refuses, by its error code.
var tusProblems = map[string]func() *problem.Error{
	handler.ErrUnsupportedVersion.ErrorCode: versionProblem,
	handler.ErrMaxSizeExceeded.ErrorCode:    sizeProblem,
	handler.ErrSizeExceeded.ErrorCode:       excessProblem,
	handler.ErrInvalidContentType.ErrorCode: func() *problem.Error {
		return problem.New(wire.SlugBadMetadata,
			"Send PATCH with Content-Type: application/offset+octet-stream.").WithStatus(http.StatusUnsupportedMediaType)
	},
	handler.ErrInvalidUploadLength.ErrorCode: func() *problem.Error {
		return problem.New(wire.SlugBadMetadata, "Upload-Length must be the size of the whole file in bytes.")
	},
	handler.ErrInvalidUploadDeferLength.ErrorCode: func() *problem.Error {
		return problem.New(wire.SlugBadMetadata, "Upload-Defer-Length must be 1, or be left out.")
	},
	handler.ErrUploadLengthAndUploadDeferLength.ErrorCode: func() *problem.Error {
		return problem.New(wire.SlugBadMetadata, "Send Upload-Length or Upload-Defer-Length, not both.")
	},
	handler.ErrInvalidOffset.ErrorCode: func() *problem.Error {
		return problem.New(wire.SlugBadMetadata, "Upload-Offset must be a number of bytes, 0 or more.")
	},
	handler.ErrMismatchOffset.ErrorCode:    func() *problem.Error { return asProblem(blob.ErrOffset) },
	handler.ErrNotFound.ErrorCode:          uploadGoneProblem,
	handler.ErrUploadInterrupted.ErrorCode: interruptedProblem,
	handler.ErrReadTimeout.ErrorCode:       interruptedProblem,
	handler.ErrConnectionReset.ErrorCode:   interruptedProblem,
	handler.ErrUnexpectedEOF.ErrorCode:     interruptedProblem,
	handler.ErrServerShutdown.ErrorCode: func() *problem.Error {
		return problem.New(wire.SlugStopping, "The server is stopping."+bytesStoredSentence)
	},
	handler.ErrLockTimeout.ErrorCode: lockedProblem,
	handler.ErrFileLocked.ErrorCode:  lockedProblem,
	handler.ErrNotImplemented.ErrorCode: func() *problem.Error {
		return problem.New(wire.SlugBadMetadata,
			"This server does not offer that part of the tus protocol: OPTIONS lists the extensions that it offers.").
			WithStatus(http.StatusNotImplemented)
	},
}

// bodyFault is the code of errors that tusd does not know. It knows those of our store,
// so this one is an error of the request's body.
const bodyFault = "ERR_INTERNAL_SERVER_ERROR"

func versionProblem() *problem.Error {
	return problem.New(wire.SlugBadMetadata,
		"Send the header Tus-Resumable: %s.", wire.TusVersion).WithStatus(http.StatusPreconditionFailed)
}

func excessProblem() *problem.Error {
	return problem.New(wire.SlugTooLarge,
		"The request has more bytes than the upload has left. Send bytes up to Upload-Length only.")
}

func sizeProblem() *problem.Error {
	return problem.New(wire.SlugTooLarge,
		"The file is larger than this server accepts: OPTIONS returns the limit as Tus-Max-Size.")
}

func lockedProblem() *problem.Error {
	return problem.New(wire.SlugConflict,
		"Another request for this upload is running. Try again in a few seconds.").WithStatus(http.StatusLocked)
}

// fromTus turns an answer of tusd into a problem. Its body begins with an error code.
func fromTus(status int, body string) *problem.Error {
	code, _, _ := strings.Cut(body, ":")
	if make, ok := tusProblems[code]; ok {
		return make()
	}
	if code == bodyFault {
		return interruptedProblem().Because(fmt.Errorf("body: %s", body))
	}
	switch {
	case status == http.StatusMethodNotAllowed:
		return problem.New(wire.SlugMethodNotAllowed,
			"POST creates an upload here; an upload takes HEAD, PATCH and DELETE.")
	case status >= http.StatusInternalServerError:
		return asProblem(fmt.Errorf("tus handler: %s", body))
	}
	return problem.New(wire.SlugBadMetadata,
		"The request does not follow the tus protocol 1.0.").WithStatus(status).Because(fmt.Errorf("tus handler: %s", body))
}
