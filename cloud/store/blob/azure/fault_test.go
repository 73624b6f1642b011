package azure

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"cattlecounter/cloud/store/azstorage"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/secret"
)

// tap is a transport whose requests and answers a test can change.
type tap struct {
	mu     sync.Mutex
	before func(*http.Request) (*http.Response, error) // nil, nil: the request passes
}

func (p *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	before := p.before
	p.mu.Unlock()
	if before != nil {
		if resp, err := before(r); resp != nil || err != nil {
			return resp, err
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (p *tap) intercept(f func(*http.Request) (*http.Response, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before = f
}

func openTapped(t *testing.T, container string) (*Store, *tap) {
	t.Helper()
	p := &tap{}
	s, err := New(t.Context(), Options{Account: azstorage.Account{ConnectionString: azurite.Get(t).ConnectionString()},
		Container: container, Client: &http.Client{Transport: p}})
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

func film(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func content(t *testing.T, r io.ReadCloser, err error) []byte {
	t.Helper()
	must.Do(t, err)
	b, err := io.ReadAll(r)
	must.Do(t, errors.Join(err, r.Close()))
	return b
}

func isBlock(r *http.Request) bool { return r.URL.Query().Get("comp") == "block" }

func isList(r *http.Request) bool {
	return r.URL.Query().Get("comp") == "blocklist" && r.Method == http.MethodPut
}

var errCut = errors.New("connection reset by the test")

func answerWith(status int, code string, header ...string) *http.Response {
	h := http.Header{"X-Ms-Error-Code": {code}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: http.NoBody}
}

// A process that dies after it sent blocks and before it committed them loses none of them.
// Another replica finds them on the service up to the first gap, which is a block that
// never arrived.
func TestUncommittedBlocksAreFound(t *testing.T) {
	all := film(5*firstBlock + 1000)
	for name, c := range map[string]struct{ lost, want int64 }{"all arrived": {-1, int64(len(all))},
		"one is missing": {3, 3 * firstBlock}} {
		t.Run(name, func(t *testing.T) {
			container := newContainerName()
			s := open(t, container)
			must.Do(t, s.Stage(t.Context(), "u"))
			for at := int64(0); at < int64(len(all)); at += firstBlock {
				if at/firstBlock == c.lost {
					continue
				}
				b := block{at, min(firstBlock, int64(len(all))-at)}
				must.Do(t, s.stageBlock(t.Context(), stagePrefix+"u", b.id(), all[b.offset:b.end()]))
			}
			other := open(t, container)
			n, err := other.Staged(t.Context(), "u")
			if must.Do(t, err); n != c.want {
				t.Fatalf("%d bytes are staged, want %d", n, c.want)
			}
			_, err = other.Append(t.Context(), "u", n, bytes.NewReader(all[n:]))
			must.Do(t, err)
			_, err = other.Commit(t.Context(), "u", "k")
			must.Do(t, err)
			r, err := s.Open(t.Context(), "k", 0, -1)
			if !bytes.Equal(content(t, r, err), all) {
				t.Error("the blob has other bytes")
			}
		})
	}
}

// A block arrives although it was damaged on the way, refused for now by the service, or
// cut off.
func TestFaultsOfBlocks(t *testing.T) {
	all := film(3*firstBlock + 5)
	for name, fault := range map[string]func(*http.Request) (*http.Response, error){
		"500": func(*http.Request) (*http.Response, error) { return answerWith(500, "InternalError"), nil },
		"503": func(*http.Request) (*http.Response, error) {
			return answerWith(503, "ServerBusy", "Retry-After", "1"), nil
		},
		"cut": func(*http.Request) (*http.Response, error) { return nil, errCut },
		"bit": func(r *http.Request) (*http.Response, error) {
			b, err := io.ReadAll(r.Body)
			b[len(b)/2] ^= 1
			r.Body = io.NopCloser(bytes.NewReader(b))
			return nil, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := openTapped(t, newContainerName())
			must.Do(t, s.Stage(t.Context(), "u"))
			var n atomic.Int32
			p.intercept(func(r *http.Request) (*http.Response, error) {
				if isBlock(r) && n.Add(1)%2 == 1 || isList(r) && name != "bit" && n.Add(1)%2 == 1 {
					return fault(r)
				}
				return nil, nil
			})
			got, err := s.Append(t.Context(), "u", 0, bytes.NewReader(all))
			if err != nil || got != int64(len(all)) {
				t.Fatalf("%d bytes, %v", got, err)
			}
			p.intercept(nil)
			r, err := s.OpenStaged(t.Context(), "u", 0, -1)
			if !bytes.Equal(content(t, r, err), all) {
				t.Error("the staged bytes differ")
			}
		})
	}
}

// A block that the service refuses ends the append. The bytes before it count, and a later
// append continues there.
func TestServiceRefusesABlock(t *testing.T) {
	all := film(6 * firstBlock)
	s, p := openTapped(t, newContainerName())
	must.Do(t, s.Stage(t.Context(), "u"))
	bad := block{3 * firstBlock, firstBlock}
	p.intercept(func(r *http.Request) (*http.Response, error) {
		if isBlock(r) && r.URL.Query().Get("blockid") == bad.id() {
			return answerWith(403, "AuthorizationFailure"), nil
		}
		return nil, nil
	})
	n, err := s.Append(t.Context(), "u", 0, bytes.NewReader(all))
	if err == nil || n != bad.offset || !strings.Contains(err.Error(), "Azure answered 403 AuthorizationFailure") {
		t.Fatalf("%d bytes, %v", n, err)
	}
	p.intercept(nil)
	got, err := s.Staged(t.Context(), "u")
	if must.Do(t, err); got != n {
		t.Fatalf("%d bytes are staged, %d were reported", got, n)
	}
	_, err = s.Append(t.Context(), "u", n, bytes.NewReader(all[n:]))
	must.Do(t, err)
	r, err := s.OpenStaged(t.Context(), "u", 0, -1)
	if !bytes.Equal(content(t, r, err), all) {
		t.Error("the staged bytes differ")
	}
}

// Two replicas that append to one upload at the same time, against the contract, damage
// nothing: bytes that were reported to either replica are there.
func TestTwoReplicasAtOnce(t *testing.T) {
	all := film(9 * firstBlock / 2)
	container := newContainerName()
	a, p := openTapped(t, container)
	b := open(t, container)
	must.Do(t, a.Stage(t.Context(), "u"))
	once := sync.OnceFunc(func() {
		n, err := b.Staged(t.Context(), "u") // commits what a has sent so far
		if err != nil {
			t.Error(err)
		}
		if _, err := b.Append(t.Context(), "u", n, bytes.NewReader(all[n:])); err != nil {
			t.Error(err)
		}
	})
	p.intercept(func(r *http.Request) (*http.Response, error) {
		if isList(r) {
			once()
		}
		return nil, nil
	})
	n, err := a.Append(t.Context(), "u", 0, bytes.NewReader(all))
	if err != nil || n != int64(len(all)) {
		t.Errorf("%d bytes, %v", n, err)
	}
	r, err := a.OpenStaged(t.Context(), "u", 0, -1)
	if !bytes.Equal(content(t, r, err), all) {
		t.Error("the staged bytes differ")
	}
}

// A container that was deleted is recreated.
func TestContainerIsRecreated(t *testing.T) {
	s := open(t, newContainerName())
	for name, use := range map[string]func() error{
		"put":    func() error { _, err := s.Put(t.Context(), "k", strings.NewReader("x")); return err },
		"stage":  func() error { return s.Stage(t.Context(), "u") },
		"list":   func() error { return each(s, t) },
		"delete": func() error { return s.Delete(t.Context(), "k") },
	} {
		if _, err := s.box.Delete(t.Context(), nil); err != nil && !bloberror.HasCode(err, bloberror.ContainerNotFound) {
			t.Fatal(err)
		}
		if err := use(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := s.Put(t.Context(), "k", strings.NewReader("x"))
	must.Do(t, err)
	_, err = s.box.Delete(t.Context(), nil)
	must.Do(t, err)
	if _, err := s.Stat(t.Context(), "k"); !errors.Is(err, blob.ErrNotFound) {
		t.Error(err)
	}
}

func each(s *Store, t *testing.T) error {
	for _, err := range s.List(t.Context(), "") {
		if err != nil {
			return err
		}
	}
	return nil
}

// An upload of very many small pieces stays far from the limit of blocks, because its small
// blocks at the end are merged.
func TestManySmallPieces(t *testing.T) {
	s := open(t, newContainerName())
	s.mergeFrom = 100
	must.Do(t, s.Stage(t.Context(), "u"))
	name := stagePrefix + "u"
	st, err := s.loadStage(t.Context(), name)
	must.Do(t, err)
	var want strings.Builder
	var blocks []block
	for i := range s.mergeFrom {
		piece := strings.Repeat(string(rune('a'+i%26)), 3)
		b := block{int64(want.Len()), int64(len(piece))}
		_, err := s.box.NewBlockBlobClient(name).StageBlock(t.Context(), b.id(),
			streaming.NopCloser(strings.NewReader(piece)), nil)
		must.Do(t, err)
		blocks = append(blocks, b)
		want.WriteString(piece)
	}
	_, err = s.join(t.Context(), name, st, blocks)
	must.Do(t, err)
	n, err := s.Append(t.Context(), "u", int64(want.Len()), strings.NewReader("the end"))
	if must.Do(t, err); n != 7 {
		t.Fatalf("%d bytes", n)
	}
	r, err := s.OpenStaged(t.Context(), "u", 0, -1)
	if got := content(t, r, err); string(got) != want.String()+"the end" {
		t.Errorf("%d bytes", len(got))
	}
	if n := len(s.known(name).blocks); n != 1 {
		t.Errorf("%d blocks", n)
	}
}

// Two writes of the same size within a second have different versions, although the
// service's times have the resolution of a second.
func TestVersions(t *testing.T) {
	s := open(t, newContainerName())
	versions := map[string]bool{}
	for _, text := range []string{"one", "two", "six"} {
		_, err := s.Put(t.Context(), "k", strings.NewReader(text))
		must.Do(t, err)
		info, err := s.Stat(t.Context(), "k")
		must.Do(t, err)
		versions[info.Version] = true
	}
	if len(versions) != 3 || versions[""] {
		t.Errorf("%v", versions)
	}
}

// A large Put is one step: when its source breaks off or the service fails, the old blob
// stays and nothing else is left.
func TestLargePutIsAtomic(t *testing.T) {
	s, p := openTapped(t, newContainerName())
	all := film(2*firstBlock + 100)
	_, err := s.Put(t.Context(), "k", strings.NewReader("old"))
	must.Do(t, err)
	for _, broken := range []error{errCut, io.ErrUnexpectedEOF} {
		for _, at := range []int{100, firstBlock, firstBlock + 100} {
			_, err := s.Put(t.Context(), "k", io.MultiReader(bytes.NewReader(all[:at]), failing{broken}))
			if !errors.Is(err, broken) {
				t.Errorf("cut at %d by %v: %v", at, broken, err)
			}
		}
	}
	p.intercept(func(r *http.Request) (*http.Response, error) {
		if isList(r) {
			return answerWith(403, "AuthorizationFailure"), nil
		}
		return nil, nil
	})
	if _, err := s.Put(t.Context(), "k", bytes.NewReader(all)); err == nil {
		t.Error("the call succeeded, want an error")
	}
	p.intercept(nil)
	r, err := s.Open(t.Context(), "k", 0, -1)
	if string(content(t, r, err)) != "old" {
		t.Error("the old blob is missing")
	}
	info, err := s.Put(t.Context(), "k", bytes.NewReader(all))
	must.Do(t, err)
	r, err = s.Open(t.Context(), "k", 0, -1)
	if !bytes.Equal(content(t, r, err), all) || info.Size != int64(len(all)) {
		t.Errorf("%+v", info)
	}
	names := 0
	for page := s.box.NewListBlobsFlatPager(nil); page.More(); {
		got, err := page.NextPage(t.Context())
		must.Do(t, err)
		names += len(got.Segment.BlobItems)
	}
	if names != 1 {
		t.Errorf("%d blobs in the container", names)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A small blob that arrives damaged is sent again.
func TestDamagedPut(t *testing.T) {
	s, p := openTapped(t, newContainerName())
	var n atomic.Int32
	p.intercept(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPut && n.Add(1) == 1 {
			b, err := io.ReadAll(r.Body)
			b[0] ^= 1
			r.Body = io.NopCloser(bytes.NewReader(b))
			return nil, err
		}
		return nil, nil
	})
	_, err := s.Put(t.Context(), "k", strings.NewReader("whole"))
	must.Do(t, err)
	r, err := s.Open(t.Context(), "k", 0, -1)
	if got := string(content(t, r, err)); got != "whole" || n.Load() < 2 {
		t.Errorf("%q after %d requests", got, n.Load())
	}
}

// A blob that is being copied is invisible in every method.
func TestPendingCopyIsInvisible(t *testing.T) {
	s, p := openTapped(t, newContainerName())
	_, err := s.Put(t.Context(), "k", strings.NewReader("half"))
	must.Do(t, err)
	p.intercept(func(r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			resp.Header.Set("X-Ms-Copy-Status", "pending")
		}
		return resp, err
	})
	_, open := s.Open(t.Context(), "k", 0, -1)
	_, stat := s.Stat(t.Context(), "k")
	if !errors.Is(open, blob.ErrNotFound) || !errors.Is(stat, blob.ErrNotFound) {
		t.Errorf("%v, %v", open, stat)
	}
}

// A link needs no credentials, permits only reads, and expires.
func TestLink(t *testing.T) {
	s := open(t, newContainerName())
	_, err := s.Put(t.Context(), "footage/f/result.csv", strings.NewReader("a,b"))
	must.Do(t, err)
	u, err := s.Link(t.Context(), "footage/f/result.csv", time.Hour)
	must.Do(t, err)
	resp, err := http.Get(u)
	must.Do(t, err)
	if got := content(t, resp.Body, nil); resp.StatusCode != 200 || string(got) != "a,b" {
		t.Errorf("%s %q", resp.Status, got)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, u, strings.NewReader("x"))
	must.Do(t, err)
	req.Header.Set("X-Ms-Blob-Type", "BlockBlob")
	resp, err = http.DefaultClient.Do(req)
	must.Do(t, err)
	resp.Body.Close()
	if resp.StatusCode < 400 {
		t.Errorf("a link for reads permits a write: %s", resp.Status)
	}
	old, err := s.link(t.Context(), "footage/f/result.csv", -time.Minute)
	must.Do(t, err)
	resp, err = http.Get(old)
	must.Do(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("an expired link: %s", resp.Status)
	}
	if _, err := s.Link(t.Context(), "footage/f/other.csv", time.Hour); !errors.Is(err, blob.ErrNotFound) {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	both := azstorage.Account{URL: "https://x.example", ConnectionString: secret.New("x")}
	for _, o := range []Options{{}, {Container: "c"}, {Account: azstorage.Account{URL: "https://x.example"}},
		{Container: "c", Account: both},
		{Container: "c", Account: azstorage.Account{ConnectionString: secret.New("AccountKey=hush")}}} {
		if _, err := New(t.Context(), o); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%v", err)
		}
	}
}

// Commit copies with the account's key. A link would leave a read permission in the
// service's log, and the emulator would read the whole blob to check it.
func TestCommitCopiesByTheKey(t *testing.T) {
	s, p := openTapped(t, newContainerName())
	must.Do(t, s.Stage(t.Context(), "u"))
	_, err := s.Append(t.Context(), "u", 0, strings.NewReader("all"))
	must.Do(t, err)
	var sources []string
	p.intercept(func(r *http.Request) (*http.Response, error) {
		for name, v := range r.Header { // the SDK spells the name differently than Go
			if strings.EqualFold(name, "X-Ms-Copy-Source") {
				sources = append(sources, v...)
			}
		}
		return nil, nil
	})
	_, err = s.Commit(t.Context(), "u", "k")
	must.Do(t, err)
	if len(sources) != 1 || strings.Contains(sources[0], "?") {
		t.Errorf("copied from %v", sources)
	}
}

// When an answer is lost, the SDK repeats the request and the service refuses it, because
// the first request succeeded. Stat shows the new blob.
func TestLostAnswerToReplace(t *testing.T) {
	s, p := openTapped(t, newContainerName())
	first, err := s.Replace(t.Context(), "k", "", strings.NewReader("one"))
	must.Do(t, err)
	var asked atomic.Int32
	p.intercept(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodPut || asked.Add(1) > 1 {
			return nil, nil
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		must.Do(t, err)
		must.Do(t, resp.Body.Close())
		return nil, errCut
	})
	_, err = s.Replace(t.Context(), "k", first.Version, strings.NewReader("two"))
	if !errors.Is(err, blob.ErrChanged) || asked.Load() != 2 {
		t.Errorf("after %d requests: %v", asked.Load(), err)
	}
	r, err := s.Open(t.Context(), "k", 0, -1)
	if got := content(t, r, err); string(got) != "two" {
		t.Errorf("%q", got)
	}
	now, err := s.Stat(t.Context(), "k")
	must.Do(t, err)
	_, err = s.Replace(t.Context(), "k", now.Version, strings.NewReader("three"))
	must.Do(t, err)
}
