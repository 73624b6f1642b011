package tus

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	version = "1.0.0"
	octets  = "application/offset+octet-stream"
	// small and large are sizes of contents. A large one exceeds the buffers between client and server.
	small = 8 << 10
	large = 1 << 20
	// maxAnswer limits the bytes that are read of an answer.
	maxAnswer = 2 * large
)

// session is one run against one server.
type session struct {
	o              Options
	home           *url.URL
	server         target
	client         *http.Client
	withoutVersion []string // answers without Tus-Resumable
}

func newSession(o Options) *session {
	home, _ := url.Parse(o.URL) // fill has parsed it
	return &session{o: o, home: home, client: &http.Client{
		Timeout:       o.Patience,
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// probe is one running check.
type probe struct {
	*session
	ctx  context.Context
	name string
	seed string
	made []string // addresses of its uploads
}

func (s *session) probe(ctx context.Context, name string) *probe {
	return &probe{session: s, ctx: ctx, name: name, seed: name + rand.Text()}
}

// cleanUp terminates the uploads of the probe, where the server offers termination.
func (v *probe) cleanUp() {
	if !v.server.offers("termination") {
		return
	}
	for _, u := range v.made {
		_, _ = v.do(http.MethodDelete, u, nil) // it may be finished or deleted
	}
}

// content is size bytes that differ from those of every other probe.
func (v *probe) content(size int) []byte {
	b := bytes.Clone(v.o.Begin)
	for i := 0; len(b) < size; i++ {
		b = fmt.Appendf(b, "%s %d ", v.seed, i)
	}
	return b[:size]
}

// answer is a response with its body read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) ok() bool { return a.status >= 200 && a.status < 300 }

func (a answer) refused() bool { return a.status >= 400 && a.status < 500 }

func (a answer) gone() bool { return a.status == http.StatusNotFound || a.status == http.StatusGone }

// offset reads Upload-Offset.
func (a answer) offset() (int64, error) { return a.number("Upload-Offset") }

func (a answer) number(name string) (int64, error) {
	text := a.header.Get(name)
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%s is %.40q in an answer of status %d, want a number", name, text, a.status)
	}
	return int64(n), nil
}

// do sends a request with Tus-Resumable and the headers, which are pairs of name and value. An empty value removes a
// header.
func (v *probe) do(method, to string, body io.Reader, header ...string) (answer, error) {
	r, err := http.NewRequestWithContext(v.ctx, method, to, body)
	if err != nil {
		return answer{}, err
	}
	v.setHeaders(r, header)
	resp, err := v.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }() // the body has been read
	a := answer{status: resp.StatusCode, header: resp.Header}
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return answer{}, fmt.Errorf("answer of status %d: %w", a.status, err)
	}
	v.noteVersion(method, a)
	return a, nil
}

// setHeaders sets the headers of a request. Those of the options go only to the host of the options, never to a host in a
// Location.
func (v *probe) setHeaders(r *http.Request, header []string) {
	if r.URL.Host == v.home.Host {
		for name, values := range v.o.Header {
			r.Header[name] = slices.Clone(values)
		}
	}
	r.Header.Set("Tus-Resumable", version)
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
}

// noteVersion records answers without Tus-Resumable.
func (v *probe) noteVersion(method string, a answer) {
	if method != http.MethodOptions && a.header.Get("Tus-Resumable") != version {
		v.withoutVersion = append(v.withoutVersion, fmt.Sprintf("%s, %d to %s", v.name, a.status, method))
	}
}

// metadata is the Upload-Metadata of a creation; more holds pairs of key and value.
func (v *probe) metadata(content []byte, more ...string) string {
	all := maps.Clone(v.o.Metadata)
	if all == nil {
		all = map[string]string{}
	}
	if v.o.Digest != "" && content != nil {
		sum := sha256.Sum256(content)
		all[v.o.Digest] = hex.EncodeToString(sum[:])
	}
	for i := 0; i+1 < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, strings.TrimSpace(k+" "+base64.StdEncoding.EncodeToString([]byte(all[k]))))
	}
	return strings.Join(parts, ",")
}

// create creates an upload for a content and returns its address.
func (v *probe) create(content []byte, header ...string) (string, error) {
	a, err := v.post(nil, append([]string{"Upload-Length", strconv.Itoa(len(content)), "Upload-Metadata", v.metadata(content)}, header...)...)
	if err != nil {
		return "", err
	}
	return v.address(a)
}

func (v *probe) post(body io.Reader, header ...string) (answer, error) {
	a, err := v.do(http.MethodPost, v.o.URL, body, header...)
	if err == nil && a.ok() {
		if to, err := v.address(a); err == nil {
			v.made = append(v.made, to)
		}
	}
	return a, err
}

// address is the Location of a creation, absolute.
func (v *probe) address(a answer) (string, error) {
	at := a.header.Get("Location")
	if a.status != http.StatusCreated || at == "" {
		return "", fmt.Errorf("the creation was answered with status %d and Location %.200q, want 201 and an address: %.200s", a.status, at, a.body)
	}
	u, err := v.home.Parse(at)
	if err != nil {
		return "", fmt.Errorf("location: %w", err)
	}
	return u.String(), nil
}

// head returns the offset of an upload.
func (v *probe) head(to string) (int64, error) {
	a, err := v.do(http.MethodHead, to, nil)
	if err != nil {
		return 0, err
	}
	if !a.ok() {
		return 0, fmt.Errorf("HEAD was answered with status %d", a.status)
	}
	return a.offset()
}

// wantOffset checks that HEAD answers with an offset.
func (v *probe) wantOffset(to string, want int, after string) error {
	got, err := v.head(to)
	if err == nil && got != int64(want) {
		err = fmt.Errorf("HEAD answers with offset %d after %s, want %d", got, after, want)
	}
	return err
}

func (v *probe) patch(to string, offset int, body io.Reader, header ...string) (answer, error) {
	return v.do(http.MethodPatch, to, body, append([]string{"Upload-Offset", strconv.Itoa(offset), "Content-Type", octets}, header...)...)
}

// append checks that a whole PATCH is accepted.
func (v *probe) append(to string, offset int, part []byte, header ...string) error {
	a, err := v.patch(to, offset, bytes.NewReader(part), header...)
	if err != nil {
		return err
	}
	return wantPatched(a, offset+len(part))
}

// wantPatched checks the answer of an accepted PATCH.
func wantPatched(a answer, want int) error {
	if a.status != http.StatusNoContent {
		return fmt.Errorf("PATCH was answered with status %d, want 204: %.200s", a.status, a.body)
	}
	got, err := a.offset()
	if err == nil && got != int64(want) {
		err = fmt.Errorf("PATCH was answered with offset %d, want %d", got, want)
	}
	return err
}

// resume continues an upload at the offset of the server until it is complete, as a client does, and compares the content
// where the server returns it.
func (v *probe) resume(to string, content []byte) error {
	var err error
	for range 3 { // the server may still process the end of a cut request
		var offset int64
		if offset, err = v.head(to); err != nil {
			return err
		}
		if offset > int64(len(content)) {
			return fmt.Errorf("HEAD answers with offset %d of %d bytes", offset, len(content))
		}
		if err = v.append(to, int(offset), content[offset:]); err == nil {
			return v.wantContent(to, content)
		}
	}
	return err
}

// wantContent compares the content that GET returns. The protocol has no GET, so a server may refuse it.
func (v *probe) wantContent(to string, content []byte) error {
	a, err := v.do(http.MethodGet, to, nil)
	if err != nil || a.status != http.StatusOK {
		return nil //nolint:nilerr // no answer to GET is no finding
	}
	if !bytes.Equal(a.body, content) {
		return errors.New("GET returns another content than was sent")
	}
	return nil
}

// pause waits for d or for the end of the run.
func (v *probe) pause(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-v.ctx.Done():
		return context.Cause(v.ctx)
	case <-t.C:
		return nil
	}
}
