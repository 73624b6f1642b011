package tus

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ref is a small server that follows the protocol, except for one flaw.
type ref struct {
	flaw string
	life time.Duration

	mu      sync.Mutex
	uploads map[string]*refUpload
}

type refUpload struct {
	data    []byte
	claimed int64 // offset of the answers, where a flaw makes it wrong
	length  int64 // -1 means unknown
	meta    string
	concat  string
	expires time.Time
	owner   *http.Request // the request whose bytes are accepted
	busy    sync.Mutex
}

const refMax = 64 << 20

// serial makes a HEAD wait for the end of a PATCH. That is a flaw of its own, and it makes the flaws about cuts visible in
// the first HEAD after a cut.
func (r *ref) serial() bool { return r.is("HEAD waits") || strings.HasPrefix(r.flaw, "a cut ") }

func (r *ref) is(flaw string) bool { return r.flaw == flaw }

func (r *ref) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	w.Header().Set("Tus-Resumable", version)
	method := q.Method
	if m := q.Header.Get("X-HTTP-Method-Override"); m != "" && !r.is("override ignored") && (method == http.MethodPost || !r.is("override for POST only")) {
		method = m
	}
	if method == http.MethodOptions {
		r.options(w, q)
		return
	}
	if q.Header.Get("Tus-Resumable") != version && !r.is("version ignored") {
		if !r.is("412 without version") {
			w.Header().Set("Tus-Version", version)
		}
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	id := strings.TrimPrefix(q.URL.Path, "/files/")
	if id == "" && method == http.MethodPost {
		r.create(w, q)
		return
	}
	up := r.find(id)
	switch {
	case up == nil && r.is("unknown uploads fail with 500"):
		w.WriteHeader(http.StatusInternalServerError)
	case up == nil && r.is("unknown can be deleted") && method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case up == nil:
		w.WriteHeader(http.StatusNotFound)
	case method == http.MethodHead:
		r.head(w, up)
	case method == http.MethodPatch:
		r.patch(w, q, up)
	case method == http.MethodDelete:
		r.terminate(w, id)
	case method == http.MethodGet && q.Method == http.MethodGet:
		r.mu.Lock()
		defer r.mu.Unlock()
		_, _ = w.Write(up.data)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (r *ref) options(w http.ResponseWriter, q *http.Request) {
	if r.is("OPTIONS checks the version") && q.Header.Get("Tus-Resumable") != "" {
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	h := w.Header()
	if !r.is("OPTIONS without version") {
		h.Set("Tus-Version", version)
	}
	h.Set("Tus-Max-Size", strconv.Itoa(refMax))
	if r.is("limit in words") {
		h.Set("Tus-Max-Size", "64 MiB")
	}
	h.Set("Tus-Checksum-Algorithm", "sha1,sha256")
	if r.is("no sha1") {
		h.Set("Tus-Checksum-Algorithm", "sha256")
	}
	all := "creation,creation-with-upload,creation-defer-length,termination,expiration,checksum,concatenation"
	if r.is("an extension without name") {
		all += ",,"
	}
	h.Set("Tus-Extension", all)
	w.WriteHeader(http.StatusNoContent)
}

func (r *ref) find(id string) *refUpload {
	r.mu.Lock()
	defer r.mu.Unlock()
	up := r.uploads[id]
	if up == nil || time.Now().After(up.expires) && !r.is("expired uploads remain") || r.is("finished uploads are unknown") && up.complete() {
		return nil
	}
	return up
}

func (up *refUpload) complete() bool { return up.length >= 0 && int64(len(up.data)) >= up.length }

func (r *ref) head(w http.ResponseWriter, up *refUpload) {
	if r.serial() {
		up.busy.Lock()
		defer up.busy.Unlock()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	h := w.Header()
	if !r.is("HEAD without no-store") {
		h.Set("Cache-Control", "no-store")
	}
	if !r.is("HEAD without offset") {
		h.Set("Upload-Offset", strconv.FormatInt(max(up.claimed, int64(len(up.data))), 10))
	}
	if !r.is("HEAD without length") && up.length >= 0 {
		h.Set("Upload-Length", strconv.FormatInt(up.length, 10))
	}
	if up.length < 0 && !r.is("deferred length is not listed") {
		h.Set("Upload-Defer-Length", "1")
	}
	if up.meta != "" && !r.is("metadata is dropped") {
		h.Set("Upload-Metadata", up.meta)
	}
	if up.concat != "" && !r.is("Upload-Concat is not listed") {
		h.Set("Upload-Concat", up.concat)
	}
}

func (r *ref) terminate(w http.ResponseWriter, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.is("deleted uploads remain") {
		delete(r.uploads, id)
	}
	if r.is("DELETE answers 200") {
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// expiry sets Upload-Expires.
func (r *ref) expiry(w http.ResponseWriter, up *refUpload) {
	at := up.expires.UTC().Format(http.TimeFormat)
	if r.is("expiry in another form") {
		at = up.expires.Format(time.RFC3339)
	}
	w.Header().Set("Upload-Expires", at)
}

// refuse answers a refused PATCH.
func (r *ref) refuse(w http.ResponseWriter, up *refUpload, status int) {
	if !r.is("no expiry in refusals") {
		r.expiry(w, up)
	}
	if status == http.StatusConflict {
		if r.is("conflict is 400") {
			status = http.StatusBadRequest
		}
		if r.is("conflict without version") {
			w.Header().Del("Tus-Resumable")
		}
	}
	w.WriteHeader(status)
}

func (r *ref) patch(w http.ResponseWriter, q *http.Request, up *refUpload) {
	if r.serial() {
		up.busy.Lock()
		defer up.busy.Unlock()
	}
	if q.Header.Get("Content-Type") != octets && !r.is("any media type") {
		r.refuse(w, up, http.StatusUnsupportedMediaType)
		return
	}
	offset, err := strconv.ParseUint(q.Header.Get("Upload-Offset"), 10, 63)
	if err != nil && !r.is("malformed offset is 0") {
		r.refuse(w, up, http.StatusBadRequest)
		return
	}
	if q.ContentLength == 0 && r.is("empty PATCH is refused") {
		r.refuse(w, up, http.StatusBadRequest)
		return
	}
	if status := r.claim(q, up, int64(offset)); status != 0 {
		r.refuse(w, up, status)
		return
	}
	n, status := r.readBody(q, up)
	if status != 0 {
		r.refuse(w, up, status)
		return
	}
	w.Header().Set("Upload-Offset", strconv.FormatInt(n, 10))
	if !r.is("no expiry in PATCH") {
		r.expiry(w, up)
	}
	if r.is("PATCH answers 200") {
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// claim makes q the owner of the upload, or returns the status of the refusal.
func (r *ref) claim(q *http.Request, up *refUpload, offset int64) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	have := int64(len(up.data))
	switch {
	case strings.HasPrefix(up.concat, "final") && !r.is("a final upload can grow"):
		return http.StatusForbidden
	case offset > have && r.is("gaps are filled"):
		up.data = append(up.data, make([]byte, offset-have)...)
	case offset < have && r.is("the offset can decrease"):
		up.data = up.data[:offset]
	case offset != have && !r.is("both PATCHes count"):
		return http.StatusConflict
	}
	if text := q.Header.Get("Upload-Length"); text != "" {
		n, err := strconv.ParseUint(text, 10, 63)
		switch {
		case err != nil:
			return http.StatusBadRequest
		case up.length >= 0 && !r.is("the length changes"):
			return http.StatusBadRequest
		case !r.is("the length stays unknown"):
			up.length = int64(n)
		}
	}
	up.owner = q
	return 0
}

// readBody reads a body into the upload and returns the offset, or the status of the refusal.
func (r *ref) readBody(q *http.Request, up *refUpload) (int64, int) {
	checksum, status := r.checksum(q)
	if status != 0 {
		return 0, status
	}
	if q.ContentLength < 0 && r.is("chunks are dropped") {
		return int64(len(up.data)), 0
	}
	r.mu.Lock()
	began := len(up.data)
	r.mu.Unlock()
	var got bytes.Buffer
	buf := make([]byte, 32<<10)
	for {
		n, err := q.Body.Read(buf)
		got.Write(buf[:n])
		if !r.appendBytes(q, up, buf[:n], checksum == "" || r.is("cut bytes with a checksum are stored")) {
			return 0, http.StatusConflict
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.cut(q, up, began)
			return 0, http.StatusConflict
		}
	}
	if checksum != "" && !r.is("cut bytes with a checksum are stored") {
		if !r.matches(checksum, got.Bytes()) {
			if r.is("refused bytes are stored") {
				r.appendBytes(q, up, got.Bytes(), true)
			}
			return 0, 460
		}
		r.appendBytes(q, up, got.Bytes(), true)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return int64(len(up.data)), 0
}

// appendBytes appends bytes up to the length of the upload. It returns false when q is no longer the owner.
func (r *ref) appendBytes(q *http.Request, up *refUpload, b []byte, store bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if up.owner != q && !r.is("both PATCHes count") {
		return false
	}
	if left := up.length - int64(len(up.data)); up.length >= 0 && int64(len(b)) > left && !r.is("more than the length") {
		b = b[:left]
	}
	if store {
		up.data = append(up.data, b...)
	}
	return true
}

func (r *ref) cut(q *http.Request, up *refUpload, began int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.is("a cut loses all bytes"):
		up.data = up.data[:began]
	case r.is("a cut counts announced bytes"):
		up.claimed = q.ContentLength
	case r.is("a cut damages a byte"):
		up.data[len(up.data)-1] ^= 1
	}
}

// checksum returns the checked Upload-Checksum of a request, "" for none.
func (r *ref) checksum(q *http.Request) (string, int) {
	text := q.Header.Get("Upload-Checksum")
	name, encoded, _ := strings.Cut(text, " ")
	switch h := hashes[name]; {
	case text == "":
		return "", 0
	case h == nil && r.is("unknown algorithms are accepted"):
		return "", 0
	case h == nil:
		return "", http.StatusBadRequest
	default:
		b, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(b) != h().Size() {
			if r.is("malformed checksums are accepted") {
				return "", 0
			}
			return "", http.StatusBadRequest
		}
	}
	return text, 0
}

func (r *ref) matches(checksum string, b []byte) bool {
	name, _, _ := strings.Cut(checksum, " ")
	return (sum(name, b) == checksum || r.is("wrong checksums are accepted")) && !r.is("right checksums are refused")
}
