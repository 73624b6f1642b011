package uplink

import (
	"crypto/x509"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// timeHints is told what the cloud's answers say about the time, and says what is
// known of it when a certificate does not hold by its dates.
type timeHints interface {
	// Answered takes the Date header of an answer, "" without one, and how long the
	// answer took.
	AddDate(date string, took time.Duration)
	// Certificate says why it does not hold, and whether the clock is to blame.
	Certificate(*x509.Certificate) (why string, clock bool)
}

// noHints is for who wants none.
type noHints struct{}

func (noHints) AddDate(string, time.Duration) {}

func (noHints) Certificate(c *x509.Certificate) (string, bool) {
	return "the certificate is valid from " + c.NotBefore.UTC().Format(time.DateOnly) + " to " + c.NotAfter.UTC().Format(time.DateOnly), true
}

// timed returns the request and what its answer is given to. The time begins when
// the connection is there, so that name server, dialling and TLS make the Date no
// less certain. A long body would: then it is not looked at.
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
			return // out of a cache: the Date is that of an earlier answer (RFC 9111 section 5.1)
		}
		c.clock.AddDate(r.Header.Get("Date"), time.Since(*began.Load()))
	}
}

// outOfDate says what is wrong with a certificate that the clock lies outside of.
func (c *Cloud) outOfDate(cert *x509.Certificate) string {
	why, clock := c.clock.Certificate(cert)
	if clock {
		return "it is a clock problem, set the clock: " + why
	}
	return "the cloud's certificate is over by more than this clock, have it renewed on the server: " + why
}
