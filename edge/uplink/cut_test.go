package uplink

import (
	"errors"
	"net/http/httptest"
	"testing"

	"cattlecounter/deploy/testkit/fakecloud"
	"cattlecounter/deploy/testkit/faultproxy"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// faultyLink is a proxy with faults to a server, until the end of the test.
func faultyLink(t *testing.T, srv *httptest.Server, plan func(faultproxy.Stats) faultproxy.Faults) *faultproxy.Proxy {
	t.Helper()
	p, err := faultproxy.New(faultproxy.Options{To: srv.Listener.Addr().String(), Plan: plan})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// A cut connection costs at most one block of 4 MiB: nothing with a server that stores every
// byte, as ours does, and less than a block with one that stores whole blocks only. The cuts
// fall into headers, bodies and between them.
func TestCutSendsAtMostOneBlockTwice(t *testing.T) {
	const size, block = 9<<20 + 12345, footage.ChunkSize
	offsets := []int64{0, 1, 100, 300, 500, 700, 900, 1100, 1500, 64 << 10, block - 1, block, block + 1, 2 * block,
		9 << 20, size, size + 500}
	for at := int64(777_777); at < size; at += 777_777 {
		offsets = append(offsets, at)
	}
	for name, c := range map[string]struct{ keeps, twice int64 }{"every byte": {1, 0},
		"whole blocks": {block, block - 1}} {
		t.Run(name, func(t *testing.T) {
			cuts, sum, most := 0, int64(0), int64(0)
			for _, at := range offsets {
				done, twice := cutAt(t, c.keeps, size, at)
				if twice < 0 || twice > c.twice {
					t.Errorf("cut after %d bytes: %d bytes were sent twice", at, twice)
				}
				cuts, sum, most = cuts+done, sum+twice, max(most, twice)
			}
			t.Logf("%d files of %d bytes, %d cuts: %d bytes were sent twice, at most %d in one file", len(offsets), size, cuts,
				sum, most)
			if cuts < len(offsets)-1 {
				t.Errorf("only %d cuts", cuts)
			}
		})
	}
}

// cutAt uploads a file whose first connection is cut. It returns the number of cuts and of
// bytes that arrived more than once.
func cutAt(t *testing.T, keeps, size, at int64) (cuts int, twice int64) {
	t.Helper()
	cloud := fakecloud.New(token)
	cloud.BlockSize = keeps
	srv := httptest.NewServer(cloud)
	defer srv.Close()
	proxy := faultyLink(t, srv, func(s faultproxy.Stats) (f faultproxy.Faults) {
		if s.Connections == 0 {
			f.CutUp = &at
		}
		return f
	})
	st := build(t, cloud, CloudOptions{URL: "http://" + proxy.Addr()}, nil)
	r := st.add("cut.mp4", int(size), false)
	for range 4 {
		err := st.up.transfer(t.Context(), st.record(r.ID))
		if err == nil {
			break
		}
		if !errors.Is(err, ErrLink) {
			t.Fatalf("cut after %d bytes: %v", at, err)
		}
	}
	rec := st.record(r.ID)
	cloud.Lock()
	f := cloud.Footage[r.ID]
	cloud.Unlock()
	if rec.State != spool.Reclaimed || f == nil || f.SHA256 != rec.SHA256 {
		t.Fatalf("cut after %d bytes: %+v", at, rec)
	}
	return proxy.Stats().Count(faultproxy.Cut), st.received() - size
}
