// Package web is the HTTP server of the cloud: the REST API, server-sent events, the
// page, health, metrics, and the route to the uploads. It is the only package that uses
// Fiber and fasthttp, and no *fiber.Ctx leaves it.
//
// # Streaming
//
// fasthttp by default buffers bodies and sets one read deadline for a whole request. It
// reads up to 8 KiB of a streamed body before the handler runs. It reports a cut body as its
// end, and reads unread body bytes as the next request. The bridge in this package solves
// each of these:
//   - Bodies stream, and every read has its own deadline.
//   - At most one byte is read before the handler runs.
//   - A cut body ends with io.ErrUnexpectedEOF.
//   - A connection with unread body bytes is closed after the answer.
//
// # Who reads what
//
// A request with the token of a device reads only what that device uploaded. Other requests
// with a token read everything. Requests without one read nothing but the page's files, health and readiness, unless the
// server is open for reading (Options.OpenReading).
package web
