package intake

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/shared/wire"
)

// statusChecksumMismatch is the status of the checksum extension of tus 1.0.
const statusChecksumMismatch = 460

// maxChecked bounds a body with a checksum: it is written twice, and a cut loses all of
// it.
const maxChecked = 256 << 20

// algorithms by their tus names, the better one first. tus 1.0 requires sha1.
var algorithms = []struct {
	name string
	make func() hash.Hash
}{{"sha256", sha256.New}, {"sha1", sha1.New}}

// algorithmNames is the value of Tus-Checksum-Algorithm.
func algorithmNames() string {
	names := make([]string, len(algorithms))
	for i, a := range algorithms {
		names[i] = a.name
	}
	return strings.Join(names, ",")
}

// checksum is the expected hash of the body of one request.
type checksum struct {
	want []byte
	make func() hash.Hash
}

// parseChecksum reads the tus header Upload-Checksum: the name of an algorithm, one
// space, the digest in padded base64. Everything else is refused, above all an unknown
// algorithm: the bytes would not be checked.
func parseChecksum(header string) (checksum, error) {
	name, encoded, _ := strings.Cut(header, " ")
	for _, a := range algorithms {
		if a.name != name {
			continue
		}
		want, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if size := a.make().Size(); err != nil || len(want) != size || strings.ContainsAny(encoded, "\r\n") {
			return checksum{}, fmt.Errorf("want %s, a space and the base64 of %d bytes", name, size)
		}
		return checksum{want: want, make: a.make}, nil
	}
	return checksum{}, fmt.Errorf("algorithm %.20q is not offered, %s are", name, algorithmNames())
}

// readChecksum stores the expected hash in the exchange. An empty body is compared at
// once.
func (x *exchange) readChecksum(r *http.Request) *problem.Error {
	header, sent := r.Header["Upload-Checksum"]
	if !sent || x.method != http.MethodPatch && x.method != http.MethodPost {
		return nil
	}
	sum, err := parseChecksum(header[0])
	switch {
	case err != nil:
		return problem.New(wire.SlugBadMetadata, "Upload-Checksum: %v.", err)
	case r.ContentLength > maxChecked:
		return checkedSizeProblem()
	case r.ContentLength == 0 || r.Body == nil:
		if !bytes.Equal(sum.make().Sum(nil), sum.want) {
			return mismatchProblem()
		}
		return nil
	case x.method == http.MethodPost && r.Header.Get("Content-Type") != octets:
		return problem.New(wire.SlugBadMetadata,
			"Upload-Checksum covers the bytes of this request: send them with Content-Type: %s.", octets)
	}
	x.check = &check{checksum: sum, body: &source{ReadCloser: r.Body}}
	r.Body = x.check.body
	return nil
}

const octets = "application/offset+octet-stream"

// check is a checksum and the body that it covers.
type check struct {
	checksum
	body     *source
	compared bool // the body was compared with the checksum
}

// source records how a body ended; tusd does not pass that on.
type source struct {
	io.ReadCloser
	read  int64
	whole bool
}

// Read implements io.Reader.
func (s *source) Read(b []byte) (int, error) {
	n, err := s.ReadCloser.Read(b)
	s.read += int64(n)
	s.whole = errors.Is(err, io.EOF)
	return n, err
}

// checkedID names the staging in which a body waits for the comparison. It is not the id
// of a session, and is deleted with the bytes of its session.
func checkedID(id string) string { return id + ".checked" }

// appendChecked adds a body with a checksum. A Stager cannot remove bytes, so the body
// waits in a separate staging until the last byte is there and the digest matches, and
// then goes to the session. A body that was cut leaves nothing: bytes without a verified
// digest must not count.
func (up *upload) appendChecked(ctx context.Context, c *check, body *pump) (int64, error) {
	id := checkedID(up.u.ID)
	if err := up.in.blobs.Discard(ctx, id); err != nil { // left by a request that a crash ended
		return 0, err
	}
	if err := up.in.blobs.Stage(ctx, id); err != nil {
		return 0, err
	}
	n, err := up.appendVerified(ctx, id, c, body)
	if err != nil && up.offset == 0 && exchangeFrom(ctx).method == http.MethodPost {
		// The whole creation is refused: the client never learns the address.
		err = errors.Join(err, up.in.deleteSession(ctx, up.u))
	}
	return n, errors.Join(err, up.in.blobs.Discard(ctx, id))
}

func (up *upload) appendVerified(ctx context.Context, id string, c *check, body *pump) (int64, error) {
	sum := c.make()
	n, err := up.in.blobs.Append(ctx, id, 0, io.TeeReader(io.LimitReader(body, maxChecked+1), sum))
	switch {
	case err != nil:
		return 0, err
	case body.stopped.Load():
		return 0, droppedProblem()
	case n > maxChecked:
		return 0, checkedSizeProblem()
	case !up.u.Deferred && c.body.read > up.u.Size-up.offset:
		return 0, excessProblem()
	case !c.body.whole || c.body.read != n:
		return 0, droppedProblem()
	}
	c.compared = true
	if !bytes.Equal(sum.Sum(nil), c.want) {
		return 0, mismatchProblem()
	}
	r, err := up.in.blobs.OpenStaged(ctx, id, 0, n)
	if err != nil {
		return 0, err
	}
	n, err = up.append(ctx, r)
	return n, errors.Join(err, r.Close())
}

func mismatchProblem() *problem.Error {
	return problem.New(wire.SlugChecksumMismatch,
		"The bytes do not match Upload-Checksum. None of them count: send them again from the same offset.")
}

func droppedProblem() *problem.Error {
	return problem.New(wire.SlugOffsetConflict,
		"The request ended before its last byte. It has a checksum, so none of its bytes count: send them again from "+
			"the same offset.")
}

func checkedSizeProblem() *problem.Error {
	return problem.New(wire.SlugTooLarge,
		"A request with Upload-Checksum may have at most %d bytes. Send the file in several requests.", maxChecked)
}
