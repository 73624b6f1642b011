package cache

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("CACHE_TEST_HOLD"); dir != "" {
		path, _, err := New(Options{Dir: dir}).Get(context.Background(), want("held"), from("held"))
		fmt.Fprintln(os.Stdout, path, err)
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test kills the process
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func want(text string) Want {
	return Want{Digest: footage.Sum([]byte(text)), Size: int64(len(text)), Ext: ".mp4"}
}

func from(text string) func(context.Context, int64) (io.ReadCloser, error) {
	return func(_ context.Context, at int64) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text[at:])), nil
	}
}

var errAsked = errors.New("the store was asked")

func asked(context.Context, int64) (io.ReadCloser, error) { return nil, errAsked }

// get gets a file and checks its content.
func get(t *testing.T, c *Cache, text string) (release func()) {
	t.Helper()
	path, release, err := c.Get(t.Context(), want(text), from(text))
	must.Do(t, err)
	b, err := os.ReadFile(path)
	must.Do(t, err)
	if string(b) != text || filepath.Ext(path) != ".mp4" {
		t.Fatalf("%s holds %q", path, b)
	}
	return release
}

// files returns the contents of the files in the folder, sorted.
func files(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	must.Do(t, err)
	all := []string{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		must.Do(t, err)
		all = append(all, string(b))
	}
	slices.Sort(all)
	return all
}

// age sets the time of the last use of the file with the text.
func age(t *testing.T, dir, text string, ago time.Duration) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, want(text).Digest.String()+"*"))
	must.Do(t, err)
	for _, name := range names {
		must.Do(t, os.Chtimes(name, time.Time{}, time.Now().Add(-ago)))
	}
}

// TestCachedFilesAreReused checks that every worker reuses a cached file, and that no worker uses a damaged one.
func TestCachedFilesAreReused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	one, other := New(Options{Dir: dir, Limit: 100}), New(Options{Dir: dir, Limit: 100})
	get(t, one, "footage")()
	for _, c := range []*Cache{one, other} {
		path, release, err := c.Get(t.Context(), want("footage"), asked)
		must.Do(t, err)
		if b, err := os.ReadFile(path); err != nil || string(b) != "footage" {
			t.Errorf("%q %v", b, err)
		}
		release()
	}
	for name, damage := range map[string]string{"a bit": "foouage", "cut": "foot", "nothing": "", "zeros": "\x00\x00\x00\x00\x00\x00\x00", "longer": "footage "} {
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		must.Do(t, err)
		if len(names) != 1 {
			t.Fatalf("%s: %v", name, names)
		}
		must.Do(t, os.WriteFile(names[0], []byte(damage), 0o600))
		if _, _, err := one.Get(t.Context(), want("footage"), asked); !errors.Is(err, errAsked) {
			t.Errorf("%s: %v", name, err)
		}
		get(t, one, "footage")()
	}
}

func TestLeastRecentlyUsedIsEvicted(t *testing.T) {
	dir := t.TempDir()
	c, other := New(Options{Dir: dir, Limit: 12}), New(Options{Dir: dir, Limit: 12})
	held := get(t, other, "old ")
	for i, text := range []string{"2nd ", "3rd "} {
		get(t, c, text)()
		age(t, dir, text, time.Duration(2-i)*time.Hour)
	}
	age(t, dir, "old ", 9*time.Hour)
	get(t, c, "4th ")()
	if got := files(t, dir); !slices.Equal(got, []string{"3rd ", "4th ", "old "}) {
		t.Errorf("%q", got)
	}
	held()
	age(t, dir, "old ", 9*time.Hour)
	get(t, c, "3rd ")() // no longer the least recently used
	get(t, c, "large one")()
	if got := files(t, dir); !slices.Equal(got, []string{"large one"}) && !slices.Equal(got, []string{"3rd ", "large one"}) {
		t.Errorf("%q", got)
	}
	get(t, c, "larger than the limit")()
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("more than the limit is cached: %q", got)
	}
}

func TestWithoutALimitOnlyFilesInUseStay(t *testing.T) {
	dir := t.TempDir()
	c, other := New(Options{Dir: dir}), New(Options{Dir: dir})
	one, two := get(t, c, "footage"), get(t, other, "footage")
	one()
	if got := files(t, dir); !slices.Equal(got, []string{"footage"}) {
		t.Errorf("%q", got)
	}
	two()
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

// TestLocksEndWithTheProcess checks that a file of a live process stays, and that the file of a killed one is removed.
func TestLocksEndWithTheProcess(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "CACHE_TEST_HOLD="+dir)
	in, err := child.StdinPipe()
	must.Do(t, err)
	defer in.Close()
	out, err := child.StdoutPipe()
	must.Do(t, err)
	must.Do(t, child.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasSuffix(line, ".mp4 <nil>\n") {
		t.Fatalf("%q %v", line, err)
	}
	c := New(Options{Dir: dir})
	must.Do(t, c.Sweep())
	if got := files(t, dir); !slices.Equal(got, []string{"held"}) {
		t.Errorf("files while another process uses one: %q", got)
	}
	must.Do(t, child.Process.Kill())
	_ = child.Wait()
	must.Do(t, c.Sweep())
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("files of a killed process remain: %q", got)
	}
}

// TestSweepRemovesAbandonedDownloads checks that a sweep removes a partial file without a writer, keeps one with a
// writer, and ignores the files of other programs.
func TestSweepRemovesAbandonedDownloads(t *testing.T) {
	dir := t.TempDir()
	c := New(Options{Dir: dir, Limit: 1 << 20})
	left := filepath.Join(dir, footage.Sum([]byte("left")).String()+"-abcd2345.mp4"+part)
	must.Do(t, os.WriteFile(left, []byte("half"), 0o600))
	foreign := filepath.Join(t.TempDir(), "ledger.db")
	must.Do(t, os.WriteFile(foreign, []byte("not of the cache"), 0o600))
	must.Do(t, os.Link(foreign, filepath.Join(dir, "ledger.db"+part)))
	source, w := io.Pipe()
	got := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		_, release, err := c.Get(t.Context(), want("slow footage"), func(context.Context, int64) (io.ReadCloser, error) {
			close(began)
			return source, nil
		})
		if err == nil {
			release()
		}
		got <- err
	}()
	<-began
	must.Do(t, New(Options{Dir: dir}).Sweep())
	must.Do(t, os.Remove(filepath.Join(dir, "ledger.db"+part)))
	if all, _ := filepath.Glob(filepath.Join(dir, "*")); len(all) != 1 || !strings.HasSuffix(all[0], part) || all[0] == left {
		t.Errorf("%v", all)
	}
	_, err := w.Write([]byte("slow footage"))
	must.Do(t, errors.Join(err, w.Close(), <-got))
	if got := files(t, dir); !slices.Equal(got, []string{"slow footage"}) {
		t.Errorf("%q", got)
	}
	must.Do(t, New(Options{Dir: filepath.Join(dir, "not there")}).Sweep())
}

func TestWrongContent(t *testing.T) {
	broken := errors.New("connection reset")
	gone, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	for name, c := range map[string]struct {
		ctx    context.Context
		source io.Reader
		err    error
	}{
		"short":    {t.Context(), strings.NewReader("foot"), ErrContent},
		"long":     {t.Context(), strings.NewReader("footage and more"), ErrContent},
		"other":    {t.Context(), strings.NewReader("FOOTAGE"), ErrContent},
		"cut":      {t.Context(), io.MultiReader(strings.NewReader("foot"), failing{broken}), broken},
		"canceled": {gone, strings.NewReader("footage"), broken},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, _, err := New(Options{Dir: dir, Limit: 100}).Get(c.ctx, want("footage"), func(context.Context, int64) (io.ReadCloser, error) {
				return io.NopCloser(c.source), nil
			})
			if !errors.Is(err, c.err) {
				t.Error(err)
			}
			if got := files(t, dir); len(got) != 0 {
				t.Errorf("files remain: %q", got)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestFullDiskEvictsIdleFiles checks that a full disk evicts idle files within the limit. When that is not enough,
// nothing is downloaded.
func TestFullDiskEvictsIdleFiles(t *testing.T) {
	dir := t.TempDir()
	c := New(Options{Dir: dir, Limit: 1 << 20, Spare: 10})
	disk := int64(30)
	c.free = func(dir string) (int64, error) {
		free := disk
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		for _, name := range names {
			if info, err := os.Stat(name); err == nil && !strings.HasSuffix(name, part) {
				free -= info.Size()
			}
		}
		return free, err
	}
	held := get(t, c, "12345678")
	get(t, c, "abcdefgh")()
	get(t, c, "ABCDEFGH")()
	if got := files(t, dir); !slices.Equal(got, []string{"12345678", "ABCDEFGH"}) {
		t.Errorf("%q", got)
	}
	_, _, err := c.Get(t.Context(), want("too large here"), asked)
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "14 B are needed, 22 B are free, of which intake.min_free reserves 10 B") {
		t.Error(err)
	}
	if got := files(t, dir); !slices.Equal(got, []string{"12345678"}) {
		t.Errorf("%q", got)
	}
	held()
}

// TestManyWorkersShareASmallFolder checks that each worker has the right content while it uses a file, and that the
// limit holds at the end.
func TestManyWorkersShareASmallFolder(t *testing.T) {
	dir := t.TempDir()
	const limit = 40
	var wg sync.WaitGroup
	for i := range 4 {
		c := New(Options{Dir: dir, Limit: limit})
		wg.Go(func() {
			for n := range 60 {
				text := strings.Repeat(fmt.Sprint((i*7+n*3)%10), 10)
				path, release, err := c.Get(t.Context(), want(text), from(text))
				if err != nil {
					t.Error(err)
					return
				}
				if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, []byte(text)) {
					t.Errorf("%q %v", b, err)
				}
				release()
			}
		})
	}
	wg.Wait()
	if got := files(t, dir); len(got) > limit/10 || len(got) == 0 {
		t.Errorf("%q", got)
	}
}

func BenchmarkReuse(b *testing.B) {
	const size = 256 << 20
	dir := b.TempDir()
	text := strings.Repeat("0123456789abcdef", size/16)
	c := New(Options{Dir: dir, Limit: size})
	w := want(text)
	b.SetBytes(size)
	for b.Loop() {
		_, release, err := c.Get(b.Context(), w, from(text))
		if err != nil {
			b.Fatal(err)
		}
		release()
	}
}

// twoReaders is a store that answers requests from byte 0 with one reader and all others with another.
func twoReaders(begin, end io.Reader) func(context.Context, int64) (io.ReadCloser, error) {
	return func(ctx context.Context, at int64) (io.ReadCloser, error) {
		r := begin
		if at > 0 {
			r = end
		}
		return io.NopCloser(&requestBody{ctx, r}), nil
	}
}

// requestBody is a reader whose reads end with a context, as those of a request's body do.
type requestBody struct {
	ctx context.Context
	r   io.Reader
}

func (u *requestBody) Read(b []byte) (int, error) {
	type got struct {
		n   int
		err error
	}
	c := make(chan got, 1)
	mine := make([]byte, len(b))
	go func() {
		n, err := u.r.Read(mine)
		c <- got{n, err}
	}()
	select {
	case g := <-c:
		return copy(b, mine[:g.n]), g.err
	case <-u.ctx.Done():
		return 0, u.ctx.Err()
	}
}

func readAt(t *testing.T, l *Download, at int64, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := l.ReadAt(b, at); n != len(want) || err != nil || string(b) != want {
		t.Errorf("at %d: %q %v, want %q", at, b[:n], err, want)
	}
}

// TestPrefetch checks that the tail of a file can be read before its middle.
func TestPrefetch(t *testing.T) {
	source, w := io.Pipe()
	l, err := New(Options{Dir: t.TempDir()}).Begin(t.Context(), want("head middle tail"), twoReaders(source, strings.NewReader("tail")))
	must.Do(t, err)
	defer l.Close()
	_, err = w.Write([]byte("head "))
	must.Do(t, err)
	readAt(t, l, 0, "head")
	l.Prefetch(t.Context(), 12)
	readAt(t, l, 13, "ail")
	l.Prefetch(t.Context(), 5) // no effect: the tail is prefetched already
	_, err = w.Write([]byte("middle "))
	must.Do(t, err)
	readAt(t, l, 0, "head middle tail") // with the prefetched tail
	_, err = w.Write([]byte("tail"))
	must.Do(t, errors.Join(err, w.Close()))
	_, err = l.Wait(t.Context())
	must.Do(t, err)
	if l.Misled() {
		t.Error("misled by a tail with the same bytes")
	}
}

// TestWrongPrefetchIsHarmless checks that the complete file is right after every fault of a prefetch.
func TestWrongPrefetchIsHarmless(t *testing.T) {
	never, hold := io.Pipe()
	defer hold.Close()
	for name, end := range map[string]io.Reader{
		"other bytes": strings.NewReader("EVIL"), "never comes": never, "too short": strings.NewReader("t"), "fails": failing{errAsked},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			source, w := io.Pipe()
			l, err := New(Options{Dir: dir, Limit: 100}).Begin(t.Context(), want("head tail"), twoReaders(source, end))
			must.Do(t, err)
			_, err = w.Write([]byte("head "))
			must.Do(t, err)
			readAt(t, l, 0, "head")
			l.Prefetch(t.Context(), 5)
			if name != "never comes" {
				<-l.tail.done
			}
			if st, err := l.f.Stat(); err != nil || st.Size() != 9 {
				t.Errorf("%d bytes, %v", st.Size(), err)
			}
			prefetched := l.tailFrom == 5
			_, err = w.Write([]byte("tail"))
			must.Do(t, errors.Join(err, w.Close()))
			_, err = l.Wait(t.Context())
			must.Do(t, err)
			readAt(t, l, 5, "tail")
			if l.Misled() != prefetched || prefetched != (name == "other bytes") {
				t.Errorf("misled: %v, prefetched: %v", l.Misled(), prefetched)
			}
			l.Close()
			if got := files(t, dir); !slices.Equal(got, []string{"head tail"}) {
				t.Errorf("%q", got)
			}
		})
	}
}

// gated blocks until open is closed, even after the request has ended.
type gated struct {
	open chan struct{}
	r    io.Reader
}

func (g gated) Read(b []byte) (int, error) { <-g.open; return g.r.Read(b) }

// TestLatePrefetchIsIgnored checks a prefetch that answers after the download of the whole file.
func TestLatePrefetchIsIgnored(t *testing.T) {
	for name, from := range map[string]int64{"at a write": 5, "within a write": 7} {
		t.Run(name, func(t *testing.T) {
			dir, late := t.TempDir(), make(chan struct{})
			source, w := io.Pipe()
			l, err := New(Options{Dir: dir, Limit: 100}).Begin(t.Context(), want("head tail"), twoReaders(source, gated{late, strings.NewReader("EVIL"[from-5:])}))
			must.Do(t, err)
			_, err = w.Write([]byte("head "))
			must.Do(t, err)
			readAt(t, l, 0, "head")
			l.Prefetch(t.Context(), from)
			_, err = w.Write([]byte("tail"))
			must.Do(t, errors.Join(err, w.Close()))
			_, err = l.Wait(t.Context())
			must.Do(t, err)
			close(late)
			<-l.tail.done
			l.Close()
			if got := files(t, dir); !slices.Equal(got, []string{"head tail"}) || l.Misled() {
				t.Errorf("%q, misled: %v", got, l.Misled())
			}
		})
	}
}

func TestNoPrefetchOfDownloadedBytes(t *testing.T) {
	dir := t.TempDir()
	l, err := New(Options{Dir: dir, Limit: 100}).Begin(t.Context(), want("head tail"), twoReaders(strings.NewReader("head tail"), strings.NewReader("EVIL")))
	must.Do(t, err)
	_, err = l.Wait(t.Context())
	must.Do(t, err)
	for _, from := range []int64{5, 9} {
		if l.Prefetch(t.Context(), from); l.tail != nil {
			t.Errorf("prefetch from byte %d", from)
		}
	}
	l.Close()
}

func TestCloseWaitsForThePrefetch(t *testing.T) {
	source, w := io.Pipe()
	ended := false
	l, err := New(Options{Dir: t.TempDir()}).Begin(t.Context(), want("head tail"), func(ctx context.Context, at int64) (io.ReadCloser, error) {
		if at == 0 {
			return io.NopCloser(&requestBody{ctx, source}), nil
		}
		<-ctx.Done()
		<-time.After(10 * time.Millisecond)
		ended = true
		return nil, ctx.Err()
	})
	must.Do(t, err)
	_, err = w.Write([]byte("head "))
	must.Do(t, err)
	readAt(t, l, 0, "head")
	l.Prefetch(t.Context(), 5)
	l.Close()
	if !ended {
		t.Error("Close returned before the end of the prefetch")
	}
	must.Do(t, w.Close())
}
