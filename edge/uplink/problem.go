package uplink

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cattlecounter/shared/wire"
)

// Errors of the cloud's answers, for errors.Is.
var (
	// ErrToken says that the cloud does not take the device's token.
	ErrToken = errors.New("token refused")
	// ErrGone says that the upload is not, or no longer, known to the cloud.
	ErrGone = errors.New("upload is gone")
	// ErrOffset says that the cloud has another number of bytes than was assumed.
	ErrOffset = errors.New("offset conflict")
	// ErrRefused says that the cloud will never take this footage as it is.
	ErrRefused = errors.New("refused by the cloud")
	// ErrHash is the ErrRefused of content that arrived with another digest.
	ErrHash = fmt.Errorf("content arrived damaged: %w", ErrRefused)
	// ErrTaken is the ErrRefused of a footage ID that the cloud knows with other
	// content, or from another device.
	ErrTaken = fmt.Errorf("footage id is taken: %w", ErrRefused)
	// ErrBusy says that the cloud cannot take it now.
	ErrBusy = errors.New("cloud is busy")
	// ErrLink says that no answer came through.
	ErrLink = errors.New("link is down")
	// ErrOdd marks an answer that this protocol does not have: a proxy, a portal
	// page, or the address of something else.
	ErrOdd = errors.New("unexpected answer")
)

const (
	maxProblem = 64 << 10
	maxDetail  = 300
)

// ParseProblem reads a problem document; anything else becomes one whose detail
// is the beginning of the text.
func ParseProblem(status int, body []byte) wire.Problem {
	var p wire.Problem
	if err := json.Unmarshal(body, &p); err != nil {
		p = wire.Problem{Detail: string(body)}
	}
	p.Status = status
	if p.Detail = oneLine(p.Detail); p.Detail == "" {
		p.Detail = oneLine(p.Title)
	}
	if p.Detail == "" {
		p.Detail = strings.ToLower(http.StatusText(status))
	}
	p.Type, p.Title = oneLine(p.Type), oneLine(p.Title)
	return p
}

// OneLine takes line breaks and control characters out of outside text.
func OneLine(s string) string {
	s = strings.ToValidUTF8(s, "?")
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 }), " ")
}

// oneLine makes outside text fit for a log line, a table and a topic.
func oneLine(s string) string {
	s = OneLine(s)
	if r := []rune(s); len(r) > maxDetail {
		s = string(r[:maxDetail]) + "…"
	}
	return s
}

// Answer is an answer that was not the wished one. It unwraps to one of the
// errors above.
type Answer struct {
	Problem wire.Problem
	// RetryAfter is what the server asked for, 0 when it did not.
	RetryAfter time.Duration
	class      error
}

// Error implements error.
func (a *Answer) Error() string {
	return fmt.Sprintf("%v: %s (HTTP %d)", a.class, a.Problem.Detail, a.Problem.Status)
}

// Unwrap implements errors.Unwrap.
func (a *Answer) Unwrap() error { return a.class }

// classes is the table from HTTP status to what it means for an upload.
var classes = map[int]error{
	http.StatusUnauthorized:          ErrToken,
	http.StatusForbidden:             ErrToken,
	http.StatusNotFound:              ErrGone,
	http.StatusGone:                  ErrGone,
	http.StatusConflict:              ErrOffset,
	http.StatusRequestEntityTooLarge: ErrRefused,
	http.StatusUnsupportedMediaType:  ErrRefused,
	http.StatusUnprocessableEntity:   ErrRefused,
	http.StatusRequestTimeout:        ErrBusy,
	http.StatusLocked:                ErrBusy,
	http.StatusTooEarly:              ErrBusy,
	http.StatusTooManyRequests:       ErrBusy,
}

func classOf(p wire.Problem) error {
	switch slug := p.Slug(); {
	case slug == wire.SlugHashMismatch:
		return ErrHash
	case slug == wire.SlugConflict && p.Status == http.StatusConflict:
		return ErrTaken
	case slug == wire.SlugNoSpace:
		return ErrBusy
	case slug == wire.SlugBadMetadata && p.Status == http.StatusBadRequest:
		return ErrRefused
	}
	if c, ok := classes[p.Status]; ok {
		return c
	}
	if p.Status >= http.StatusInternalServerError {
		return ErrBusy
	}
	return ErrOdd
}

// answer reads what the server said instead of the wished status.
func answer(r *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxProblem))
	p := ParseProblem(r.StatusCode, body)
	if to := r.Header.Get("Location"); to != "" && r.StatusCode/100 == 3 {
		p.Detail = "it redirects to " + oneLine(to) + "; set cloud.url to where the API is"
	}
	return &Answer{Problem: p, RetryAfter: retryAfter(r.Header.Get("Retry-After")), class: classOf(p)}
}

// retryAfter reads seconds only: a date means nothing to a device whose clock
// may be wrong (RFC 9110 section 10.2.3).
func retryAfter(s string) time.Duration {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, longestWait)
}
