package web

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/shared/wire"
)

// Requests that two servers on the way could read in two ways are refused, because one of them would take a part of a
// body for a request (RFC 9112 section 11.2). fasthttp accepts several of them, so the head is read here once more.

// admissible refuses an ambiguous request and one for another host. It looks at the head as it came.
func (s *Server) admissible(c *fiber.Ctx) error {
	h := &c.Context().Request.Header
	if err := checkHead(string(h.Protocol()), h.RequestURI(), h.RawHeaders()); err != nil {
		closeAfter(c)
		return err
	}
	if !s.hosts.allows(string(h.Host())) {
		closeAfter(c)
		return problem.New(wire.SlugWrongHost, "This server does not answer for the name %.80q. Use the address of "+
			"http.public_url, or add the name to http.hosts in its configuration.", h.Host())
	}
	return nil
}

// checkHead reads the lines of a request head, which end with an empty one. The error is a problem.
func checkHead(protocol string, target, lines []byte) error {
	if protocol != "HTTP/1.1" && protocol != "HTTP/1.0" {
		return badRequest("The version %.20q is not HTTP/1.1.", protocol)
	}
	if len(target) == 0 || target[0] != '/' && string(target) != "*" || bytes.ContainsFunc(target, func(r rune) bool {
		return r <= ' ' || r == 0x7f
	}) {
		return badRequest("The request target must begin with / and have no spaces.")
	}
	var hosts, lengths, encodings int
	for len(lines) > 0 {
		line, rest, _ := bytes.Cut(lines, []byte("\n"))
		lines = rest
		text, ended := bytes.CutSuffix(line, []byte("\r"))
		if len(text) == 0 && len(rest) == 0 {
			break
		}
		name, value, ok := bytes.Cut(text, []byte(":"))
		if !ended || !ok || !isToken(name) || bytes.ContainsFunc(value, isControl) {
			return badRequest("The header line %.40q is not valid. Each is NAME: VALUE on one line that ends with CR LF.", text)
		}
		value = bytes.Trim(value, " \t")
		switch strings.ToLower(string(name)) {
		case "host":
			hosts++
		case "content-length":
			lengths++
			if len(value) == 0 || bytes.ContainsFunc(value, func(r rune) bool { return r < '0' || r > '9' }) {
				return badRequest("Content-Length %.40q is not a number.", value)
			}
		case "transfer-encoding":
			encodings++
			if !strings.EqualFold(string(value), "chunked") || protocol != "HTTP/1.1" {
				return badRequest("Transfer-Encoding %.40q is not chunked, or the request is not HTTP/1.1.", value)
			}
		}
	}
	switch {
	case hosts > 1 || hosts == 0 && protocol == "HTTP/1.1":
		return badRequest("The request needs one Host header and has %d.", hosts)
	case lengths > 1 || encodings > 1 || lengths+encodings > 1:
		return badRequest("The length of the body is given %d times. Send Content-Length or Transfer-Encoding, once.",
			lengths+encodings)
	}
	return nil
}

// isToken reports a field name (RFC 9110 section 5.6.2).
func isToken(name []byte) bool {
	return len(name) > 0 && !bytes.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') &&
			!strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// malformed reports whether a read of a chunked body failed on bytes that are no chunk.
func malformed(err error) bool {
	var network net.Error
	var broken fasthttp.ErrBrokenChunk
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &network):
		return false
	case errors.As(err, &broken):
		return true
	}
	return strings.Contains(err.Error(), "hex number") || strings.Contains(err.Error(), "trailer")
}

// hosts are the names that the server answers for.
type hosts []string

// allows reports whether a Host header names this server. A page of another site that makes its own name point to this
// server (DNS rebinding) needs a name: an IP address and localhost cannot be made to.
func (h hosts) allows(header string) bool {
	name := header
	if strings.HasPrefix(header, "[") != strings.Contains(header, "]") {
		return false
	}
	if host, port, err := net.SplitHostPort(header); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return false
		}
		name = host
	}
	name = strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"), "."))
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" {
		return true
	}
	return slices.Contains(h, name)
}
