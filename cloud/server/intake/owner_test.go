package intake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// as runs f with the token of another holder.
func (s *site) as(name string, role ledger.Role, f func()) {
	s.t.Helper()
	before := s.device
	s.device = ledger.Device{Name: name, Site: "south", Role: role}
	defer func() { s.device = before }()
	f()
}

// post tries to begin an upload.
func (s *site) post(size int, metadata ...string) reply {
	s.t.Helper()
	return s.do("POST", "/files/", nil, "Upload-Length", strconv.Itoa(size), "Upload-Metadata", meta(metadata...))
}

var (
	jpeg = []byte("\xff\xd8\xff\xe0 a picture")
	srt  = []byte("1\n00:00:00,000 --> 00:00:01,000\n[latitude: 46.9]\n")
)

// ownerStates are the states in which another device may find an id. Each leaves the id in
// use by base-1.
var ownerStates = map[string]func(s *site, id string, content []byte){
	"session": func(s *site, id string, content []byte) { s.create(len(content), "footage", id) },
	"part of the bytes": func(s *site, id string, content []byte) {
		s.wantPatch(s.create(len(content), "footage", id), 0, content[:2000])
	},
	"telemetry": func(s *site, id string, _ []byte) {
		s.wantPatch(s.create(len(srt), "footage", id, "kind", "telemetry"), 0, srt)
	},
	"thumbnail": func(s *site, id string, _ []byte) {
		s.wantPatch(s.create(len(jpeg), "footage", id, "kind", "thumbnail"), 0, jpeg)
	},
	"finished": func(s *site, id string, content []byte) { s.upload(content, "footage", id) },
	"deleted session": func(s *site, id string, content []byte) {
		path := s.create(len(content), "footage", id)
		if r := s.do("DELETE", path, nil); r.status != http.StatusNoContent {
			s.t.Fatalf("delete: %+v", r)
		}
	},
	"expired session": func(s *site, id string, content []byte) {
		s.create(len(content), "footage", id)
		s.clock.Advance(defaultExpire + time.Hour)
		must.Do(s.t, s.in.sweep(s.t.Context()))
	},
	"refused content": func(s *site, id string, content []byte) {
		path := s.create(len(content), "footage", id, "sha256", digestOf(srt))
		s.want(s.patch(path, 0, content), http.StatusUnprocessableEntity, wire.SlugHashMismatch)
	},
	"video removed": func(s *site, id string, content []byte) {
		f := s.upload(content, "footage", id)
		must.Do(s.t, s.blobs.Delete(s.t.Context(), f.BlobKey))
		must.Do(s.t, s.ledger.Footage.RemoveVideo(s.t.Context(), f.ID))
	},
}

// No device and no person can use the id of another device: neither with another kind of
// upload nor with another digest. The answer does not show the state of the id.
func TestForeignID(t *testing.T) {
	for state, prepare := range ownerStates {
		t.Run(state, func(t *testing.T) {
			s := newSite(t, t.TempDir())
			content := clip(state, 5000)
			id := strings.Repeat("x", 60) + "-end" // the longest id
			prepare(s, id, content)
			before := must.Get(s.ledger.Uploads.CountUnfinished(t.Context(), ""))(t)
			refused := map[string]bool{}
			for _, who := range []struct {
				name string
				role ledger.Role
			}{{"base-2", ledger.RoleDevice}, {"anna", ledger.RoleOperator}} {
				s.as(who.name, who.role, func() {
					for _, kind := range wire.Kinds() {
						for _, digest := range []string{"", digestOf(content), digestOf(srt)} {
							for _, as := range []string{id, strings.ToUpper(id), "X" + id[1:]} {
								pairs := []string{"footage", as, "kind", string(kind)}
								if digest != "" {
									pairs = append(pairs, "sha256", digest)
								}
								r := s.post(len(srt), pairs...)
								s.want(r, http.StatusConflict, wire.SlugConflict)
								refused[strings.ReplaceAll(r.problem.Detail, as, "ID")] = true
							}
						}
					}
				})
			}
			if len(refused) != 1 {
				t.Errorf("the answers differ: %v", refused)
			}
			if n := must.Get(s.ledger.Uploads.CountUnfinished(t.Context(), ""))(t); n != before {
				t.Errorf("%d open sessions, want %d", n, before)
			}
			if f := s.upload(content, "footage", id); f.Device != "base-1" || f.SHA256 != footage.Sum(content) {
				t.Errorf("the owner cannot upload: %+v", f.Footage)
			}
		})
	}
}

// The session of another device answers like an unknown session, to every method.
func TestForeignSession(t *testing.T) {
	s := newSite(t, t.TempDir())
	content, other := clip("x", 5000), clip("y", 5000)
	open, finished := s.create(len(content), "footage", "f1"), s.create(len(other), "footage", "f2")
	s.wantPatch(open, 0, content[:2000])
	s.wantPatch(finished, 0, other)
	ask := func(method, path string, headers ...string) string {
		r := s.do(method, path, strings.NewReader("cows"), headers...)
		r.header.Del("Date")
		return fmt.Sprintf("%d %v %s", r.status, r.header, r.body)
	}
	for _, path := range []string{open, finished} {
		s.as("base-2", ledger.RoleDevice, func() {
			for _, headers := range [][]string{
				{"Upload-Offset", "2000", "Content-Type", "application/offset+octet-stream"},
				{"Upload-Offset", "5000", "Content-Type", "application/offset+octet-stream"},
				{"Upload-Offset", "0"}, {}, {"Tus-Resumable", "0.9"}, {"X-HTTP-Method-Override", "DELETE"},
				{"Upload-Offset", "2000", "Content-Type", "application/offset+octet-stream", "Upload-Checksum", "sha1 x"},
			} {
				for _, method := range []string{"HEAD", "PATCH", "DELETE", "GET", "POST", "PUT"} {
					foreign, unknown := ask(method, path, headers...), ask(method, "/files/unknown", headers...)
					if foreign != unknown {
						t.Errorf("%s with %v:\n%s\nan unknown session:\n%s", method, headers, foreign, unknown)
					}
				}
			}
		})
	}
	if at := s.head(open); at != 2000 {
		t.Errorf("offset %d, want 2000", at)
	}
	s.wantPatch(open, 2000, content[2000:])
	for id, want := range map[footage.ID][]byte{"f1": content, "f2": other} {
		f := must.Get(s.ledger.Footage.Get(t.Context(), id))(t)
		if f.Device != "base-1" || !bytes.Equal(s.blob(f.BlobKey), want) {
			t.Errorf("%s: %+v, want the content of its owner", id, f.Footage)
		}
	}
}

// A request of another device does not interrupt a running upload.
func TestForeignRequestDoesNotInterrupt(t *testing.T) {
	s := newSite(t, t.TempDir())
	blobs := watch(s.in.blobs)
	s.in.blobs = blobs
	content := clip("x", 200_000)
	path := s.create(len(content), "footage", "f1")
	other := s.secondServer()
	other.device.Name = "base-2"
	// The other device uses the same server, whose locks it could take.
	other.in = s.in
	body, send := io.Pipe()
	answer := make(chan reply, 1)
	go func() {
		answer <- s.do("PATCH", path, body, "Upload-Offset", "0", "Content-Type", "application/offset+octet-stream")
	}()
	must.Get(send.Write(content[:100_000]))(t)
	blobs.wait(t, 50_000) // the request holds the lock of its session
	for _, method := range []string{"HEAD", "PATCH", "DELETE"} {
		r := other.do(method, path, nil, "Upload-Offset", "0", "Content-Type", "application/offset+octet-stream")
		if r.status != http.StatusNotFound {
			t.Errorf("%s: %+v", method, r)
		}
	}
	_, _ = send.Write(content[100_000:]) // fails after an interruption, which the answer shows
	must.Do(t, send.Close())
	if r := <-answer; r.status != http.StatusNoContent || r.header.Get("Upload-Offset") != strconv.Itoa(len(content)) {
		t.Errorf("the upload was interrupted: %+v", r)
	}
}

// Two devices begin uploads of one id on two servers at the same time. One of them gets it.
func TestTwoDevicesRaceForOneID(t *testing.T) {
	a := newSite(t, t.TempDir())
	b := a.secondServer()
	b.device.Name = "base-2"
	for i := range 10 {
		kinds := wire.Kinds()
		id, kind := fmt.Sprintf("f%d", i), string(kinds[i%len(kinds)])
		answers := make([]reply, 2)
		var both sync.WaitGroup
		for n, s := range []*site{a, b} {
			both.Go(func() { answers[n] = s.post(len(srt), "footage", id, "kind", kind) })
		}
		both.Wait()
		won := 0
		for _, r := range answers {
			switch {
			case r.status == http.StatusCreated:
				won++
			case r.status != http.StatusConflict || r.slug() != wire.SlugConflict:
				t.Errorf("got answer %+v", r)
			}
		}
		if won != 1 {
			t.Errorf("%d devices got the id %s, want 1", won, id)
		}
	}
}

// A server of an older version let another device begin a session with the id. Its
// finish is refused before anything of the owner is overwritten.
func TestForeignSessionOfAnOlderServer(t *testing.T) {
	for _, kind := range wire.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			s := newSite(t, t.TempDir())
			s.wantPatch(s.create(len(srt), "footage", "f1", "kind", "telemetry"), 0, srt)
			s.wantPatch(s.create(len(jpeg), "footage", "f1", "kind", "thumbnail"), 0, jpeg)
			content := map[wire.Kind][]byte{wire.KindVideo: clip("other", 3000), wire.KindTelemetry: []byte("2\n"),
				wire.KindThumbnail: []byte("\xff\xd8\xff\xe0 other")}[kind]
			var path string
			s.as("base-2", ledger.RoleDevice, func() {
				path = s.create(len(content), "footage", "other", "kind", string(kind))
				key := map[wire.Kind]string{wire.KindTelemetry: wire.TelemetryKey("f1"),
					wire.KindThumbnail: wire.ThumbnailKey("f1")}[kind]
				must.Get(s.ledger.DB().Exec(context.Background(), `UPDATE upload SET footage = 'f1', blob_key = $1 WHERE id = $2`,
					key, strings.TrimPrefix(path, "/files/")))(t)
				s.want(s.patch(path, 0, content), http.StatusConflict, wire.SlugConflict)
				s.wantGone(path)
			})
			if !bytes.Equal(s.blob(wire.TelemetryKey("f1")), srt) || !bytes.Equal(s.blob(wire.ThumbnailKey("f1")), jpeg) {
				t.Error("files of the owner were overwritten")
			}
			if f := s.upload(clip("x", 5000), "footage", "f1"); f.Device != "base-1" || f.TelemetryKey == "" {
				t.Errorf("got footage %+v", f.Footage)
			}
		})
	}
}

// A client without an id gets a new one, and its holder owns it.
func TestMadeIDHasAnOwner(t *testing.T) {
	s := newSite(t, t.TempDir())
	f := s.upload(clip("x", 5000))
	s.as("base-2", ledger.RoleDevice, func() {
		s.want(s.post(5000, "footage", string(f.ID)), http.StatusConflict, wire.SlugConflict)
	})
	if second := s.upload(clip("y", 5000)); second.ID == f.ID || second.Device != "base-1" {
		t.Errorf("got footage %+v", second.Footage)
	}
}
