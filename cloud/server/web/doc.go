// Package web is the HTTP face of the cloud: the REST API, server-sent events,
// the page, health and metrics, and the way in for uploads. It is the only
// package that knows Fiber and fasthttp, and no *fiber.Ctx leaves it.
//
// # Streaming
//
// fasthttp buffers bodies unless told otherwise, sets one read deadline for a
// whole request, reads up to 8 KiB of a streamed body before the handler runs,
// reports a cut body as its end, and after a handler that left body bytes
// unread takes these for the next request. The bridge in this package
// answers each: bodies stream, every read has its own deadline, at most one
// byte is waited for ahead of the handler, a cut is io.ErrUnexpectedEOF, and a
// connection with unread body bytes is closed after the answer was delivered.
package web
