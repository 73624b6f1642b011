// Package fakecloud is the intake and footage API of the cloud in memory, for tests. It stores digests instead of
// bytes. Tests make it fail in every way that the edge must survive. It answers with the types of shared/wire, as the
// real server does, which deploy/contract tests.
package fakecloud

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// Upload is one tus upload.
type Upload struct {
	// turn is held by a PATCH until its connection ends: bytes that a cut PATCH left in
	// the buffers arrive before the next request is answered.
	turn         sync.Mutex
	Size, Offset int64
	Meta         wire.Metadata
	Raw          map[string]string // Upload-Metadata without interpretation
	sum          hash.Hash
	block        hash.Hash // sum at the last whole block
}

// write adds bytes and stores the digest at every whole block.
func (u *Upload) write(b []byte, block int64) {
	for len(b) > 0 {
		n := int64(len(b))
		if block > 1 {
			n = min(n, block-u.Offset%block)
		}
		u.sum.Write(b[:n])
		u.Offset += n
		b = b[n:]
		if block > 1 && u.Offset%block == 0 {
			u.block = cloneHash(u.sum)
		}
	}
}

// Cloud is the fake. Set its fields before it serves, or while it is locked.
type Cloud struct {
	sync.Mutex
	Token   string
	Uploads map[string]*Upload // by path
	Footage map[footage.ID]*wire.Footage
	// Foreign are the ids, in lower case, that belong to other devices. An upload under one is a conflict, and footage
	// under one is not found.
	Foreign map[footage.ID]bool
	// Before gets every request first, and returns true if it has answered the request. nil lets all pass.
	Before func(w http.ResponseWriter, r *http.Request) bool
	// CutAfter is the number of bytes after which each PATCH is cut. 0 means never.
	CutAfter int64
	// Cut ends the connection of a cut PATCH. nil means a panic with http.ErrAbortHandler.
	Cut func(http.ResponseWriter)
	// BlockSize is in bytes: a cut upload keeps only whole blocks. 0 and 1 keep every byte.
	BlockSize int64
	Received  int64    // bytes of all PATCH requests
	Order     []string // "POST kind" for each created upload and "DONE kind" for each complete one, in order of time
	created   int      // uploads created so far
}

// New returns a cloud that accepts the token.
func New(token string) *Cloud {
	return &Cloud{Token: token, Uploads: map[string]*Upload{}, Footage: map[footage.ID]*wire.Footage{},
		Foreign: map[footage.ID]bool{}}
}

// Problem answers a request with a problem document.
func Problem(w http.ResponseWriter, slug wire.Slug, detail string) {
	w.Header().Set("Content-Type", wire.ProblemMedia)
	w.WriteHeader(slug.Status())
	_ = json.NewEncoder(w).Encode(wire.NewProblem(slug, detail))
}

// ServeHTTP implements http.Handler.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.Lock()
	before := c.Before
	c.Unlock()
	if before != nil && before(w, r) {
		return
	}
	switch {
	case r.URL.Path == wire.HealthPath:
		_ = json.NewEncoder(w).Encode(wire.Health{Status: wire.HealthOK})
	case strings.HasPrefix(r.Header.Get("Authorization"), "Bearer cc_") && !c.authorised(r):
		Problem(w, wire.SlugUnauthorised, "no such device")
	case strings.HasPrefix(r.URL.Path, wire.FootagePath("")):
		c.footage(w, footage.ID(strings.TrimPrefix(r.URL.Path, wire.FootagePath(""))))
	case !c.authorised(r):
		Problem(w, wire.SlugUnauthorised, "no such device")
	case r.Method == http.MethodPost:
		c.create(w, r)
	case r.Method == http.MethodHead:
		c.head(w, r)
	case r.Method == http.MethodPatch:
		c.patch(w, r)
	default:
		Problem(w, wire.SlugMethodNotAllowed, r.Method)
	}
}

func (c *Cloud) authorised(r *http.Request) bool {
	c.Lock()
	defer c.Unlock()
	return r.Header.Get("Authorization") == "Bearer "+c.Token
}

func (c *Cloud) foreign(id footage.ID) bool {
	return c.Foreign[footage.ID(strings.ToLower(string(id)))]
}

func (c *Cloud) footage(w http.ResponseWriter, id footage.ID) {
	c.Lock()
	defer c.Unlock()
	f := c.Footage[id]
	if f == nil || c.foreign(id) {
		Problem(w, wire.SlugNotFound, "no such footage")
		return
	}
	_ = json.NewEncoder(w).Encode(f)
}

func (c *Cloud) create(w http.ResponseWriter, r *http.Request) {
	c.Lock()
	defer c.Unlock()
	size, err := strconv.ParseInt(r.Header.Get(wire.HeaderUploadLength), 10, 64)
	raw, bad := wire.ParseMetadataHeader(r.Header.Get(wire.HeaderUploadMetadata))
	meta, worse := wire.ReadMetadata(raw)
	u := &Upload{Size: size, Meta: meta, Raw: raw, sum: sha256.New(), block: sha256.New()}
	if err := errors.Join(err, bad, worse); err != nil {
		Problem(w, wire.SlugBadMetadata, err.Error())
		return
	}
	if c.taken(meta) {
		Problem(w, wire.SlugConflict, "the id is in use")
		return
	}
	c.created++
	path := fmt.Sprintf("%su%d", wire.FilesPath, c.created)
	c.Uploads[path] = u
	c.Order = append(c.Order, "POST "+string(u.Meta.Kind))
	w.Header().Set("Location", "http://inside.example"+path)
	w.WriteHeader(http.StatusCreated)
}

// taken reports whether the real server refuses an upload under its id.
func (c *Cloud) taken(m wire.Metadata) bool {
	have := c.Footage[m.Footage]
	switch {
	case c.foreign(m.Footage):
		return true
	case have == nil || m.Kind != wire.KindVideo:
		return false
	}
	return !m.SHA256.IsZero() && m.SHA256 != have.SHA256
}

func (c *Cloud) find(w http.ResponseWriter, r *http.Request) *Upload {
	c.Lock()
	defer c.Unlock()
	u := c.Uploads[r.URL.Path]
	if u == nil {
		Problem(w, wire.SlugUploadGone, "no such upload")
	}
	return u
}

func (c *Cloud) head(w http.ResponseWriter, r *http.Request) {
	u := c.find(w, r)
	if u == nil {
		return
	}
	u.turn.Lock()
	defer u.turn.Unlock()
	c.Lock()
	defer c.Unlock()
	w.Header().Set(wire.HeaderUploadOffset, strconv.FormatInt(u.Offset, 10))
	w.WriteHeader(http.StatusOK)
}

func (c *Cloud) patch(w http.ResponseWriter, r *http.Request) {
	u := c.find(w, r)
	if u == nil {
		return
	}
	u.turn.Lock()
	defer u.turn.Unlock()
	c.Lock()
	at, cutAfter := u.Offset, c.CutAfter
	c.Unlock()
	if r.Header.Get(wire.HeaderUploadOffset) != strconv.FormatInt(at, 10) {
		Problem(w, wire.SlugOffsetConflict, "offset is "+strconv.FormatInt(at, 10))
		return
	}
	var body io.Reader = r.Body
	if cutAfter > 0 {
		body = io.LimitReader(body, cutAfter)
	}
	whole := c.receive(u, body)
	if !whole {
		c.dropPartialBlock(u)
		if c.Cut != nil {
			c.Cut(w)
			return
		}
		panic(http.ErrAbortHandler)
	}
	c.finish(w, r.URL.Path, u)
}

// dropPartialBlock drops the bytes of a cut upload that do not fill a block.
func (c *Cloud) dropPartialBlock(u *Upload) {
	c.Lock()
	defer c.Unlock()
	if c.BlockSize > 1 && u.Offset%c.BlockSize != 0 {
		u.Offset, u.sum = u.Offset-u.Offset%c.BlockSize, u.block
		u.block = cloneHash(u.block)
	}
}

func cloneHash(h hash.Hash) hash.Hash {
	c, err := h.(hash.Cloner).Clone()
	if err != nil {
		panic(err) // SHA-256 can be cloned
	}
	return c
}

// receive reads the body and reports whether the upload is complete.
func (c *Cloud) receive(u *Upload, body io.Reader) bool {
	buf := make([]byte, 32<<10)
	for {
		n, err := body.Read(buf)
		c.Lock()
		u.write(buf[:n], c.BlockSize)
		c.Received += int64(n)
		done := u.Offset == u.Size
		c.Unlock()
		if done || err != nil {
			return done
		}
	}
}

func (c *Cloud) finish(w http.ResponseWriter, path string, u *Upload) {
	c.Lock()
	defer c.Unlock()
	got := footage.Digest(u.sum.Sum(nil))
	if got == u.Meta.SHA256 && c.taken(u.Meta) {
		delete(c.Uploads, path)
		Problem(w, wire.SlugConflict, "the id is in use")
		return
	}
	if got != u.Meta.SHA256 {
		delete(c.Uploads, path)
		Problem(w, wire.SlugHashMismatch, "got "+got.String())
		return
	}
	c.Order = append(c.Order, "DONE "+string(u.Meta.Kind))
	switch f := c.Footage[u.Meta.Footage]; {
	case u.Meta.Kind == wire.KindVideo:
		c.Footage[u.Meta.Footage] = &wire.Footage{ID: u.Meta.Footage, Name: u.Meta.Filename, Size: u.Size, SHA256: got,
			Telemetry: c.hasTelemetry(u.Meta.Footage)}
	case u.Meta.Kind == wire.KindTelemetry && f != nil:
		f.Telemetry = true
	}
	w.Header().Set(wire.HeaderUploadOffset, strconv.FormatInt(u.Offset, 10))
	w.WriteHeader(http.StatusNoContent)
}

// hasTelemetry reports whether a whole flight log of the footage has arrived. c is locked.
func (c *Cloud) hasTelemetry(id footage.ID) bool {
	for _, u := range c.Uploads {
		if u.Meta.Footage == id && u.Meta.Kind == wire.KindTelemetry && u.Offset == u.Size {
			return true
		}
	}
	return false
}
