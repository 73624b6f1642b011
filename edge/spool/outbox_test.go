package spool

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

// messages returns the stored messages without their padding.
func messages(t *testing.T, s *Spool) map[string]string {
	t.Helper()
	all := map[string]string{}
	for k, b := range must.Get(s.Outbox.SavedMessages())(t) {
		all[k] = strings.TrimRight(string(b), " ")
	}
	return all
}

func TestMessagesAcrossRestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	key := strings.Repeat("k", 100)
	long := []byte(strings.Repeat("x", 60_000))
	must.Do(t, s.Outbox.SaveMessages(map[string][]byte{"a": []byte("1"), "b": []byte("2"), key: long}, nil))
	must.Do(t, s.Outbox.SaveMessages(map[string][]byte{"a": []byte("3")}, []string{"b", "unknown"}))
	closeSpool(t, s)
	s = open(t, dir)
	defer closeSpool(t, s)
	want := map[string]string{"a": "3", key: string(long)}
	if got := messages(t, s); !maps.Equal(got, want) {
		t.Errorf("%d messages after a restart, want the %d that were stored", len(got), len(want))
	}
}

// One transaction holds a full outbox.
func TestManyMessagesInOneTransaction(t *testing.T) {
	s := opened(t)
	put := map[string][]byte{}
	for i := range 10_000 {
		put[fmt.Sprintf("%064x", i)] = []byte(strings.Repeat("x", 800))
	}
	must.Do(t, s.Outbox.SaveMessages(put, nil))
	if got := messages(t, s); len(got) != len(put) {
		t.Errorf("%d messages are stored, want %d", len(got), len(put))
	}
	must.Do(t, s.Outbox.SaveMessages(nil, slices.Collect(maps.Keys(put))))
	if got := messages(t, s); len(got) != 0 {
		t.Errorf("%d messages are left after all were deleted", len(got))
	}
}

func TestSalvageAndFsckKnowMessages(t *testing.T) {
	h := newFullSpool(t)
	s := open(t, h.dir)
	want := map[string]string{}
	for i := range 50 {
		want[fmt.Sprint("k", i)] = fmt.Sprint("message ", i)
		must.Do(t, s.Outbox.SaveMessages(map[string][]byte{fmt.Sprint("k", i): []byte(want[fmt.Sprint("k", i)])}, nil))
	}
	closeSpool(t, s)
	r := must.Get(Fsck(t.Context(), Options{Dir: h.dir}))(t)
	if !r.OK() || r.Damaged != 0 {
		t.Errorf("check of a whole spool with messages: %+v", r)
	}
	for _, e := range must.Get(os.ReadDir(filepath.Join(h.dir, storeDir)))(t) {
		if filepath.Ext(e.Name()) != ".vlog" {
			must.Do(t, os.Remove(filepath.Join(h.dir, storeDir, e.Name())))
		}
	}
	s = open(t, h.dir)
	defer func() { closeSpool(t, s) }()
	if s.Salvaged() == nil {
		t.Fatal("a spool with only its value log was not salvaged")
	}
	h.check(t, s)
	if got := messages(t, s); !maps.Equal(got, want) {
		t.Errorf("%d messages after the salvage, want %d: %v", len(got), len(want), got)
	}
}

// Replaced messages do not fill the disk during weeks without a broker.
func TestGarbageOfMessagesIsCollected(t *testing.T) {
	s := opened(t)
	requested := false
	for range 2 * outboxGarbage >> 20 {
		must.Do(t, s.Outbox.SaveMessages(map[string][]byte{"a": []byte(strings.Repeat("x", 1<<20))}, nil))
		select {
		case <-s.store.collectNow.C():
			requested = true
			must.Do(t, s.Disk.Collect(t.Context()))
			s.store.collecting.Store(false)
		default:
		}
	}
	if !requested {
		t.Error("no garbage collection was requested")
	}
	if used := must.Get(s.Disk.Space())(t).Used; used > 2*outboxGarbage {
		t.Errorf("the spool uses %d bytes for one message", used)
	}
	if got := messages(t, s); len(got["a"]) != 1<<20 {
		t.Error("the message is lost")
	}
}
