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
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
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

// get gets a file and looks whether it is right.
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

// files is the contents of the folder, sorted.
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

// age makes the file with the text the one that was used so long ago.
func age(t *testing.T, dir, text string, ago time.Duration) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, want(text).Digest.String()+"*"))
	must.Do(t, err)
	for _, name := range names {
		must.Do(t, os.Chtimes(name, time.Time{}, time.Now().Add(-ago)))
	}
}

// What is there is used again, also by another worker, and what is damaged is not.
func TestUsedAgain(t *testing.T) {
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

// What was used longest ago goes first, and what is in use never.
func TestOldestGoFirst(t *testing.T) {
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
	get(t, c, "3rd ")() // which is not the oldest now
	get(t, c, "large one")()
	if got := files(t, dir); !slices.Equal(got, []string{"large one"}) && !slices.Equal(got, []string{"3rd ", "large one"}) {
		t.Errorf("%q", got)
	}
	get(t, c, "larger than the limit")()
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("more than the limit stays: %q", got)
	}
}

func TestOnlyWhatIsInUse(t *testing.T) {
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

// A killed process holds nothing any more; one that lives does.
func TestKilledProcess(t *testing.T) {
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
		t.Errorf("in use by another process: %q", got)
	}
	must.Do(t, child.Process.Kill())
	_ = child.Wait()
	must.Do(t, c.Sweep())
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("left by a killed process: %q", got)
	}
}

// Half a download that nobody writes any more goes whatever the limit; one that somebody
// writes stays, and what is none of the cache's is not touched.
func TestLeftOvers(t *testing.T) {
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
				t.Errorf("left behind: %q", got)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// With too little space on the disk idle files go although they are within the limit.
// When that is not enough, nothing is downloaded.
func TestNoSpace(t *testing.T) {
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
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "14 B are needed, 22 B are free, of which 10 B") {
		t.Error(err)
	}
	if got := files(t, dir); !slices.Equal(got, []string{"12345678"}) {
		t.Errorf("%q", got)
	}
	held()
}

// Several workers in one folder that is far too small: each has right content as long as
// it holds it, and in the end the limit holds.
func TestManyWorkers(t *testing.T) {
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

func BenchmarkUsedAgain(b *testing.B) {
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

// beside is a store that gives the beginning of a text through one reader and its end
// through another, to each request for it.
func beside(begin, end io.Reader) func(context.Context, int64) (io.ReadCloser, error) {
	return func(ctx context.Context, at int64) (io.ReadCloser, error) {
		r := begin
		if at > 0 {
			r = end
		}
		return io.NopCloser(&until{ctx, r}), nil
	}
}

// until is a reader whose reads end with a context, as a request's do.
type until struct {
	ctx context.Context
	r   io.Reader
}

func (u *until) Read(b []byte) (int, error) {
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

func readAt(t *testing.T, l *Filling, at int64, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := l.ReadAt(b, at); n != len(want) || err != nil || string(b) != want {
		t.Errorf("at %d: %q %v, want %q", at, b[:n], err, want)
	}
}

// The end of a file is there before the middle when it is asked for.
func TestAhead(t *testing.T) {
	source, w := io.Pipe()
	l, err := New(Options{Dir: t.TempDir()}).Begin(t.Context(), want("head middle tail"), beside(source, strings.NewReader("tail")))
	must.Do(t, err)
	defer l.Close()
	_, err = w.Write([]byte("head "))
	must.Do(t, err)
	readAt(t, l, 0, "head")
	l.Ahead(t.Context(), 12)
	readAt(t, l, 13, "ail")
	l.Ahead(t.Context(), 5) // once is enough
	_, err = w.Write([]byte("middle "))
	must.Do(t, err)
	readAt(t, l, 0, "head middle tail") // the last of which did not come in its turn
	_, err = w.Write([]byte("tail"))
	must.Do(t, errors.Join(err, w.Close()))
	_, err = l.Wait(t.Context())
	must.Do(t, err)
	if l.Misled() {
		t.Error("the same bytes came twice")
	}
}

// Nothing that comes before its turn can get into a file that has its digest, nor keep
// it from being made.
func TestAheadIsNotTrusted(t *testing.T) {
	never, hold := io.Pipe()
	defer hold.Close()
	for name, end := range map[string]io.Reader{
		"other bytes": strings.NewReader("LIAR"), "never comes": never, "too short": strings.NewReader("t"), "fails": failing{errAsked},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			source, w := io.Pipe()
			l, err := New(Options{Dir: dir, Limit: 100}).Begin(t.Context(), want("head tail"), beside(source, end))
			must.Do(t, err)
			_, err = w.Write([]byte("head "))
			must.Do(t, err)
			readAt(t, l, 0, "head")
			l.Ahead(t.Context(), 5)
			if name != "never comes" {
				<-l.ahead.done
			}
			if st, err := l.f.Stat(); err != nil || st.Size() != 9 {
				t.Errorf("%d bytes, %v", st.Size(), err)
			}
			given := l.tail == 5
			_, err = w.Write([]byte("tail"))
			must.Do(t, errors.Join(err, w.Close()))
			_, err = l.Wait(t.Context())
			must.Do(t, err)
			readAt(t, l, 5, "tail")
			if l.Misled() != given || given != (name == "other bytes") {
				t.Errorf("misled: %v, given out: %v", l.Misled(), given)
			}
			l.Close()
			if got := files(t, dir); !slices.Equal(got, []string{"head tail"}) {
				t.Errorf("%q", got)
			}
		})
	}
}

// gated gives what r has once open is closed, whatever becomes of the request.
type gated struct {
	open chan struct{}
	r    io.Reader
}

func (g gated) Read(b []byte) (int, error) { <-g.open; return g.r.Read(b) }

// What was asked for before its turn and comes after it changes nothing.
func TestAheadComesTooLate(t *testing.T) {
	for name, from := range map[string]int64{"at a write": 5, "within a write": 7} {
		t.Run(name, func(t *testing.T) {
			dir, late := t.TempDir(), make(chan struct{})
			source, w := io.Pipe()
			l, err := New(Options{Dir: dir, Limit: 100}).Begin(t.Context(), want("head tail"), beside(source, gated{late, strings.NewReader("LIAR"[from-5:])}))
			must.Do(t, err)
			_, err = w.Write([]byte("head "))
			must.Do(t, err)
			readAt(t, l, 0, "head")
			l.Ahead(t.Context(), from)
			_, err = w.Write([]byte("tail"))
			must.Do(t, errors.Join(err, w.Close()))
			_, err = l.Wait(t.Context())
			must.Do(t, err)
			close(late)
			<-l.ahead.done
			l.Close()
			if got := files(t, dir); !slices.Equal(got, []string{"head tail"}) || l.Misled() {
				t.Errorf("%q, misled: %v", got, l.Misled())
			}
		})
	}
}

// What is here is not asked for again.
func TestAheadOfWhatIsHere(t *testing.T) {
	dir := t.TempDir()
	l, err := New(Options{Dir: dir, Limit: 100}).Begin(t.Context(), want("head tail"), beside(strings.NewReader("head tail"), strings.NewReader("LIAR")))
	must.Do(t, err)
	_, err = l.Wait(t.Context())
	must.Do(t, err)
	for _, from := range []int64{5, 9} {
		if l.Ahead(t.Context(), from); l.ahead != nil {
			t.Errorf("from byte %d on", from)
		}
	}
	l.Close()
}

// Close ends a download that is before its turn as well.
func TestCloseEndsAhead(t *testing.T) {
	source, w := io.Pipe()
	ended := false
	l, err := New(Options{Dir: t.TempDir()}).Begin(t.Context(), want("head tail"), func(ctx context.Context, at int64) (io.ReadCloser, error) {
		if at == 0 {
			return io.NopCloser(&until{ctx, source}), nil
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
	l.Ahead(t.Context(), 5)
	l.Close()
	if !ended {
		t.Error("it is still under way")
	}
	must.Do(t, w.Close())
}
