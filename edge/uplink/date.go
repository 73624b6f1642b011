package uplink

import (
	"crypto/x509"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// timeHints collects the time from the cloud's answers, and explains certificates that are
// not valid by their dates.
type timeHints interface {
	// AddDate adds the Date header of an answer, "" without one. took is how long the
	// answer took.
	AddDate(date string, took time.Duration)
	// Certificate explains why a certificate is not valid, and whether the clock is the
	// cause.
	Certificate(*x509.Certificate) (why string, clock bool)
}

// noHints ignores the time.
type noHints struct{}

func (noHints) AddDate(string, time.Duration) {}

func (noHints) Certificate(c *x509.Certificate) (string, bool) {
	return "the certificate is valid from " + c.NotBefore.UTC().Format(time.DateOnly) + " to " + c.NotAfter.UTC().Format(time.DateOnly),
		true
}

// timed returns the request and a function for its answer, which adds the answer's Date.
// The time starts with the connection, so that lookup, dialing and TLS do not make the
// Date less certain. Answers to requests with a body are ignored, because a long body
// would.
func (c *Cloud) timed(req *http.Request) (*http.Request, func(*http.Response)) {
	if req.Body != nil {
		return req, func(*http.Response) {}
	}
	var began atomic.Pointer[time.Time]
	start := func() { now := time.Now(); began.Store(&now) }
	start()
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { start() }}
	return req.WithContext(httptrace.WithClientTrace(req.Context(), trace)), func(r *http.Response) {
		if r.Header.Get("Age") != "" {
			return // from a cache: the Date is of an earlier answer (RFC 9111 section 5.1)
		}
		c.clock.AddDate(r.Header.Get("Date"), time.Since(*began.Load()))
	}
}

// outOfDate explains a certificate that is not valid at the time of the clock.
func (c *Cloud) outOfDate(cert *x509.Certificate) string {
	why, clock := c.clock.Certificate(cert)
	if clock {
		return "it is a clock problem, set the clock: " + why
	}
	return "the cloud's certificate has expired, renew it on the server: " + why
}
