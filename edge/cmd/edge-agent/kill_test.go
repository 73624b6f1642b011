package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cattlecounter/edge/local"
	"cattlecounter/edge/spool"
	"cattlecounter/edge/status"
	"cattlecounter/shared/footage"
)

var kills = flag.Int("kills", 200, "how often TestKilledAnywhere kills the program")

// rounds is the number of kills; with -short a few show that the test itself works.
func rounds() int {
	const short = 10
	if testing.Short() {
		return min(*kills, short)
	}
	return *kills
}

// SIGKILL at random points, while files arrive, are read, sent and reclaimed, loses
// nothing. The test deletes files from the card as soon as they are spooled, so that
// no other copy exists.
func TestKilledAnywhere(t *testing.T) {
	s := newStation(t)
	s.useRelease()
	s.set("stable: 200ms", "stable: 100ms")
	random := rand.New(rand.NewPCG(7, uint64(*kills)))
	want := map[string]footage.Digest{} // by name
	removed := 0
	for i := range rounds() {
		if i%4 == 0 {
			name := fmt.Sprintf("film %d.mp4", i)
			s.film(name, 1+random.IntN(9<<20))
			b, err := os.ReadFile(filepath.Join(s.card, name))
			if err != nil {
				t.Fatal(err)
			}
			want[name] = footage.Sum(b)
		}
		s.start()
		if i%4 == 0 { // on a slow machine too some runs get to work
			s.until("up", func(status.Status) bool { return true })
		}
		until := time.Now().Add(time.Duration(30+random.IntN(400)) * time.Millisecond)
		for time.Now().Before(until) {
			removed += s.removeSpooled(time.Until(until))
		}
		s.kill()
		if i%20 == 0 {
			if r, err := spool.Fsck(t.Context(), spool.Options{Dir: s.spool}); err != nil && !os.IsNotExist(err) || err == nil &&
				!r.OK() {
				t.Errorf("after kill %d: %+v %v", i, r, err)
			}
		}
	}
	s.start()
	st := s.until("sent", allSent(len(want)))
	s.cloud.Lock()
	defer s.cloud.Unlock()
	size := int64(0)
	for _, f := range st.Footage {
		got := s.cloud.Footage[f.ID]
		if got == nil || got.SHA256 != want[f.Name] {
			t.Errorf("%s: %+v, want %s", f.Name, got, want[f.Name])
		}
		size += f.Size
	}
	if len(s.cloud.Footage) != len(want) {
		t.Errorf("%d pieces of footage arrived, want %d", len(s.cloud.Footage), len(want))
	}
	if removed == 0 && rounds() > 50 {
		t.Error("no run spooled anything before its kill")
	}
	t.Logf("%d kills, %d pieces of %d bytes, %d of them removed from the card after spooling; %d bytes arrived twice",
		rounds(), len(want), size, removed, s.cloud.Received-size)
}

// set changes the program's configuration.
func (s *station) set(from, to string) {
	s.t.Helper()
	b, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.config, bytes.Replace(b, []byte(from), []byte(to), 1), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// removeSpooled deletes the spooled files from the card and returns their number. It
// waits a little in any case.
func (s *station) removeSpooled(limit time.Duration) int {
	<-time.After(min(limit, 15*time.Millisecond)) // between two polls
	ctx, cancel := context.WithTimeout(s.t.Context(), max(limit, time.Millisecond))
	defer cancel()
	st, err := local.Status(ctx, s.spool)
	if err != nil {
		return 0
	}
	n := 0
	for _, f := range st.Footage {
		if f.State.HasContent() && os.Remove(filepath.Join(s.card, f.Name)) == nil {
			n++
		}
	}
	return n
}

// Repeated kills while the program saves a broken spool lose nothing.
func TestKilledInSalvage(t *testing.T) {
	s := newStation(t)
	s.useRelease()
	s.set("stable: 200ms", "stable: 100ms")
	s.start()
	s.order("pause") // before there is something that an upload could begin with
	const files = 5
	for i := range files {
		s.film(fmt.Sprintf("f%d.mp4", i), 5<<20+i)
	}
	s.until("spooled", func(st status.Status) bool {
		return st.Totals[status.PhaseSpooled] == files
	})
	s.kill()
	if err := os.RemoveAll(s.card); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range rounds() / 5 {
		_ = os.Remove(filepath.Join(s.spool, "store", "MANIFEST")) // a salvage may have moved it
		s.start()
		<-time.After(time.Duration(20+random.IntN(250)) * time.Millisecond) // the fault, not a wait
		s.kill()
	}
	s.start()
	st := s.until("up", func(status.Status) bool { return true })
	if st.Totals[status.PhaseSpooled] != files || !st.Agent.Paused {
		t.Errorf("%+v", st.Totals)
	}
	s.kill()
	if r, err := spool.Fsck(t.Context(), spool.Options{Dir: s.spool}); err != nil || !r.OK() || r.Footage != files {
		t.Errorf("%+v %v", r, err)
	}
}

// order gives the running program an order.
func (s *station) order(name string) {
	s.t.Helper()
	s.until("up", func(status.Status) bool { return true })
	if code, out, errs := program(s.t, "ctl", "-c", s.config, name); code != exitOK {
		s.t.Fatalf("%s: %d %s%s", name, code, out, errs)
	}
}
