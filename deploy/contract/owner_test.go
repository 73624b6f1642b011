package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/fakecloud"
	"cattlecounter/edge/spool"
	"cattlecounter/edge/uplink"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

// link is a spool with the station's real uplink.
type link struct {
	t       *testing.T
	spool   *spool.Spool
	changed chan struct{}
}

func newLink(t *testing.T, dir string) *link {
	t.Helper()
	sp, err := spool.Open(spool.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	l := &link{t: t, spool: sp, changed: make(chan struct{}, 1)}
	sp.Records.OnChange(func(spool.Record) {
		select {
		case l.changed <- struct{}{}:
		default:
		}
	})
	return l
}

// add spools footage with all its parts.
func (l *link) add(name, seed string) spool.Record {
	l.t.Helper()
	r, err := l.spool.Captures.Add(spool.Source{Path: "/card/" + name, Size: int64(len(clip(seed)))}, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.spool.Captures.BeginRead(r.ID); err != nil {
		l.t.Fatal(err)
	}
	put := func(p spool.Part, b []byte) footage.File {
		f := footage.File{Name: name, Size: int64(len(b)), SHA256: footage.Sum(b),
			Chunks: []footage.Chunk{{Size: int64(len(b)), SHA256: footage.Sum(b)}}}
		if err := l.spool.Content.PutChunk(r.ID, p, f.Chunks[0], b); err != nil {
			l.t.Fatal(err)
		}
		return f
	}
	srt, small := put(spool.Telemetry, log(seed)), put(spool.Thumbnail, picture(seed))
	if r, err = l.spool.Captures.Commit(footage.Manifest{Version: footage.ManifestVersion, Footage: r.ID,
		Video: put(spool.Video, clip(seed)), Telemetry: &srt, Thumbnail: &small}); err != nil {
		l.t.Fatal(err)
	}
	return r
}

func log(seed string) []byte     { return []byte("1\n00:00:00,000 --> 00:00:01,000\n" + seed + "\n") }
func picture(seed string) []byte { return []byte("\xff\xd8\xff\xe0 " + seed) }

// run starts the uplink of a device; it ends with the test.
func (l *link) run(c *cloud, token secret.String) {
	l.t.Helper()
	up, err := uplink.New(uplink.Options{Spool: uplink.Spool{Records: l.spool.Records, Content: l.spool.Content,
		Uploads: l.spool.Uploads, Recovery: l.spool.Recovery, Link: l.spool.Link}, Cloud: c.client(l.t, token, nil)})
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- up.Run(ctx) }()
	l.t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, l.spool.Close()); err != nil {
			l.t.Error(err)
		}
	})
}

// reclaimed waits until the cloud has confirmed footage and the spool has deleted it.
func (l *link) reclaimed(id footage.ID) spool.Record {
	l.t.Helper()
	limit := time.After(time.Minute)
	for {
		r, _ := l.spool.Records.Get(id)
		if r.State == spool.Reclaimed {
			return r
		}
		select {
		case <-l.changed:
		case <-limit:
			l.t.Fatalf("not confirmed: %+v", r)
		}
	}
}

// wantParts checks that the cloud has footage of a device with its own parts.
func (c *cloud) wantParts(t *testing.T, id footage.ID, device, seed string) ledger.FootageView {
	t.Helper()
	v, err := c.ledger.Footage.Get(t.Context(), id)
	if err != nil || v.Device != device || v.SHA256 != footage.Sum(clip(seed)) || v.TelemetryKey != wire.TelemetryKey(id) {
		t.Errorf("%s: %+v %v, want footage %s of %s", id, v.Footage, err, seed, device)
	}
	for key, want := range map[string][]byte{wire.TelemetryKey(id): log(seed), wire.ThumbnailKey(id): picture(seed)} {
		if got := c.blob(t, key); !bytes.Equal(got, want) {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	return v
}

// Two stations have one spool, because the disk of one was copied. Both send everything:
// one under the id of the spool, the other under an id that it chooses.
func TestTwoStationsWithOneID(t *testing.T) {
	c := newCloud(t)
	dirs := []string{t.TempDir(), t.TempDir()}
	l := newLink(t, dirs[0])
	const all = 4
	var ids []footage.ID
	for i := range all {
		ids = append(ids, l.add(fmt.Sprintf("DJI_000%d.MP4", i), fmt.Sprint("seed", i)).ID)
	}
	if err := l.spool.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dirs[1], os.DirFS(dirs[0])); err != nil {
		t.Fatal(err)
	}
	devices := []string{device, "dock-2"}
	tokens := []secret.String{c.token, c.add("dock-2", ledger.RoleDevice)}
	links := []*link{newLink(t, dirs[0]), newLink(t, dirs[1])}
	for n := range links {
		links[n].run(c, tokens[n])
	}
	for i, id := range ids {
		kept := 0
		var duplicates int
		for n := range links {
			r := links[n].reclaimed(id)
			if r.CloudID() == id {
				kept++
			}
			if v := c.wantParts(t, r.CloudID(), devices[n], fmt.Sprint("seed", i)); v.DuplicateOf != "" {
				duplicates++
			}
		}
		if kept != 1 || duplicates != 1 {
			t.Errorf("%s: %d stations kept the id and %d have a duplicate, want 1 and 1", id, kept, duplicates)
		}
	}
}

// A device that knows the id of another station's footage cannot take it, read it or
// change it. Where it was first, the station sends everything under a new id.
func TestAttackOnAnID(t *testing.T) {
	c := newCloud(t)
	attacker := c.client(t, c.add("attacker", ledger.RoleDevice), nil)
	station := newLink(t, t.TempDir())
	// The attacker is first, with every kind.
	taken := map[wire.Kind]footage.ID{}
	for _, kind := range wire.Kinds() {
		id := station.add("first-"+string(kind)+".MP4", "first "+string(kind)).ID
		content := map[wire.Kind][]byte{wire.KindVideo: clip("evil"), wire.KindTelemetry: log("evil"),
			wire.KindThumbnail: picture("evil")}[kind]
		m := wire.Metadata{Filename: "x", Footage: id, Kind: kind, SHA256: footage.Sum(content)}
		if err := upload(t, attacker, m, content); err != nil {
			t.Fatal(err)
		}
		taken[kind] = id
	}
	safe := station.add("second.MP4", "second")
	station.run(c, c.token)
	for kind, id := range taken {
		r := station.reclaimed(id)
		if r.UploadedAs == "" {
			t.Errorf("%s: the id was taken: %+v", kind, r)
		}
		c.wantParts(t, r.CloudID(), device, "first "+string(kind))
	}
	station.reclaimed(safe.ID)
	c.wantParts(t, safe.ID, device, "second")

	// The attacker is second, with the id in every form and the address of the session.
	for _, id := range []footage.ID{safe.ID, footage.ID(strings.ToUpper(string(safe.ID)))} {
		for _, kind := range wire.Kinds() {
			for _, content := range [][]byte{clip("second"), log("evil")} {
				_, err := attacker.Create(t.Context(), int64(len(content)),
					wire.Metadata{Footage: id, Kind: kind, SHA256: footage.Sum(content)})
				if !errors.Is(err, uplink.ErrIDTaken) {
					t.Errorf("%s under %s: %v, want ErrIDTaken", kind, id, err)
				}
			}
		}
		if got, err := attacker.Footage(t.Context(), id); !errors.Is(err, uplink.ErrNotFound) {
			t.Errorf("the attacker reads %+v, %v", got, err)
		}
	}
	us, err := c.ledger.Uploads.List(t.Context(), time.Time{}, 100)
	if err != nil || len(us) == 0 {
		t.Fatal(us, err)
	}
	for _, u := range us {
		if u.Device != device {
			continue
		}
		to := c.url + wire.FilesPath + u.ID
		if _, err := attacker.Offset(t.Context(), to, u.Size); !errors.Is(err, uplink.ErrNotFound) {
			t.Errorf("HEAD of a foreign session: %v", err)
		}
		if _, err := attacker.Patch(t.Context(), to, 0, u.Size, bytes.NewReader(make([]byte, u.Size))); !errors.Is(err,
			uplink.ErrNotFound) {
			t.Errorf("PATCH of a foreign session: %v", err)
		}
	}
	c.wantParts(t, safe.ID, device, "second")
}

// A station needs no change for a server that wants a token for reading.
func TestStationWithoutOpenReading(t *testing.T) {
	c := newCloud(t, func(cfg *config.Config) { cfg.HTTP.OpenReading = false })
	l := newLink(t, t.TempDir())
	r := l.add("DJI_0001.MP4", "seed")
	l.run(c, c.token)
	l.reclaimed(r.ID)
	c.wantParts(t, r.ID, device, "seed")
}

// The fake cloud of the station's tests answers to taken ids as the real one does.
func TestFakeCloudAnswersAlike(t *testing.T) {
	c := newCloud(t)
	other := c.client(t, c.add("other", ledger.RoleDevice), nil)
	if err := upload(t, other, video("foreign", clip("foreign")), clip("foreign")); err != nil {
		t.Fatal(err)
	}
	fake := fakecloud.New(c.token.Reveal())
	fake.Foreign["foreign"] = true
	srv := httptest.NewServer(fake)
	t.Cleanup(srv.Close)
	answers := func(station, unknown *uplink.Cloud) (list []string) {
		add := func(what string, err error) {
			var a *uplink.Answer
			if errors.As(err, &a) {
				what += fmt.Sprintf(": %d %s", a.Problem.Status, a.Problem.Slug())
			} else if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			list = append(list, what)
		}
		create := func(what string, on *uplink.Cloud, id footage.ID, k wire.Kind, content []byte) {
			_, err := on.Create(t.Context(), int64(len(content)),
				wire.Metadata{Footage: id, Kind: k, SHA256: footage.Sum(content)})
			add(what+" "+string(k), err)
		}
		read := func(what string, on *uplink.Cloud, id footage.ID) {
			_, err := on.Footage(t.Context(), id)
			add(what, err)
		}
		add("own upload", upload(t, station, video("own", clip("own")), clip("own")))
		for _, k := range wire.Kinds() {
			create("foreign id", station, "foreign", k, clip("foreign"))
			create("foreign id in other case", station, "FOREIGN", k, clip("x"))
			create("own id, own content", station, "own", k, clip("own"))
			create("own id, other content", station, "own", k, clip("other"))
			create("new id", station, footage.ID("new-"+k), k, clip("new"))
			create("unknown token", unknown, "own", k, clip("own"))
		}
		read("read own", station, "own")
		read("read foreign", station, "foreign")
		read("read unknown", station, "unknown")
		read("read with an unknown token", unknown, "own")
		return list
	}
	at := func(url string, token secret.String) *uplink.Cloud {
		u, err := uplink.NewCloud(uplink.CloudOptions{URL: url, Token: uplink.NewToken(token, "", nil)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(u.Close)
		return u
	}
	unknown := secret.New("cc_unknown")
	got, want := answers(at(srv.URL, c.token), at(srv.URL, unknown)), answers(at(c.url, c.token), at(c.url, unknown))
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("the fake cloud: %s\nthe real one: %s", got[i], want[i])
		}
	}
}
