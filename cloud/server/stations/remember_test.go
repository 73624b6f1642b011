package stations

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

// notes are the remembered documents.
type notes struct {
	mu  sync.Mutex
	all map[string]string
	put int
}

func (n *notes) Put(_ context.Context, device, document string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all[device] = document
	n.put++
	return nil
}

func (n *notes) All(context.Context) (map[string]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.all), nil
}

// restarted returns the table of the next start of the cloud, at the same time.
func (b *table) restarted() *table {
	b.t.Helper()
	b.remember(b.t.Context(), b.devices.all, true)
	next := &table{Table: New(b.o), t: b.t, clock: b.clock, devices: b.devices, seq: b.seq}
	must.Do(b.t, next.recall(b.t.Context(), b.devices.all))
	return next
}

// A station that is offline, or was online and does not come back, is known after a restart of the cloud.
func TestStationsAreRemembered(t *testing.T) {
	for name, online := range map[string]bool{"online": true, "offline": false} {
		t.Run(name, func(t *testing.T) {
			b := newTable(t)
			b.o.Memory = &notes{all: map[string]string{}}
			b.status(1, true, false)
			b.vitals(topic.Vitals{EverySeconds: 30, DiskFree: 42})
			b.send(dock.Footage("01a"), false, topic.Footage{Header: b.header(1), Footage: "01a", State: topic.Spooled, Size: 9})
			heard := b.clock.Now()
			b.clock.Advance(time.Second)
			if !online {
				b.status(1, false, false)
			}
			before := b.get().Station
			next := b.restarted()
			after := next.get().Station
			if got, want := fmt.Sprintf("%+v", plain(after)), fmt.Sprintf("%+v", plain(before)); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if after.Waiting != 1 || after.Vitals.DiskFree != 42 || !after.Seen.Equal(heard) {
				t.Errorf("got %+v", after)
			}
			next.clock.Advance(time.Hour)
			if online {
				next.want(wire.StationSilent, heard)
			} else {
				next.want(wire.StationOffline, *before.Since)
			}
			next.status(2, true, false)
			next.want(wire.StationOnline, next.clock.Now())
		})
	}
}

// plain is a station without the pointers.
func plain(v wire.Station) []any {
	return []any{v.Device, v.State, v.Since.String(), v.Seen.String(), v.Version, v.Waiting, v.WaitingBytes, v.At.String()}
}

func TestDocumentsAreStoredRarely(t *testing.T) {
	b := newTable(t)
	n := &notes{all: map[string]string{}}
	b.o.Memory = n
	wantPut := func(want int) {
		t.Helper()
		if b.remember(t.Context(), b.devices.all, false); n.put != want {
			t.Errorf("%d documents were stored, want %d", n.put, want)
		}
	}
	wantPut(0)
	b.status(1, true, false)
	wantPut(1)
	for range 9 {
		b.clock.Advance(30 * time.Second)
		b.vitals(topic.Vitals{})
		wantPut(1)
	}
	b.clock.Advance(30 * time.Second)
	b.vitals(topic.Vitals{})
	wantPut(2)
	b.status(1, false, false)
	wantPut(3)
	b.remember(t.Context(), b.devices.all, true)
	wantPut(3)
}

// A document holds the footage that the cloud does not have.
func TestDocumentsAreBounded(t *testing.T) {
	b := newTable(t)
	b.o.Memory = &notes{all: map[string]string{}}
	b.status(1, true, false)
	for n := range rememberFootage * 2 {
		id := footage.ID(fmt.Sprintf("%06d", n))
		state := map[bool]topic.FootageState{true: topic.Spooled, false: topic.Uploaded}[n < rememberFootage/2]
		b.send(dock.Footage(id), false, topic.Footage{Header: b.header(1), Footage: id, State: state, Size: 1})
	}
	v := b.restarted().get()
	if len(v.Footage) != rememberFootage || v.Waiting != rememberFootage/2 {
		t.Errorf("%d pieces, %d wait", len(v.Footage), v.Waiting)
	}
}

func TestDamagedDocumentIsLeftOut(t *testing.T) {
	for name, text := range map[string]string{
		"cut":             `{"site":"north"`,
		"odd footage":     `{"footage":[{"footage":"a","state":"x"}]}`,
		"odd vitals":      `{"vitals":{"disk_free":-1}}`,
		"too much of it":  `{"footage":[` + strings.Repeat("{},", rememberFootage) + `{}]}`,
		"of another site": `{"site":"south","known":true,"online":true,"heard":"2026-07-01T06:00:00Z"}`,
	} {
		b := newTable(t)
		b.o.Memory = &notes{all: map[string]string{dock.Name: text}}
		must.Do(t, b.recall(t.Context(), b.devices.all))
		if v := b.get(); v.State != wire.StationNever {
			t.Errorf("%s: got %+v", name, v)
		}
	}
}

// FuzzDocument checks that no stored document breaks the table.
func FuzzDocument(f *testing.F) {
	f.Add(`{"site":"north","known":true,"online":true,"session":1,"seq":5,"heard":"2026-07-01T06:00:00Z",
		"vitals":{"v":1},"footage":[{"v":1,"footage":"a","state":"spooled","size":4}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := readDocument(text)
		if err != nil {
			if !errors.Is(err, errPayload) {
				t.Fatalf("error without a class: %v", err)
			}
			return
		}
		b := newTable(t)
		b.enterDocument(dock, d)
		if v := b.get(); v.Waiting < 0 || v.WaitingBytes < 0 {
			t.Fatalf("got %+v", v)
		}
	})
}
