package uplink

import (
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"sync"
	"testing"

	"cattlecounter/edge/spool"
	"cattlecounter/edge/uplink/fakecloud"
	"cattlecounter/shared/footage"
)

// cutter passes connections on, and cuts each after so many bytes to the server.
type cutter struct {
	t    *testing.T
	l    net.Listener
	to   string
	wg   sync.WaitGroup
	mu   sync.Mutex
	cuts []int64 // of the next connections; none left: not cut
	done int
}

func newCutter(t *testing.T, to string, cuts []int64) *cutter {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{t: t, l: l, to: to, cuts: cuts}
	c.wg.Add(1)
	go c.accept()
	t.Cleanup(func() { l.Close(); c.wg.Wait() })
	return c
}

func (c *cutter) accept() {
	defer c.wg.Done()
	for {
		in, err := c.l.Accept()
		if err != nil {
			return
		}
		out, err := (&net.Dialer{}).DialContext(c.t.Context(), "tcp", c.to)
		if err != nil {
			in.Close()
			continue
		}
		c.wg.Add(2)
		go c.up(in, out)
		go func() {
			defer c.wg.Done()
			_, _ = io.Copy(in, out)
			in.Close()
			out.Close()
		}()
	}
}

// up carries what goes to the server, and resets both sides at the cut.
func (c *cutter) up(in, out net.Conn) {
	defer c.wg.Done()
	defer in.Close()
	defer out.Close()
	c.mu.Lock()
	limit := int64(1) << 40
	if len(c.cuts) > 0 {
		limit, c.cuts = c.cuts[0], c.cuts[1:]
	}
	c.mu.Unlock()
	if n, _ := io.CopyN(out, in, limit); n == limit {
		c.mu.Lock()
		c.done++
		c.mu.Unlock()
		_ = in.(*net.TCPConn).SetLinger(0)
	}
}

// Wherever a connection is cut, at most one block of 4 MiB is sent twice: nothing
// with a server that keeps every byte, as ours does, and less than a block with
// one that keeps whole blocks only. The bytes before the cut hold the requests as
// well, so the cuts fall into heads, bodies and between them.
func TestCutSendsAtMostOneBlockTwice(t *testing.T) {
	const size, block = 9<<20 + 12345, footage.ChunkSize
	offsets := []int64{0, 1, 100, 300, 500, 700, 900, 1100, 1500, 64 << 10, block - 1, block, block + 1, 2 * block, 9 << 20, size, size + 500}
	for at := int64(777_777); at < size; at += 777_777 {
		offsets = append(offsets, at)
	}
	for name, c := range map[string]struct{ keeps, twice int64 }{"every byte": {1, 0}, "whole blocks": {block, block - 1}} {
		t.Run(name, func(t *testing.T) {
			cuts, sum, most := 0, int64(0), int64(0)
			for _, at := range offsets {
				done, twice := cutAt(t, c.keeps, size, at)
				if twice < 0 || twice > c.twice {
					t.Errorf("cut after %d bytes: %d bytes were sent twice", at, twice)
				}
				cuts, sum, most = cuts+done, sum+twice, max(most, twice)
			}
			t.Logf("%d files of %d bytes, %d cuts: %d bytes were sent twice, at most %d in one file", len(offsets), size, cuts, sum, most)
			if cuts < len(offsets)-1 {
				t.Errorf("only %d cuts", cuts)
			}
		})
	}
}

// cutAt uploads a file whose first connection is cut, and returns how many cuts
// there were and how many bytes came more than once.
func cutAt(t *testing.T, keeps, size, at int64) (cuts int, twice int64) {
	t.Helper()
	cloud := fakecloud.New(token)
	cloud.Keeps = keeps
	srv := httptest.NewServer(cloud)
	defer srv.Close()
	proxy := newCutter(t, srv.Listener.Addr().String(), []int64{at})
	st := build(t, cloud, CloudOptions{URL: "http://" + proxy.l.Addr().String()}, nil)
	r := st.add("cut.mp4", int(size), false)
	for range 4 {
		err := st.up.transfer(t.Context(), st.must(r.ID))
		if err == nil {
			break
		}
		if !errors.Is(err, ErrLink) {
			t.Fatalf("cut after %d bytes: %v", at, err)
		}
	}
	rec := st.must(r.ID)
	cloud.Lock()
	f := cloud.Footage[string(r.ID)]
	cloud.Unlock()
	if rec.State != spool.Reclaimed || f == nil || f.SHA256 != rec.SHA256.String() {
		t.Fatalf("cut after %d bytes: %+v", at, rec)
	}
	proxy.mu.Lock()
	defer proxy.mu.Unlock()
	return proxy.done, st.received() - size
}
