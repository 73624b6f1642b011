package web

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/shared/wire"
)

// maxBridged bounds the answer of a bridged handler: it is in memory.
const maxBridged = 256 << 10

// bridgedKey marks a request whose body the bridge reads or closes.
const bridgedKey = "bridged"

var errAnswerTooLong = errors.New("answer is too long for the bridge")

// bridge runs a net/http handler inside a Fiber route. It streams the request body and
// sends the answer when the handler has returned.
type bridge struct {
	idle time.Duration
	// context, when set, adds to the request's context.
	context func(*fiber.Ctx, context.Context) context.Context
	// until, when set, returns a context that ends earlier than the server, and its release.
	until func(context.Context) (context.Context, func())
	// received is called with the bytes of every read of a body.
	received func(int)
}

func (br *bridge) serve(c *fiber.Ctx, h http.Handler) error {
	c.Locals(bridgedKey, true)
	fctx := c.Context()
	body := br.body(fctx)
	// A stop of the server interrupts the request with its body.
	base := stopping(c.UserContext())
	if br.until != nil {
		followed, release := br.until(base)
		defer release()
		base = followed
	}
	ctx, cancel := context.WithCancel(base)
	defer cancel()
	defer context.AfterFunc(base, func() { _ = body.interrupt(context.Cause(base)) })()
	if br.context != nil {
		ctx = br.context(c, ctx)
	}
	r, err := request(ctx, fctx, body)
	if err != nil {
		return err
	}
	w := &answer{body: body, header: http.Header{}}
	defer body.finish()
	h.ServeHTTP(w, r)
	body.finish()
	if !body.drained() || body.length < 0 {
		closeAfter(c) // servers read the end of a chunked body in more than one way
	}
	if errors.Is(context.Cause(base), errRevoked) {
		closeAfter(c)
		return problem.New(wire.SlugUnauthorised, "The token or the session ended while the request was running.")
	}
	if body.length < 0 && !body.cut() && malformed(body.end) {
		return badRequest("The chunks of the body are not valid. The bytes before the fault are stored.")
	}
	w.copyTo(&fctx.Response)
	return nil
}

func (br *bridge) body(fctx *fasthttp.RequestCtx) *body {
	b := &body{conn: fctx.Conn(), idle: br.idle, count: br.received, cut: func() bool { return false }}
	if cc, ok := fctx.Conn().(*conn); ok {
		b.cut = cc.sawEOF.Load
	}
	b.length = int64(fctx.Request.Header.ContentLength())
	b.src = fctx.RequestBodyStream()
	if b.src == nil || b.length < -1 {
		b.src, b.length = bytes.NewReader(nil), 0
	}
	return b
}

// closeAfter closes the connection after the answer.
func closeAfter(c *fiber.Ctx) {
	c.Context().Response.SetConnectionClose()
	if cc, ok := c.Context().Conn().(*conn); ok {
		cc.linger.Store(true)
	}
}

// request copies everything out of fasthttp: goroutines of the handler may live longer
// than the RequestCtx.
func request(ctx context.Context, fctx *fasthttp.RequestCtx, b *body) (*http.Request, error) {
	uri := string(fctx.RequestURI())
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		return nil, badRequest("The request target is not valid: %v.", err)
	}
	r := &http.Request{
		Method: string(fctx.Method()), URL: u, RequestURI: uri,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Host: string(fctx.Host()), RemoteAddr: fctx.RemoteAddr().String(),
		Body: b, ContentLength: b.length,
	}
	fctx.Request.Header.VisitAll(func(k, v []byte) {
		switch key := http.CanonicalHeaderKey(string(k)); key {
		case "Host":
		case "Transfer-Encoding":
			r.TransferEncoding = append(r.TransferEncoding, string(v))
		default:
			r.Header.Add(key, string(v))
		}
	})
	if b.length == 0 {
		r.Body = http.NoBody
	}
	return r.WithContext(ctx), nil
}

// answer is the http.ResponseWriter of the bridge. It has the methods SetReadDeadline and
// SetWriteDeadline for http.ResponseController.
type answer struct {
	body   *body
	header http.Header
	status int
	sent   http.Header // a copy of the header at WriteHeader
	text   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. It drops informational answers: nothing is
// sent before the handler returns.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 || status < http.StatusOK {
		return
	}
	a.status, a.sent = status, a.header.Clone()
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.text.Len()+len(p) > maxBridged {
		return 0, errAnswerTooLong
	}
	return a.text.Write(p)
}

// SetReadDeadline is for http.ResponseController.
func (a *answer) SetReadDeadline(t time.Time) error { return a.body.setReadDeadline(t) }

// SetWriteDeadline is for http.ResponseController and does nothing: the server sets its
// own deadline when it sends the answer.
func (a *answer) SetWriteDeadline(time.Time) error { return nil }

func (a *answer) copyTo(resp *fasthttp.Response) {
	a.WriteHeader(http.StatusOK)
	resp.SetStatusCode(a.status)
	for k, vs := range a.sent {
		switch k {
		case "Content-Length", "Transfer-Encoding":
			continue
		case "Connection":
			resp.SetConnectionClose()
			continue
		}
		resp.Header.Del(k)
		for _, v := range vs {
			resp.Header.Add(k, v)
		}
	}
	resp.SetBody(a.text.Bytes())
}
