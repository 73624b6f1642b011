package hub

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"cattlecounter/cloud/model"
	"cattlecounter/shared/filesum"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
)

// PushOptions describe a push. Progress and Note are required.
type PushOptions struct {
	Dir        string    // the model folder
	Reference  Reference // of a repository on a hub; its revision is a branch
	Token      secret.String
	Create     bool   // create a missing repository
	Private    bool   // a created repository is private
	Message    string // of the commit; empty for a default
	Progress   func(file string, done, total int64)
	Note       func(text string)
	mostInline int64 // bytes of a file within the commit; 0 for the default
}

// Pushed is the result of a push.
type Pushed struct {
	Commit string // 40 hex digits
	Files  []model.Sum
	Sent   int // large files that the hub did not have
}

// pushed is one file of a push.
type pushed struct {
	model.Sum
	path  string // on this machine
	size  int64
	large bool // through LFS, otherwise within the commit
}

// most bytes of a file that goes into the commit itself, as the hub demands.
const mostInline = 10 << 20

// Push copies a model folder into a repository of a Hugging Face hub, in one commit: network and weights through the LFS
// protocol (git-lfs/docs/api), the other files within the commit. The order is: large files, then the commit, so an
// interrupted push changes nothing that a pull sees; the hub keeps the large files, and the next push does not send
// them again. Only the files of a model are sent: the network, its weights, the descriptions, SHA256SUMS and those for
// readers. The error wraps a class of this package or of cloud/model; it never has the token.
func Push(ctx context.Context, o PushOptions) (Pushed, error) {
	c := newClient(o.Reference.Base, o.Token)
	defer c.http.CloseIdleConnections()
	return push(ctx, o, c)
}

func push(ctx context.Context, o PushOptions, c *client) (Pushed, error) {
	r := o.Reference
	if r.Repository == "" {
		return Pushed{}, fmt.Errorf("%s: want OWNER/NAME of a repository on a hub: %w", r, ErrReference)
	}
	if c.token.IsZero() {
		return Pushed{}, fmt.Errorf("push to %s: no token that may be sent to %s; set HF_TOKEN or --token-file, and use https: %w",
			r, r.Base, ErrDenied)
	}
	c.hub, c.note = true, o.Note
	files, err := filesOf(ctx, o.Dir)
	if err != nil {
		return Pushed{}, err
	}
	p := &pusher{PushOptions: o, client: c, files: files}
	p.mostInline = max(p.mostInline, 0)
	if p.mostInline == 0 {
		p.mostInline = mostInline
	}
	out, err := p.run(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return Pushed{}, context.Cause(ctx)
		}
		return Pushed{}, fmt.Errorf("push %s to %s: %w", o.Dir, r, err)
	}
	return out, nil
}

// filesOf lists the files of a model folder with their digests, after a comparison with the recorded ones.
func filesOf(ctx context.Context, dir string) ([]*pushed, error) {
	if _, err := model.CheckSums(ctx, dir); err != nil {
		return nil, err
	}
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, model.ErrNoModel)
	}
	var files []*pushed
	for _, f := range found {
		name := f.Name()
		if name != model.Network && !model.IsData(name) && !slices.Contains(model.Descriptions, name) &&
			!slices.Contains(companions, name) && name != model.SumsFile {
			continue
		}
		at := filepath.Join(dir, name)
		info, err := os.Stat(at)
		if err != nil || !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is not a file: %w", at, model.ErrNoModel)
		}
		digest, size, err := filesum.Of(ctx, at)
		if err != nil {
			return nil, err
		}
		files = append(files, &pushed{Sum: model.Sum{File: name, SHA256: digest}, path: at, size: size})
	}
	if !slices.ContainsFunc(files, func(f *pushed) bool { return f.File == model.Network }) {
		return nil, fmt.Errorf("%s has no %s: %w", dir, model.Network, model.ErrNoModel)
	}
	return files, nil
}

// pusher is one push.
type pusher struct {
	PushOptions
	client *client
	files  []*pushed
}

func (p *pusher) api(action string) string {
	return fmt.Sprintf("%s/api/models/%s/%s/%s", p.Reference.Base, p.Reference.Repository, action, url.PathEscape(p.Reference.Revision))
}

func (p *pusher) run(ctx context.Context) (Pushed, error) {
	if err := p.preupload(ctx); err != nil {
		if !errors.Is(err, ErrNotFound) || !p.Create {
			return Pushed{}, p.advise(err)
		}
		if err := p.create(ctx); err != nil {
			return Pushed{}, err
		}
		if err := p.preupload(ctx); err != nil {
			return Pushed{}, err
		}
	}
	sent, err := p.sendLarge(ctx)
	if err != nil {
		return Pushed{}, err
	}
	out, err := p.commit(ctx)
	out.Sent = sent
	return out, err
}

func (p *pusher) advise(err error) error {
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w; create the repository on the hub, or use --create", err)
	}
	return err
}

// create makes the repository. One that exists is fine.
func (p *pusher) create(ctx context.Context) error {
	owner, name := path.Split(p.Reference.Repository)
	body, err := json.Marshal(map[string]any{"name": name, "organization": strings.TrimSuffix(owner, "/"), "type": "model",
		"private": p.Private})
	if err != nil {
		return err
	}
	_, err = p.client.post(ctx, p.Reference.Base+"/api/repos/create", jsonType, body)
	if errors.Is(err, errConflict) {
		return nil
	}
	return err
}

// sampleBytes of each file let the hub tell texts from other content.
const sampleBytes = 512

// preupload asks which files go through LFS.
func (p *pusher) preupload(ctx context.Context) error {
	type entry struct {
		Path   string `json:"path"`
		Size   int64  `json:"size"`
		Sample []byte `json:"sample"` // base64
	}
	var ask struct {
		Files []entry `json:"files"`
	}
	for _, f := range p.files {
		b, err := head(f.path, sampleBytes)
		if err != nil {
			return err
		}
		ask.Files = append(ask.Files, entry{f.File, f.size, b})
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	b, err := p.client.post(ctx, p.api("preupload"), jsonType, body)
	if err != nil {
		return err
	}
	return parsePreupload(b, p.files, p.mostInline)
}

// parsePreupload marks the files that go through LFS. A file that the hub does not mention goes by its size.
func parsePreupload(b []byte, files []*pushed, mostInline int64) error {
	var answer struct {
		Files []struct {
			Path   string `json:"path"`
			Mode   string `json:"uploadMode"`
			Ignore bool   `json:"shouldIgnore"`
		} `json:"files"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return fmt.Errorf("list of files to upload: %w: %w", err, ErrAnswer)
	}
	for _, f := range files {
		f.large = f.size > mostInline
		for _, a := range answer.Files {
			if a.Path != f.File {
				continue
			}
			if a.Ignore {
				return fmt.Errorf("the repository's .gitignore leaves out %s: %w", f.File, ErrAnswer)
			}
			f.large = f.large || a.Mode == "lfs"
		}
	}
	return nil
}

func head(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, n))
}

// commit makes the commit: a header, and a line for each file.
func (p *pusher) commit(ctx context.Context) (Pushed, error) {
	type line struct {
		Key   string `json:"key"`
		Value any    `json:"value"`
	}
	message := p.Message
	if message == "" {
		message = "Upload the model " + filepath.Base(p.Dir)
	}
	lines := []line{{"header", map[string]string{"summary": message, "description": ""}}}
	var out Pushed
	for _, f := range p.files {
		out.Files = append(out.Files, f.Sum)
		if f.large {
			lines = append(lines, line{"lfsFile", map[string]any{"path": f.File, "algo": "sha256", "oid": f.SHA256, "size": f.size}})
			continue
		}
		b, err := os.ReadFile(f.path)
		if err != nil {
			return Pushed{}, err
		}
		if footage.Sum(b) != f.SHA256 {
			return Pushed{}, fmt.Errorf("%s changed during the push: %w", f.path, model.ErrDigest)
		}
		lines = append(lines, line{"file", map[string]string{"path": f.File, "encoding": "base64", "content": base64.StdEncoding.EncodeToString(b)}})
	}
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	for _, l := range lines {
		if err := e.Encode(l); err != nil {
			return Pushed{}, err
		}
	}
	b, err := p.client.post(ctx, p.api("commit"), "application/x-ndjson", body.Bytes())
	if err != nil {
		return Pushed{}, err
	}
	out.Commit, err = parseCommit(b)
	return out, err
}

// parseCommit reads the answer to a commit.
func parseCommit(b []byte) (string, error) {
	var answer struct {
		OID string `json:"commitOid"`
	}
	if err := json.Unmarshal(b, &answer); err != nil || !model.IsCommit(answer.OID) {
		return "", fmt.Errorf("the hub does not name the new commit: %w", ErrAnswer)
	}
	return answer.OID, nil
}

const jsonType = "application/json"

// errConflict marks what exists already.
var errConflict = errors.New("it exists already")

// post sends a document to the hub with the token and returns the answer. Redirects are errors.
func (c *client) post(ctx context.Context, address, kind string, body []byte) (b []byte, err error) {
	err = c.retry(ctx, func() (bool, error) {
		ctx, alive, stop := c.watch(ctx)
		defer stop()
		r, err := c.request(ctx, http.MethodPost, address, aliveReader{bytes.NewReader(body), alive}, int64(len(body)))
		if err != nil {
			return false, err
		}
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Accept", jsonType)
		if kind == lfsType {
			r.Header.Set("Accept", lfsType)
		}
		response, err := c.http.Do(r)
		if err != nil {
			return false, unreachable(r.URL, causeOf(ctx, err))
		}
		defer response.Body.Close()
		a := answer{Response: response}
		if a.StatusCode == http.StatusConflict {
			return false, fmt.Errorf("%s: %w", r.URL.Host, errConflict)
		}
		if a.StatusCode < 200 || a.StatusCode > 299 {
			return false, c.statusError(a)
		}
		b, err = io.ReadAll(io.LimitReader(aliveReader{a.Body, alive}, maxListing+1))
		if err != nil {
			return false, unreachable(r.URL, causeOf(ctx, err))
		}
		if int64(len(b)) > maxListing {
			return false, fmt.Errorf("%s sends more than %d bytes: %w", r.URL.Host, maxListing, ErrAnswer)
		}
		return false, nil
	})
	return b, err
}

// request makes a request with a body of known size, with the token when it goes to the hub.
func (c *client) request(ctx context.Context, method, address string, body io.Reader, size int64) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, fmt.Errorf("invalid URL: %w", ErrAnswer)
	}
	if r.ContentLength = size; size == 0 {
		r.Body = http.NoBody
	}
	r.Header.Set("User-Agent", "cattlecounter")
	if !c.token.IsZero() && r.URL.Scheme+"://"+r.URL.Host == c.home {
		r.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	return r, nil
}
