package faultproxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// server answers every connection after it has read want bytes, or all bytes when want is
// 0. It stores the bytes of each connection.
type server struct {
	l      net.Listener
	answer []byte
	want   int
	wg     sync.WaitGroup
	mu     sync.Mutex
	got    [][]byte
}

func newServer(t *testing.T, want int, answer string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{l: l, answer: []byte(answer), want: want}
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); s.wg.Wait() })
	return s
}

func (s *server) serve(c net.Conn) {
	defer c.Close()
	var b []byte
	if s.want == 0 {
		b, _ = io.ReadAll(c)
	} else {
		b = make([]byte, s.want)
		n, _ := io.ReadFull(c, b)
		b = b[:n]
	}
	s.mu.Lock()
	s.got = append(s.got, b)
	s.mu.Unlock()
	_, _ = c.Write(s.answer)
}

// arrived returns the bytes of each connection that has ended.
func (s *server) arrived() [][]byte {
	s.l.Close()
	s.wg.Wait()
	return s.got
}

func start(t *testing.T, s *server, o Options) *Proxy {
	t.Helper()
	o.To = s.l.Addr().String()
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func always(f Faults) func(Stats) Faults { return func(Stats) Faults { return f } }

func first(f Faults) func(Stats) Faults {
	return func(s Stats) Faults {
		if s.Connections == 0 {
			return f
		}
		return Faults{}
	}
}

// exchange sends b, closes that direction, and returns the answer.
func exchange(t *testing.T, p *Proxy, b []byte) ([]byte, error) {
	t.Helper()
	c := dial(t, p)
	if _, err := c.Write(b); err != nil {
		return nil, err
	}
	if err := c.CloseWrite(); err != nil {
		return nil, err
	}
	return io.ReadAll(c)
}

func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", p.Addr(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func wait(t *testing.T, p *Proxy, ok func(Stats) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.Wait(ctx, ok); err != nil {
		t.Fatal(err)
	}
}

func TestPassesOn(t *testing.T) {
	s := newServer(t, 0, "answer")
	p := start(t, s, Options{})
	b := bytes.Repeat([]byte("0123456789"), 100_000)
	if got, err := exchange(t, p, b); string(got) != "answer" || err != nil {
		t.Fatalf("%q %v", got, err)
	}
	if got := s.arrived(); len(got) != 1 || !bytes.Equal(got[0], b) {
		t.Error("the bytes that arrived differ")
	}
	if st := p.Stats(); st.Connections != 1 || st.Count() != 0 || st.Up != (Flow{Delivered: 1_000_000}) ||
		st.Down != (Flow{Delivered: 6}) {
		t.Errorf("%+v", st)
	}
}

// Exactly the bytes up to the cut arrive. All others that left the sender count as lost.
func TestCutUp(t *testing.T) {
	for _, at := range []int64{0, 1, 1000, 70_000} {
		s := newServer(t, 0, "")
		p := start(t, s, Options{Plan: first(Faults{CutUp: At(at)})})
		b := bytes.Repeat([]byte("x"), 100_000)
		if _, err := exchange(t, p, b); err == nil {
			t.Errorf("cut at %d: the connection was not reset", at)
		}
		wait(t, p, func(s Stats) bool { return s.Count(Cut) == 1 })
		if _, err := exchange(t, p, b); err != nil {
			t.Error(err)
		}
		got := s.arrived()
		slices.SortFunc(got, func(a, b []byte) int { return len(a) - len(b) })
		if len(got) != 2 || int64(len(got[0])) != at || len(got[1]) != len(b) {
			t.Errorf("at %d: %d connections", at, len(got))
		}
		st := p.Stats()
		if st.Count(Cut) != 1 || len(st.Recoveries()) != 1 || st.Up.Delivered != at+100_000 || st.Up.Lost <= 0 ||
			st.Up.Lost > 100_000-at {
			t.Errorf("at %d: %+v", at, st)
		}
	}
}

func TestCutDown(t *testing.T) {
	s := newServer(t, 5, "answer")
	p := start(t, s, Options{Plan: always(Faults{CutDown: At(2)})})
	c := dial(t, p)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if len(got) > 2 || !errors.Is(err, syscall.ECONNRESET) { // a reset may overtake bytes
		t.Errorf("%q %v", got, err)
	}
	if st := p.Stats(); st.Count(Cut) != 1 || st.Down != (Flow{Delivered: 2, Lost: 4}) {
		t.Errorf("%+v", st)
	}
}

// Only bytes after DownFrom bytes to the server count for the cut.
func TestCutDownFrom(t *testing.T) {
	s := newServer(t, 5, "answer")
	p := start(t, s, Options{Plan: always(Faults{CutDown: At(0), DownFrom: 6})})
	c := dial(t, p)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "answer" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

// A stalled connection transfers nothing in either direction, stays open, and continues.
func TestStallUntilReleased(t *testing.T) {
	s := newServer(t, 0, "answer")
	p := start(t, s, Options{Plan: always(Faults{Stall: &Stall{After: 3}})})
	c := dial(t, p)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	wait(t, p, func(s Stats) bool { return s.Count(Stalled) == 1 })
	if got := p.Stats().Up.Delivered; got != 3 {
		t.Errorf("%d bytes passed", got)
	}
	p.Release()
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "answer" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if st := p.Stats(); len(st.Recoveries()) != 1 || st.Up != (Flow{Delivered: 5}) {
		t.Errorf("%+v", st)
	}
}

func TestStallForATime(t *testing.T) {
	s := newServer(t, 0, "answer")
	p := start(t, s, Options{Plan: always(Faults{Stall: &Stall{For: 50 * time.Millisecond}})})
	began := time.Now()
	if got, err := exchange(t, p, []byte("hello")); string(got) != "answer" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("the stall took only %s", took)
	}
}

// With a loss of 1 % about every hundredth piece is lost. Another seed loses other pieces.
func TestLoss(t *testing.T) {
	run := func(seed uint64) (delivered []int64) {
		s := newServer(t, 0, "")
		p := start(t, s, Options{Seed: seed, Piece: 10, Plan: always(Faults{Loss: 0.01})})
		was := int64(0)
		for range 40 {
			_, _ = exchange(t, p, bytes.Repeat([]byte("x"), 20_000))
			wait(t, p, func(s Stats) bool { return s.Count(Reset) == s.Connections })
			now := p.Stats().Up.Delivered
			delivered, was = append(delivered, now-was), now
		}
		return delivered
	}
	a := run(1)
	sum := int64(0)
	for _, n := range a {
		sum += n
	}
	if mean := float64(sum) / 40 / 10; mean < 50 || mean > 200 {
		t.Errorf("a reset every %.0f pieces", mean)
	}
	if other := run(2); slices.Equal(a, other) {
		t.Error("another seed caused the same resets")
	}
}

func TestRate(t *testing.T) {
	s := newServer(t, 0, "answer")
	p := start(t, s, Options{Plan: always(Faults{Rate: 800_000})})
	began := time.Now()
	if got, err := exchange(t, p, make([]byte, 30_000)); string(got) != "answer" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("30,000 bytes at 100,000 a second in %s", took)
	}
}

// Each piece is delayed, but the pieces do not wait for one another.
func TestDelay(t *testing.T) {
	s := newServer(t, 0, "answer")
	p := start(t, s, Options{Plan: always(Faults{Rate: 1_000_000_000, Delay: 50 * time.Millisecond})})
	began := time.Now()
	b := make([]byte, 1_400_000) // a thousand pieces
	if got, err := exchange(t, p, b); string(got) != "answer" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if took := time.Since(began); took < 100*time.Millisecond || took > 25*time.Second {
		t.Errorf("%s", took)
	}
	if got := s.arrived(); len(got) != 1 || len(got[0]) != len(b) {
		t.Error("not all bytes arrived")
	}
}

// Pieces that are delayed when the connection is cut are lost.
func TestDelayAndCut(t *testing.T) {
	s := newServer(t, 0, "answer")
	p := start(t, s, Options{Plan: always(Faults{CutUp: At(10), Delay: time.Millisecond})})
	if _, err := exchange(t, p, make([]byte, 30_000)); err == nil {
		t.Error("the connection was not reset")
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if st := p.Stats(); st.Count(Cut) != 1 || st.Up.Delivered != 10 || st.Up.Lost <= 0 || st.Up.Lost > 29_990 {
		t.Errorf("%+v", st)
	}
}

func TestBlackHole(t *testing.T) {
	s := newServer(t, 0, "answer")
	p := start(t, s, Options{Plan: first(Faults{BlackHole: true})})
	c := dial(t, p)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	wait(t, p, func(s Stats) bool { return s.Count(BlackHole) == 1 })
	p.Release() // a hole stays one: only new connections pass
	if got, err := exchange(t, p, []byte("x")); string(got) != "answer" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if st := p.Stats(); st.Up != (Flow{Delivered: 1, Lost: 5}) || len(st.Recoveries()) != 1 {
		t.Errorf("%+v", st)
	}
}

func TestRefuse(t *testing.T) {
	s := newServer(t, 0, "answer")
	p := start(t, s, Options{})
	if err := errors.Join(p.Refuse(), p.Refuse()); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v %v", c, err)
	}
	if err := errors.Join(p.Accept(), p.Accept()); err != nil {
		t.Fatal(err)
	}
	if got, err := exchange(t, p, []byte("x")); string(got) != "answer" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if st := p.Stats(); st.Count(Refused) != 1 || len(st.Recoveries()) != 1 {
		t.Errorf("%+v", st)
	}
}

// Sever resets all open connections, also stalled ones. Without a server new connections
// are reset.
func TestSeverAndNoServer(t *testing.T) {
	s := newServer(t, 0, "answer")
	p := start(t, s, Options{Plan: first(Faults{Stall: &Stall{After: 2}})})
	c := dial(t, p)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	wait(t, p, func(s Stats) bool { return s.Count(Stalled) == 1 })
	p.Sever()
	if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
	s.arrived()
	if c, err := net.Dial("tcp", p.Addr()); err == nil { // else the reset came before that
		c.Close()
	}
	wait(t, p, func(s Stats) bool { return s.Count(NoServer) == 1 })
	p.Note()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if st := p.Stats(); st.Count(Cut) != 1 || st.Count(NoServer) != 1 || st.Count(Outside) != 1 ||
		st.Up != (Flow{Delivered: 2, Lost: 3}) {
		t.Errorf("%+v", st)
	}
}

func TestWaitEnds(t *testing.T) {
	p := start(t, newServer(t, 0, ""), Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrNoProgress)
	if err := p.Wait(ctx, func(Stats) bool { return false }); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
	if _, err := New(Options{Listen: "192.0.2.1:0"}); err == nil {
		t.Error("the proxy listens at an address of another machine")
	}
}

// Bytes over an older connection do not show that the link works again.
func TestRecoveryIsANewConnection(t *testing.T) {
	s := newServer(t, 2, "answer")
	p := start(t, s, Options{})
	c := dial(t, p)
	wait(t, p, func(s Stats) bool { return s.Connections == 1 })
	p.Note()
	if _, err := c.Write([]byte("xx")); err != nil {
		t.Fatal(err)
	}
	wait(t, p, func(s Stats) bool { return s.Up.Delivered == 2 })
	if got := p.Stats().Recoveries(); len(got) != 0 {
		t.Errorf("recovered after %v", got)
	}
	if got, err := exchange(t, p, []byte("xx")); string(got) != "answer" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	wait(t, p, func(s Stats) bool { return len(s.Recoveries()) == 1 })
}
