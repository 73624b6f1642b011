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

	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// Classes of the cloud's answers, for errors.Is.
var (
	// ErrToken means that the cloud refuses the device's token.
	ErrToken = errors.New("token refused")
	// ErrNotFound means that the cloud does not know the upload or the footage.
	ErrNotFound = errors.New("the cloud does not know it")
	// ErrOffset means that the cloud has another number of bytes than assumed.
	ErrOffset = errors.New("offset conflict")
	// ErrRefused means that the cloud will never accept this footage as it is.
	ErrRefused = errors.New("refused by the cloud")
	// ErrHash is the ErrRefused of content that arrived with another digest.
	ErrHash = fmt.Errorf("content arrived damaged: %w", ErrRefused)
	// ErrIDTaken is the ErrRefused of a footage id that the cloud uses for other content, or
	// that belongs to another device. The footage may be sent under a new id.
	ErrIDTaken = fmt.Errorf("the cloud has other footage under this id: %w", ErrRefused)
	// ErrBusy means that the cloud cannot accept it now.
	ErrBusy = errors.New("cloud is busy")
	// ErrLink means that no answer arrived.
	ErrLink = errors.New("link is down")
	// ErrUnexpected marks an answer outside the protocol, from a proxy, a portal or another
	// server.
	ErrUnexpected = errors.New("unexpected answer")
)

const (
	maxProblem = 64 << 10
	maxDetail  = 300
)

// ParseProblem reads a problem document. Any other body becomes the detail of one.
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

// OneLine makes one line of foreign text: without line breaks, and with escapes for control, bidirectional and invisible
// characters.
func OneLine(s string) string {
	isBreak := func(r rune) bool { return r <= ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 }
	return footage.SafeText(strings.Join(strings.FieldsFunc(s, isBreak), " "))
}

// oneLine shortens foreign text for a log line, a table and a topic.
func oneLine(s string) string {
	s = OneLine(s)
	if r := []rune(s); len(r) > maxDetail {
		s = string(r[:maxDetail]) + "…"
	}
	return s
}

// Answer is an answer with another status than the expected one. It unwraps to one of the
// classes above.
type Answer struct {
	Problem wire.Problem
	// RetryAfter is the wait that the server asks for, 0 for none.
	RetryAfter time.Duration
	class      error
}

// Error implements error.
func (a *Answer) Error() string {
	return fmt.Sprintf("%v: %s (HTTP %d)", a.class, a.Problem.Detail, a.Problem.Status)
}

// Unwrap implements errors.Unwrap.
func (a *Answer) Unwrap() error { return a.class }

// classes is the class of each HTTP status.
var classes = map[int]error{
	http.StatusUnauthorized:          ErrToken,
	http.StatusForbidden:             ErrToken,
	http.StatusNotFound:              ErrNotFound,
	http.StatusGone:                  ErrNotFound,
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
		return ErrIDTaken
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
	return ErrUnexpected
}

// answer makes an error of an answer with another status than the expected one.
func answer(r *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxProblem))
	p := ParseProblem(r.StatusCode, body)
	if to := r.Header.Get("Location"); to != "" && r.StatusCode/100 == 3 {
		p.Detail = "it redirects to " + oneLine(to) + "; set cloud.url to the API's address"
	}
	return &Answer{Problem: p, RetryAfter: retryAfter(r.Header.Get("Retry-After")), class: classOf(p)}
}

// retryAfter reads a number of seconds (RFC 9110 section 10.2.3). It ignores a date, because
// this device's clock may be wrong.
func retryAfter(s string) time.Duration {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, longestWait)
}
