package tus

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// create answers a POST.
func (r *ref) create(w http.ResponseWriter, q *http.Request) {
	up, status := r.newUpload(q)
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	up.expires = time.Now().Add(r.life)
	if q.Header.Get("Content-Type") == octets && !r.is("bytes of a creation are ignored") {
		up.owner = q
		n, status := r.readBody(q, up)
		if status != 0 {
			w.WriteHeader(status)
			return
		}
		w.Header().Set("Upload-Offset", strconv.FormatInt(n, 10))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := strconv.Itoa(len(r.uploads)) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	r.uploads[id] = up
	w.Header().Set("Location", id) // relative to the address of the creation
	if r.life%2 == 0 {
		w.Header().Set("Location", fmt.Sprintf("http://%s/files/%s", q.Host, id))
	}
	if !r.is("no expiry in POST") {
		r.expiry(w, up)
	}
	if r.is("creation answers 200") {
		return
	}
	w.WriteHeader(http.StatusCreated)
}

// newUpload makes the upload of a POST.
func (r *ref) newUpload(q *http.Request) (*refUpload, int) {
	up := &refUpload{length: -1, meta: q.Header.Get("Upload-Metadata"), concat: q.Header.Get("Upload-Concat")}
	if parts, final := strings.CutPrefix(up.concat, "final;"); final {
		return r.join(up, parts)
	}
	if !refMetadata(up.meta) && !r.is("metadata is not checked") {
		return nil, http.StatusBadRequest
	}
	length, deferred := q.Header.Get("Upload-Length"), q.Header.Get("Upload-Defer-Length")
	switch {
	case deferred == "1" && length == "", deferred != "" && r.is("any Upload-Defer-Length"), length == "" && r.is("no length needed"):
		return up, 0
	case deferred != "":
		return nil, http.StatusBadRequest
	}
	n, err := strconv.ParseUint(length, 10, 63)
	switch {
	case err != nil && !r.is("any length"):
		return nil, http.StatusBadRequest
	case n > refMax && !r.is("no limit"):
		return nil, http.StatusRequestEntityTooLarge
	case n == 0 && r.is("empty files are refused"):
		return nil, http.StatusBadRequest
	}
	up.length = int64(n)
	return up, 0
}

func (r *ref) join(up *refUpload, parts string) (*refUpload, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for at := range strings.FieldsSeq(parts) {
		part := r.uploads[at[strings.LastIndex(at, "/")+1:]]
		if part == nil || !part.complete() {
			return nil, http.StatusBadRequest
		}
		up.data = append(up.data, part.data...)
	}
	up.length = int64(len(up.data))
	if r.is("a part is lost") {
		up.data, up.length = up.data[:1], 1
	}
	return up, 0
}

func refMetadata(header string) bool {
	if header == "" {
		return true
	}
	seen := map[string]bool{}
	for p := range strings.SplitSeq(header, ",") {
		key, _, _ := strings.Cut(p, " ")
		if key == "" || seen[key] {
			return false
		}
		seen[key] = true
	}
	_, err := pairs(header)
	return err == nil
}
