package e2e

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// scissors passes connections on to the cloud and cuts each after so many bytes.
type scissors struct {
	l     net.Listener
	to    string
	after int64
	wg    sync.WaitGroup

	mu        sync.Mutex
	delivered int64 // bytes to the cloud
	cuts      int
}

func (c *scissors) accept() {
	defer c.wg.Done()
	for {
		in, err := c.l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", c.to)
		if err != nil {
			in.Close()
			continue
		}
		c.wg.Add(2)
		go func() {
			defer c.wg.Done()
			n, _ := io.CopyN(out, in, c.after)
			c.mu.Lock()
			c.delivered += n
			if n == c.after {
				c.cuts++
				_ = in.(*net.TCPConn).SetLinger(0) // a reset, as a modem makes it
			}
			c.mu.Unlock()
			in.Close()
			out.Close()
		}()
		go func() {
			defer c.wg.Done()
			_, _ = io.Copy(in, out)
			in.Close()
			out.Close()
		}()
	}
}

// The real agent and the real intake over a link that is reset every one and a
// half MiB: the file arrives whole, and no more than a block of 4 MiB per cut is
// sent twice; what the intake keeps is every byte, so it is next to nothing.
func TestCutsAgainstTheIntake(t *testing.T) {
	const size = 20<<20 + 4321
	s := newStage(t)
	s.startAPI()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &scissors{l: l, to: s.url("")[len("http://"):], after: 3<<19 + 777}
	c.wg.Add(1)
	go c.accept()
	over := sync.OnceFunc(func() { l.Close(); c.wg.Wait() })
	t.Cleanup(over)
	s.through = l.Addr().(*net.TCPAddr).Port

	film := make([]byte, size)
	random := rand.NewChaCha8([32]byte{4})
	_, _ = random.Read(film)
	copy(film, "\x00\x00\x00\x20ftypisom")
	s.dropBytes(film, "DJI_0001.MP4")
	s.startEdge()
	s.phase("DJI_0001.MP4", "waiting", 2*time.Minute)
	if err := s.edge.Stop(20 * time.Second); err != nil {
		t.Error(err)
	}
	s.edge = nil
	over()
	more := c.delivered - size // heads of requests, and what came twice
	t.Logf("%d cuts, %d bytes reached the cloud for a file of %d: %d more", c.cuts, c.delivered, size, more)
	const heads = 4 << 10 // of the requests of one connection
	if c.cuts < 10 || more < 0 || more > int64(c.cuts+2)*heads {
		t.Errorf("%d bytes more after %d cuts", more, c.cuts)
	}
}
