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

	"cattlecounter/edge/agent"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

var kills = flag.Int("kills", 200, "how often TestKilledAnywhere kills the program")

// Killed with SIGKILL at random points, while files come, are read, are sent and
// are reclaimed, the program loses nothing: what it once called spooled is taken
// off the card at once, so that it is nowhere else.
func TestKilledAnywhere(t *testing.T) {
	s := newStation(t)
	s.ship()
	s.set("stable: 200ms", "stable: 100ms")
	random := rand.New(rand.NewPCG(7, uint64(*kills)))
	want := map[string]footage.Digest{} // by name
	taken := 0
	for i := range *kills {
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
		if i%4 == 0 { // however long this machine takes to start a program, some get to their work
			s.until("up", func(agent.Status) bool { return true })
		}
		until := time.Now().Add(time.Duration(30+random.IntN(400)) * time.Millisecond)
		for time.Now().Before(until) {
			taken += s.takeOffCard(time.Until(until))
		}
		s.kill()
		if i%20 == 0 {
			if r, err := spool.Fsck(t.Context(), spool.Options{Dir: s.spool}); err != nil && !os.IsNotExist(err) || err == nil && !r.OK() {
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
		t.Errorf("%d pieces arrived of %d", len(s.cloud.Footage), len(want))
	}
	if taken == 0 && *kills > 50 {
		t.Error("nothing was ever spooled before it was killed")
	}
	t.Logf("%d kills, %d pieces of %d bytes, %d of them taken off the card when they were spooled; %d bytes came twice",
		*kills, len(want), size, taken, s.cloud.Received-size)
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

// takeOffCard deletes what the program says is spooled, and returns how many
// files those were. It waits a little in any case.
func (s *station) takeOffCard(limit time.Duration) int {
	<-time.After(min(limit, 15*time.Millisecond)) // between two looks
	ctx, cancel := context.WithTimeout(s.t.Context(), max(limit, time.Millisecond))
	defer cancel()
	st, err := agent.AskStatus(ctx, s.spool)
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

// Killed while it makes a new spool out of a broken one, again and again, the
// program loses nothing either.
func TestKilledInSalvage(t *testing.T) {
	s := newStation(t)
	s.ship()
	s.set("stable: 200ms", "stable: 100ms")
	const files = 5
	for i := range files {
		s.film(fmt.Sprintf("f%d.mp4", i), 5<<20+i)
	}
	s.start()
	s.order("pause")
	s.until("spooled", func(st agent.Status) bool {
		return st.Totals[agent.PhaseSpooled] == files
	})
	s.kill()
	if err := os.RemoveAll(s.card); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range *kills / 5 {
		_ = os.Remove(filepath.Join(s.spool, "store", "MANIFEST")) // it may be on its way
		s.start()
		<-time.After(time.Duration(20+random.IntN(250)) * time.Millisecond) // the fault, not a wait
		s.kill()
	}
	s.start()
	st := s.until("up", func(agent.Status) bool { return true })
	if st.Totals[agent.PhaseSpooled] != files || !st.Agent.Paused {
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
	s.until("up", func(agent.Status) bool { return true })
	if code, out, errs := program(s.t, "ctl", "-c", s.config, name); code != exitOK {
		s.t.Fatalf("%s: %d %s%s", name, code, out, errs)
	}
}
