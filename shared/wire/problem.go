package wire

import (
	"maps"
	"slices"
	"strings"
)

// ProblemMedia is the media type of a Problem.
const ProblemMedia = "application/problem+json"

// Problem is the body of every error answer (RFC 9457). Programs decide by Type
// and Status. Detail is for people: what is wrong and what to do about it.
type Problem struct {
	Type      string `json:"type"` // see Slug.Type
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	RequestID string `json:"request_id,omitempty"` // finds the request in the server's log
}

const problemPath = "/problems/"

// Slug names a kind of problem; it is the end of Problem.Type.
type Slug string

// Slugs of every problem that the cloud answers with.
const (
	SlugBadMetadata      Slug = "bad-metadata"
	SlugBadRange         Slug = "bad-range"
	SlugBadRequest       Slug = "bad-request"
	SlugBusy             Slug = "busy"
	SlugChecksumMismatch Slug = "checksum-mismatch"
	SlugConflict         Slug = "conflict" // with an upload: the footage id is in use, choose another one
	SlugEmpty            Slug = "empty"
	SlugForbidden        Slug = "forbidden"
	SlugHashMismatch     Slug = "hash-mismatch"
	SlugHeadersTooLarge  Slug = "headers-too-large"
	SlugInternal         Slug = "internal"
	SlugLeakedPassword   Slug = "leaked-password" // attackers try it first
	SlugMethodNotAllowed Slug = "method-not-allowed"
	SlugNoAnswer         Slug = "no-answer"
	SlugNoDirectLinks    Slug = "no-direct-links"
	SlugNoSecondFactor   Slug = "no-second-factor" // the role needs one, and the person has none
	SlugNoSpace          Slug = "no-space"
	SlugNotAPicture      Slug = "not-a-picture"
	SlugNotAVideo        Slug = "not-a-video"
	SlugNotFound         Slug = "not-found"
	SlugNotReady         Slug = "not-ready"
	SlugOffsetConflict   Slug = "offset-conflict"
	SlugSecondFactor     Slug = "second-factor" // the code of the second factor is missing or wrong
	SlugStale            Slug = "stale"         // the change is of an older version
	SlugStopping         Slug = "stopping"
	SlugTimeout          Slug = "timeout"
	SlugTooLarge         Slug = "too-large"
	SlugTooManyGuesses   Slug = "too-many-guesses"
	SlugTooManyListeners Slug = "too-many-listeners"
	SlugUnauthorised     Slug = "unauthorised"
	SlugUnreachable      Slug = "unreachable"
	SlugUploadGone       Slug = "upload-gone"
	SlugWrongHost        Slug = "wrong-host"
)

// slugs is the one table of problems: the title of each, the status that it
// usually has, and the other statuses that it may have.
var slugs = map[Slug]struct {
	title    string
	statuses []int
}{
	SlugBadMetadata:      {"The upload request is not valid", []int{400, 412, 415, 501}},
	SlugBadRange:         {"The range lies outside the document", []int{416}},
	SlugBadRequest:       {"The request is not valid", []int{400}},
	SlugBusy:             {"The server is busy", []int{503}},
	SlugChecksumMismatch: {"The body does not match its checksum", []int{460}}, // a status of tus 1.0
	SlugConflict:         {"The request conflicts with the present state", []int{409, 423, 429}},
	SlugEmpty:            {"The file is empty", []int{422}},
	SlugForbidden:        {"The token does not allow this", []int{403}},
	SlugHashMismatch:     {"The file does not match its digest", []int{422}},
	SlugHeadersTooLarge:  {"The request headers are too large", []int{431}},
	SlugInternal:         {"The server failed", []int{500}},
	SlugLeakedPassword:   {"The password is easy to guess", []int{422}},
	SlugMethodNotAllowed: {"The method is not allowed here", []int{405}},
	SlugNoAnswer:         {"The station did not answer", []int{504}},
	SlugNoDirectLinks:    {"The storage has no direct links", []int{501}},
	SlugNoSecondFactor:   {"A second factor must be set up", []int{401}},
	SlugNoSpace:          {"The storage is full", []int{507}},
	SlugNotAPicture:      {"The file is not a picture", []int{415}},
	SlugNotAVideo:        {"The file is not a video", []int{415}},
	SlugNotFound:         {"Not found", []int{404}},
	SlugNotReady:         {"The service is not ready", []int{503}},
	SlugOffsetConflict:   {"The offset is wrong", []int{409}},
	SlugSecondFactor:     {"A code of the second factor is required", []int{401}},
	SlugStale:            {"The document has changed meanwhile", []int{412}},
	SlugStopping:         {"The service is stopping", []int{503}},
	SlugTimeout:          {"The request took too long", []int{408}},
	SlugTooLarge:         {"The request is too large", []int{413}},
	SlugTooManyGuesses:   {"Too many log-ins failed", []int{429}},
	SlugTooManyListeners: {"Too many listeners", []int{503}},
	SlugUnauthorised:     {"A valid token is required", []int{401}},
	SlugUnreachable:      {"The database or the storage does not answer", []int{503}},
	SlugUploadGone:       {"The upload does not exist", []int{404}},
	SlugWrongHost:        {"The server has another name", []int{421}},
}

// Slugs returns every slug in alphabetical order.
func Slugs() []Slug { return slices.Sorted(maps.Keys(slugs)) }

// Type is the Problem.Type of the slug.
func (s Slug) Type() string { return problemPath + string(s) }

// Title says what the problem is, in a few words.
func (s Slug) Title() string { return slugs[s].title }

// Status is the HTTP status that the problem usually has.
func (s Slug) Status() int { return slugs[s].statuses[0] }

// Allows reports whether the problem may have this HTTP status.
func (s Slug) Allows(status int) bool { return slices.Contains(slugs[s].statuses, status) }

// NewProblem returns the document of a slug of the table, with its usual status.
func NewProblem(s Slug, detail string) Problem {
	return Problem{Type: s.Type(), Title: s.Title(), Status: s.Status(), Detail: detail}
}

// Slug is the end of the Type, "" when the Type is not one of this contract.
func (p Problem) Slug() Slug {
	s, ok := strings.CutPrefix(p.Type, problemPath)
	if !ok {
		return ""
	}
	return Slug(s)
}
