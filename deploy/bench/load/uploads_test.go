package load

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// clip is one file that a device sends. All clips share their bytes but for the first ones.
type clip struct {
	id      footage.ID
	device  int
	head    []byte
	rest    []byte
	sum     footage.Digest
	began   time.Time
	sent    time.Time // when the cloud had confirmed it
	retries int
}

func (c *clip) size() int64 { return int64(len(c.head) + len(c.rest)) }

// from reads the clip from an offset on.
func (c *clip) from(offset int64) io.Reader {
	if n := int64(len(c.head)); offset >= n {
		return bytes.NewReader(c.rest[offset-n:])
	}
	return io.MultiReader(bytes.NewReader(c.head[offset:]), bytes.NewReader(c.rest))
}

// newBytes returns what clips share: bytes that do not compress.
func newBytes(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails
	return b
}

func newClip(device int, rest []byte) *clip {
	c := &clip{id: footage.NewID(time.Now()), device: device, rest: rest}
	c.head = []byte("\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41" + string(c.id))
	h := sha256.New()
	_, _ = io.Copy(h, c.from(0)) // neither can fail
	h.Sum(c.sum[:0])
	return c
}

// sender sends clips to the clouds and goes on after faults, at another cloud each time.
type sender struct {
	tokens map[string]string
	clouds []string // addresses
	client *http.Client
	every  time.Duration // between two attempts
}

func newSender(s *stage, clouds []string) *sender {
	return &sender{tokens: s.tokens, clouds: clouds, every: 200 * time.Millisecond,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, ResponseHeaderTimeout: 30 * time.Second}}}
}

// errGone: the upload is not there; it was finished or has never been created.
var errGone = errors.New("the cloud has no such upload")

// send returns when a cloud has confirmed the whole clip, or when ctx ends.
func (s *sender) send(ctx context.Context, c *clip) error {
	c.began = time.Now()
	var path string
	for k := c.device; ; k++ {
		done, err := s.attempt(ctx, s.clouds[k%len(s.clouds)], c, &path)
		if done {
			c.sent = time.Now()
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("send %s: %w; the last fault: %w", c.id, context.Cause(ctx), err)
		}
		c.retries++
		select {
		case <-ctx.Done():
		case <-time.After(s.every):
		}
	}
}

// attempt creates the upload or finds its offset, and sends the rest. path is the upload, "" before it exists.
func (s *sender) attempt(ctx context.Context, cloud string, c *clip, path *string) (done bool, err error) {
	offset := int64(0)
	if *path == "" {
		if *path, err = s.create(ctx, cloud, c); err != nil {
			return false, err
		}
	} else if offset, err = s.offset(ctx, cloud+*path, c); errors.Is(err, errGone) {
		*path = ""
		return s.known(ctx, cloud, c)
	} else if err != nil {
		return false, err
	}
	if offset == c.size() {
		return s.known(ctx, cloud, c)
	}
	resp, err := s.do(ctx, http.MethodPatch, cloud+*path, c, c.from(offset), c.size()-offset, "Upload-Offset", fmt.Sprint(offset), "Content-Type", wire.OffsetStream)
	if err != nil {
		return false, err
	}
	if resp.StatusCode != http.StatusNoContent {
		return false, fmt.Errorf("PATCH: %s", resp.Status)
	}
	return true, nil
}

func (s *sender) create(ctx context.Context, cloud string, c *clip) (path string, err error) {
	meta := wire.Metadata{Filename: string(c.id) + ".MP4", Footage: c.id, SHA256: c.sum}
	resp, err := s.do(ctx, http.MethodPost, cloud+"/files/", c, nil, 0, "Upload-Length", fmt.Sprint(c.size()), "Upload-Metadata", meta.Header())
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("POST: %s", resp.Status)
	}
	at, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		return "", err
	}
	return at.Path, nil
}

func (s *sender) offset(ctx context.Context, upload string, c *clip) (int64, error) {
	resp, err := s.do(ctx, http.MethodHead, upload, c, nil, 0)
	if err != nil {
		return 0, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
	case http.StatusNotFound, http.StatusGone:
		return 0, errGone
	}
	return 0, fmt.Errorf("HEAD: %s", resp.Status)
}

// known reports whether the cloud has recorded the clip.
func (s *sender) known(ctx context.Context, cloud string, c *clip) (bool, error) {
	resp, err := s.do(ctx, http.MethodGet, cloud+wire.FootagePath(c.id), c, nil, 0)
	if err != nil {
		return false, err
	}
	return resp.StatusCode == http.StatusOK, nil
}

// do sends a request and reads the whole answer.
func (s *sender) do(ctx context.Context, method, to string, c *clip, body io.Reader, size int64, header ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	req.Header.Set("Authorization", "Bearer "+s.tokens[names(c.device + 1)[c.device]])
	req.Header.Set("Tus-Resumable", wire.TusVersion)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp, err
}

// get reads JSON of the API.
func get(ctx context.Context, client *http.Client, to string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", to, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// eventually asks until ok returns true: other processes have no event to wait for.
func eventually(tb testing.TB, what string, limit time.Duration, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(limit); !ok(); {
		if time.Now().After(end) {
			tb.Fatalf("not within %s: %s", limit, what)
		}
		<-time.After(100 * time.Millisecond)
	}
}
