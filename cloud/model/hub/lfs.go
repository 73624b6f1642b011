package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"

	"cattlecounter/shared/footage"
)

const lfsType = "application/vnd.git-lfs+json"

// action is a request that the LFS server wants, with headers that it needs.
type action struct {
	Href   string            `json:"href"`
	Header map[string]string `json:"header"`
}

// object is one file in an answer of the LFS server.
type object struct {
	OID     footage.Digest `json:"oid"`
	Size    int64          `json:"size"`
	Actions struct {
		Upload *action `json:"upload"` // nil when the server has the file
		Verify *action `json:"verify"`
	} `json:"actions"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// sendLarge sends the large files that the hub does not have, and returns their number.
func (p *pusher) sendLarge(ctx context.Context) (sent int, err error) {
	byDigest := map[footage.Digest]*pushed{}
	type entry struct {
		OID  footage.Digest `json:"oid"`
		Size int64          `json:"size"`
	}
	var objects []entry
	for _, f := range p.files {
		if f.large && byDigest[f.SHA256] == nil {
			byDigest[f.SHA256] = f
			objects = append(objects, entry{f.SHA256, f.size})
		}
	}
	if objects == nil {
		return 0, nil
	}
	body, err := json.Marshal(map[string]any{"operation": "upload", "transfers": []string{"basic", "multipart"}, "objects": objects,
		"hash_algo": "sha256", "ref": map[string]string{"name": p.Reference.Revision}})
	if err != nil {
		return 0, err
	}
	b, err := p.client.post(ctx, fmt.Sprintf("%s/%s.git/info/lfs/objects/batch", p.Reference.Base, p.Reference.Repository), lfsType, body)
	if err != nil {
		return 0, err
	}
	answer, err := parseBatch(b)
	if err != nil {
		return 0, err
	}
	for digest, f := range byDigest {
		i := slices.IndexFunc(answer, func(o object) bool { return o.OID == digest })
		if i < 0 {
			return sent, fmt.Errorf("the LFS server does not answer for %s: %w", f.File, ErrAnswer)
		}
		if answer[i].Actions.Upload == nil {
			continue
		}
		if err := p.sendObject(ctx, f, answer[i]); err != nil {
			return sent, fmt.Errorf("%s: %w", f.File, err)
		}
		sent++
	}
	return sent, nil
}

// parseBatch reads the answer of the LFS server. Faults of single files are errors.
func parseBatch(b []byte) ([]object, error) {
	var answer struct {
		Objects []object `json:"objects"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return nil, fmt.Errorf("answer of the LFS server: %w: %w", err, ErrAnswer)
	}
	for _, o := range answer.Objects {
		if o.Error != nil {
			return nil, fmt.Errorf("the LFS server refuses %.12s… with %d (%.200q): %w", o.OID, o.Error.Code, o.Error.Message, ErrDenied)
		}
		for _, a := range []*action{o.Actions.Upload, o.Actions.Verify} {
			if a == nil {
				continue
			}
			if u, err := url.Parse(a.Href); err != nil || u.Host == "" || u.Scheme != "https" && !mayCarryToken(u) {
				return nil, fmt.Errorf("the LFS server names an invalid or unencrypted URL: %w", ErrAnswer)
			}
		}
	}
	return answer.Objects, nil
}

// sendObject sends one file, whole or in parts, and has the server verify it.
func (p *pusher) sendObject(ctx context.Context, f *pushed, o object) error {
	up := o.Actions.Upload
	if chunk, ok := up.Header["chunk_size"]; ok {
		if err := p.sendParts(ctx, f, up, chunk); err != nil {
			return err
		}
	} else if _, err := p.put(ctx, f, up.Href, up.Header, 0, f.size); err != nil {
		return err
	}
	if o.Actions.Verify == nil {
		return nil
	}
	body, err := json.Marshal(map[string]any{"oid": f.SHA256, "size": f.size})
	if err != nil {
		return err
	}
	_, err = p.client.post(ctx, o.Actions.Verify.Href, lfsType, body)
	return err
}

// maxParts bounds the parts of one file, as S3 does.
const maxParts = 10_000

// sendParts sends a file in parts of chunk bytes. The headers 1, 2, … (with zeros before) have the URL of each part.
func (p *pusher) sendParts(ctx context.Context, f *pushed, up *action, chunk string) error {
	size, err := strconv.ParseInt(chunk, 10, 64)
	if err != nil || size < 1 || (f.size+size-1)/size > maxParts {
		return fmt.Errorf("parts of %.20q bytes: %w", chunk, ErrAnswer)
	}
	urls := map[int]string{}
	for key, address := range up.Header {
		if n, err := strconv.Atoi(key); err == nil {
			urls[n] = address
		}
	}
	type part struct {
		Number int    `json:"partNumber"`
		ETag   string `json:"etag"`
	}
	var parts []part
	for n, from := 1, int64(0); from < f.size; n, from = n+1, from+size {
		u, err := url.Parse(urls[n])
		if err != nil || u.Host == "" || !mayCarryToken(u) {
			return fmt.Errorf("part %d has no usable URL: %w", n, ErrAnswer)
		}
		etag, err := p.put(ctx, f, urls[n], nil, from, min(size, f.size-from))
		if err != nil {
			return err
		}
		if etag == "" {
			return fmt.Errorf("part %d has no entity tag: %w", n, ErrAnswer)
		}
		parts = append(parts, part{n, etag})
	}
	body, err := json.Marshal(map[string]any{"oid": f.SHA256, "parts": parts})
	if err != nil {
		return err
	}
	_, err = p.client.post(ctx, up.Href, lfsType, body)
	return err
}

// put sends a part of a file and returns the entity tag of the answer. The URL may contain a password, so no error has
// more than its host.
func (p *pusher) put(ctx context.Context, f *pushed, address string, header map[string]string, from, size int64) (etag string, err error) {
	err = p.client.retry(ctx, func() (bool, error) {
		file, err := os.Open(f.path)
		if err != nil {
			return false, err
		}
		defer file.Close()
		ctx, alive, stop := p.client.watch(ctx)
		defer stop()
		done := from
		body := io.NewSectionReader(file, from, size)
		r, err := p.client.request(ctx, http.MethodPut, address, aliveReader{body, func() {
			alive()
			at, err := body.Seek(0, io.SeekCurrent)
			if err == nil {
				done = from + at
			}
			p.Progress(f.File, done, f.size)
		}}, size)
		if err != nil {
			return false, err
		}
		r.GetBody = nil
		for k, v := range header {
			r.Header.Set(k, v)
		}
		response, err := p.client.http.Do(r)
		if err != nil {
			return false, unreachable(r.URL, causeOf(ctx, err))
		}
		if response.StatusCode < 200 || response.StatusCode > 299 {
			return false, storageError(p.client.statusError(answer{Response: response}))
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxText)) // so that the connection is used again
		etag = response.Header.Get("ETag")
		return false, response.Body.Close()
	})
	return etag, err
}

// storageError says that a denial is of the place for large files, not of the repository.
func storageError(err error) error {
	if errors.Is(err, ErrDenied) {
		return fmt.Errorf("the storage of large files refuses the upload, its URL may have expired; push again: %w", ErrDenied)
	}
	return err
}
