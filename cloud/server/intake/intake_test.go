package intake

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

func TestUploadInPieces(t *testing.T) {
	s := newSite(t, t.TempDir())
	content := clip("cows", 3_000_000)
	path := s.create(len(content), "filename", `C:\DCIM\DJI_0001.MP4`, "footage", "f1", "sha256", digestOf(content),
		"captured", "2026-06-30T05:00:00Z", "device", "another-device")
	for _, cut := range [][2]int{{0, 3}, {3, 700}, {700, 700}, {700, 2_000_000}, {2_000_000, 3_000_000}} {
		if got := s.head(path); got != cut[0] {
			t.Fatalf("offset %d, want %d", got, cut[0])
		}
		s.wantPatch(path, cut[0], content[cut[0]:cut[1]])
	}
	f := s.footageOf(path)
	if f.ID != "f1" || f.Device != "base-1" || f.Site != "north" || f.Name != "DJI_0001.MP4" || f.Size != 3_000_000 ||
		f.SHA256 != footage.Sum(content) || !strings.HasPrefix(f.BlobKey,
		"footage/f1/original-") || !f.Captured.Equal(time.Date(2026, 6, 30, 5, 0, 0, 0, time.UTC)) {
		t.Fatalf("got footage %+v", f.Footage)
	}
	if f.Job == nil || f.Job.State != job.Queued || s.messages() != 1 {
		t.Fatalf("%+v, %d messages", f.Job, s.messages())
	}
	if !bytes.Equal(s.blob(f.BlobKey), content) {
		t.Fatal("the blob differs from the upload")
	}
	// A client that did not get the answer repeats the request.
	if got := s.head(path); got != len(content) {
		t.Fatalf("offset %d after the end", got)
	}
	s.wantPatch(path, len(content), nil)
	s.want(s.patch(path, 2_000_000, content[2_000_000:]), http.StatusConflict, wire.SlugOffsetConflict)
	if s.messages() != 1 {
		t.Fatal("a repeated request enqueued the job again")
	}
}

func TestProtocol(t *testing.T) {
	s := newSite(t, t.TempDir())
	r := s.do("OPTIONS", "/files/", nil)
	if r.status != http.StatusOK || r.header.Get("Tus-Version") != "1.0.0" ||
		r.header.Get("Tus-Max-Size") != strconv.Itoa(64<<20) ||
		r.header.Get("Tus-Extension") != "creation,creation-with-upload,termination,creation-defer-length,expiration,"+
			"checksum" || r.header.Get("Tus-Checksum-Algorithm") != "sha256,sha1" {
		t.Fatalf("got status %d, headers %v", r.status, r.header)
	}
	path := s.create(5000, "filename", "a.mp4")
	r = s.do("HEAD", path, nil)
	expires := s.clock.Now().Add(defaultExpire).Format(http.TimeFormat)
	for name, want := range map[string]string{
		"Upload-Offset": "0", "Upload-Length": "5000", "Cache-Control": "no-store", "Tus-Resumable": "1.0.0",
		"Upload-Metadata": meta("filename", "a.mp4"), "Upload-Expires": expires, "Content-Length": "",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if r := s.do("DELETE", path, nil); r.status != http.StatusNoContent {
		t.Fatalf("delete: %d", r.status)
	}
	s.wantGone(path)
	s.want(s.do("DELETE", path, nil), http.StatusNotFound, wire.SlugUploadGone)
}

func TestMethodOverride(t *testing.T) {
	s := newSite(t, t.TempDir())
	content := clip("x", 100)
	path := s.create(len(content))
	r := s.do("POST", path, bytes.NewReader(content), "X-HTTP-Method-Override", "PATCH", "Upload-Offset", "0",
		"Content-Type", "application/offset+octet-stream")
	if r.status != http.StatusNoContent || s.footageOf(path).Size != 100 {
		t.Fatalf("got status %d, body %s", r.status, r.body)
	}
}

func TestCreationWithUpload(t *testing.T) {
	s := newSite(t, t.TempDir())
	for name, first := range map[string]int{"all": 9000, "part": 4000} {
		t.Run(name, func(t *testing.T) {
			content := clip(name, 9000)
			r := s.do("POST", "/files", bytes.NewReader(content[:first]), "Upload-Length", "9000", "Content-Type",
				"application/offset+octet-stream")
			if r.status != http.StatusCreated || r.header.Get("Upload-Offset") != strconv.Itoa(first) {
				t.Fatalf("got status %d, offset %s, body %s", r.status, r.header.Get("Upload-Offset"), r.body)
			}
			path := r.header.Get("Location")
			s.wantPatch(path, first, content[first:])
			if f := s.footageOf(path); f.SHA256 != footage.Sum(content) {
				t.Fatalf("got footage %+v", f)
			}
		})
	}
	// Content that is not a video is refused in the same answer.
	s.want(s.do("POST", "/files/", strings.NewReader(strings.Repeat("text ", 1000)), "Upload-Length", "5000",
		"Content-Type", "application/offset+octet-stream"), http.StatusUnsupportedMediaType, wire.SlugNotAVideo)
}

func TestDeferredLength(t *testing.T) {
	s := newSite(t, t.TempDir())
	content := clip("x", 5000)
	begin := func() string {
		r := s.do("POST", "/files/", nil, "Upload-Defer-Length", "1")
		if r.status != http.StatusCreated {
			t.Fatalf("got status %d, body %s", r.status, r.body)
		}
		return r.header.Get("Location")
	}
	path := begin()
	s.wantPatch(path, 0, content[:4000])
	if r := s.do("HEAD", path, nil); r.header.Get("Upload-Defer-Length") != "1" || r.header.Get("Upload-Length") != "" {
		t.Fatalf("got headers %v", r.header)
	}
	octets := []string{"Content-Type", "application/offset+octet-stream"}
	r := s.do("PATCH", path, bytes.NewReader(content[4000:]),
		append(octets, "Upload-Offset", "4000", "Upload-Length", "5000")...)
	if r.status != http.StatusNoContent || s.footageOf(path).SHA256 != footage.Sum(content) {
		t.Fatalf("got status %d, body %s", r.status, r.body)
	}
	path = begin()
	s.want(s.do("PATCH", path, nil, append(octets, "Upload-Offset", "0", "Upload-Length", "0")...),
		http.StatusUnprocessableEntity, wire.SlugEmpty)
	s.wantGone(path)
	path = begin()
	s.want(s.do("PATCH", path, nil, append(octets, "Upload-Offset", "0", "Upload-Length", "99999999999")...),
		http.StatusRequestEntityTooLarge, wire.SlugTooLarge)
	// A short text whose length is declared last is refused then.
	s.wantPatch(path, 0, []byte("hello"))
	s.want(s.do("PATCH", path, nil, append(octets, "Upload-Offset", "5", "Upload-Length", "5")...),
		http.StatusUnsupportedMediaType, wire.SlugNotAVideo)
	s.wantGone(path)
}

func TestRefusedAtCreation(t *testing.T) {
	s := newSite(t, t.TempDir())
	s.upload(clip("first", 2000), "footage", "taken")
	for name, c := range map[string]struct {
		status int
		slug   wire.Slug
		header []string
	}{
		"empty":           {422, wire.SlugEmpty, []string{"Upload-Length", "0"}},
		"too large":       {413, wire.SlugTooLarge, []string{"Upload-Length", strconv.Itoa(64<<20 + 1)}},
		"no length":       {400, wire.SlugBadMetadata, nil},
		"negative length": {400, wire.SlugBadMetadata, []string{"Upload-Length", "-1"}},
		"no number":       {400, wire.SlugBadMetadata, []string{"Upload-Length", "many"}},
		"huge number":     {400, wire.SlugBadMetadata, []string{"Upload-Length", "99999999999999999999"}},
		"both lengths":    {400, wire.SlugBadMetadata, []string{"Upload-Length", "5", "Upload-Defer-Length", "1"}},
		"wrong version":   {412, wire.SlugBadMetadata, []string{"Upload-Length", "5", "Tus-Resumable", "0.2"}},
		"concatenation":   {400, wire.SlugBadMetadata, []string{"Upload-Length", "5", "Upload-Concat", "partial"}},
		"no base64":       {400, wire.SlugBadMetadata, []string{"Upload-Length", "5", "Upload-Metadata", "filename !!!"}},
		"no UTF-8": {400, wire.SlugBadMetadata,
			[]string{"Upload-Length", "5", "Upload-Metadata", meta("filename", "\xff\xfe")}},
		"key twice": {400, wire.SlugBadMetadata,
			[]string{"Upload-Length", "5", "Upload-Metadata", meta("a", "1", "a", "2")}},
		"long metadata": {400, wire.SlugBadMetadata,
			[]string{"Upload-Length", "5", "Upload-Metadata", meta("a", strings.Repeat("x", 9000))}},
		"footage id": {400, wire.SlugBadMetadata,
			[]string{"Upload-Length", "5", "Upload-Metadata", meta("footage", "../../etc")}},
		"digest": {400, wire.SlugBadMetadata,
			[]string{"Upload-Length", "5", "Upload-Metadata", meta("sha256", "123")}},
		"digest of zeros": {400, wire.SlugBadMetadata,
			[]string{"Upload-Length", "5", "Upload-Metadata", meta("sha256", strings.Repeat("0", 64))}},
		"length twice": {400, wire.SlugBadMetadata, []string{"Upload-Length", "5", "Upload-Length", "6"}},
		"metadata twice": {400, wire.SlugBadMetadata,
			[]string{"Upload-Length", "5", "Upload-Metadata", meta("a", "1"), "Upload-Metadata", meta("sha256", "1")}},
		"captured": {400, wire.SlugBadMetadata,
			[]string{"Upload-Length", "5", "Upload-Metadata", meta("captured", "yesterday")}},
		"kind": {400, wire.SlugBadMetadata,
			[]string{"Upload-Length", "5", "Upload-Metadata", meta("kind", "music")}},
		"other content": {409, wire.SlugConflict,
			[]string{"Upload-Length", "5", "Upload-Metadata", meta("footage", "taken", "sha256", digestOf(nil))}},
		"large telemetry": {413, wire.SlugTooLarge,
			[]string{"Upload-Length", strconv.Itoa(64<<20 + 1), "Upload-Metadata", meta("kind", "telemetry")}},
		"large thumbnail": {413, wire.SlugTooLarge,
			[]string{"Upload-Length", strconv.Itoa(512<<10 + 1), "Upload-Metadata", meta("kind", "thumbnail")}},
		"endless thumbnail": {400, wire.SlugBadMetadata,
			[]string{"Upload-Defer-Length", "1", "Upload-Metadata", meta("kind", "thumbnail")}},
		"endless telemetry": {400, wire.SlugBadMetadata,
			[]string{"Upload-Defer-Length", "1", "Upload-Metadata", meta("kind", "telemetry")}},
	} {
		t.Run(name, func(t *testing.T) { s.want(s.do("POST", "/files/", nil, c.header...), c.status, c.slug) })
	}
	if n := must.Get(s.ledger.Uploads.CountUnfinished(context.Background(), ""))(t); n != 0 {
		t.Errorf("refused uploads left %d sessions", n)
	}
}

func TestRefusedLater(t *testing.T) {
	s := newSite(t, t.TempDir())
	octets := []string{"Content-Type", "application/offset+octet-stream"}
	path := s.create(5000)
	for name, c := range map[string]struct {
		status int
		slug   wire.Slug
		method string
		path   string
		header []string
	}{
		"wrong offset":    {409, wire.SlugOffsetConflict, "PATCH", path, append(octets, "Upload-Offset", "7")},
		"no offset":       {400, wire.SlugBadMetadata, "PATCH", path, octets},
		"negative offset": {400, wire.SlugBadMetadata, "PATCH", path, append(octets, "Upload-Offset", "-7")},
		"content type":    {415, wire.SlugBadMetadata, "PATCH", path, []string{"Upload-Offset", "0"}},
		"second length": {400, wire.SlugBadMetadata, "PATCH", path,
			append(octets, "Upload-Offset", "0", "Upload-Length", "5000")},
		"unknown":   {404, wire.SlugUploadGone, "PATCH", "/files/unknown", append(octets, "Upload-Offset", "0")},
		"odd id":    {404, wire.SlugUploadGone, "PATCH", "/files/a/../../b%00c", append(octets, "Upload-Offset", "0")},
		"elsewhere": {404, wire.SlugNotFound, "POST", "/elsewhere", []string{"Upload-Length", "5"}},
		"download":  {405, wire.SlugMethodNotAllowed, "GET", path, nil},
		"put":       {405, wire.SlugMethodNotAllowed, "PUT", path, nil},
	} {
		t.Run(name, func(t *testing.T) { s.want(s.do(c.method, c.path, nil, c.header...), c.status, c.slug) })
	}
	s.want(s.patch(path, 0, clip("x", 5001)), http.StatusRequestEntityTooLarge, wire.SlugTooLarge)
	if got := s.head(path); got != 0 {
		t.Fatalf("offset %d after refusals", got)
	}
	s.wantPatch(path, 0, clip("x", 5000))
}

func TestWhoMayUpload(t *testing.T) {
	s := newSite(t, t.TempDir())
	content := clip("x", 5000)
	path := s.create(len(content))
	s.wantPatch(path, 0, content[:2000])
	owner := s.device
	s.device = ledger.Device{Name: "base-2", Site: "south", Role: ledger.RoleDevice}
	s.want(s.patch(path, 2000, content[2000:]), http.StatusNotFound, wire.SlugUploadGone)
	s.want(s.do("DELETE", path, nil), http.StatusNotFound, wire.SlugUploadGone)
	if r := s.do("HEAD", path, nil); r.status != http.StatusNotFound {
		t.Fatalf("another device saw the upload: %d", r.status)
	}
	s.device = ledger.Device{Name: "viewer", Site: "north", Role: ledger.RoleReader}
	s.want(s.do("POST", "/files/", nil, "Upload-Length", "5"), http.StatusForbidden, wire.SlugForbidden)
	s.device = ledger.Device{}
	r := s.do("POST", "/files/", nil, "Upload-Length", "5")
	s.want(r, http.StatusUnauthorized, wire.SlugUnauthorised)
	if !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("got headers %v", r.header)
	}
	s.device = owner
	s.wantPatch(path, 2000, content[2000:])
	s.device = ledger.Device{Name: "anna", Site: "north", Role: ledger.RoleOperator}
	if f := s.upload(clip("from the browser", 3000)); f.Device != "anna" || f.Name != string(f.ID) {
		t.Errorf("got footage %+v", f)
	}
	// The footage id of another device is refused.
	id := string(s.footageOf(path).ID)
	s.device = owner
	s.device.Name = "base-3"
	s.want(s.do("POST", "/files/", nil, "Upload-Length", "5", "Upload-Metadata", meta("footage", id)),
		http.StatusConflict, wire.SlugConflict)
}

func TestNotAVideo(t *testing.T) {
	s := newSite(t, t.TempDir())
	text := []byte(strings.Repeat("this is no film ", 10_000))
	path := s.create(len(text), "filename", "text.mp4")
	s.want(s.patch(path, 0, text), http.StatusUnsupportedMediaType, wire.SlugNotAVideo)
	s.wantGone(path)
	// In small pieces it is refused as soon as it is certain, and not before.
	path = s.create(len(text))
	s.wantPatch(path, 0, text[:1000])
	s.want(s.patch(path, 1000, text[1000:2000]), http.StatusUnsupportedMediaType, wire.SlugNotAVideo)
	s.wantGone(path)
	path = s.create(5)
	s.want(s.patch(path, 0, []byte("hello")), http.StatusUnsupportedMediaType, wire.SlugNotAVideo)
	s.wantGone(path)
	// A transport stream is recognised only after most of its first kilobyte.
	ts := bytes.Repeat(append([]byte{0x47}, make([]byte, 187)...), 20)
	path = s.create(len(ts))
	for i := 0; i < len(ts); i += 100 {
		s.wantPatch(path, i, ts[i:min(i+100, len(ts))])
	}
	if f := s.footageOf(path); !strings.HasSuffix(f.BlobKey, ".ts") || f.SHA256 != footage.Sum(ts) {
		t.Fatalf("got footage %+v", f)
	}
}

func TestHashMismatch(t *testing.T) {
	s := newSite(t, t.TempDir())
	content := clip("x", 5000)
	path := s.create(len(content), "footage", "f1", "sha256", digestOf([]byte("something else")))
	s.wantPatch(path, 0, content[:4999])
	s.want(s.patch(path, 4999, content[4999:]), http.StatusUnprocessableEntity, wire.SlugHashMismatch)
	s.wantGone(path)
	if _, err := s.ledger.Footage.Get(t.Context(), "f1"); err == nil || s.messages() != 0 {
		t.Fatal("damaged footage was recorded")
	}
	// The right bytes may use the same id.
	if f := s.upload(content, "footage", "f1", "sha256", digestOf(content)); f.Job == nil {
		t.Fatalf("got footage %+v", f)
	}
}

func TestDuplicate(t *testing.T) {
	s := newSite(t, t.TempDir())
	content := clip("x", 5000)
	s.upload(content, "footage", "f1")
	dup := s.upload(content, "footage", "f2")
	if dup.DuplicateOf != "f1" || s.messages() != 1 || dup.Job == nil || dup.Job.Footage != "f1" {
		t.Fatalf("got duplicate %+v", dup)
	}
	s.only("f1")
	// The same id again, as from a station that lost its records.
	if again := s.upload(content, "footage",
		"f1"); again.DuplicateOf != "" || s.messages() != 1 || !bytes.Equal(s.blob(again.BlobKey), content) {
		t.Fatalf("got repeat %+v", again)
	}
	// Other bytes under a recorded id never change it, even without a declared digest.
	other := clip("other", 6000)
	path := s.create(len(other), "footage", "f1")
	s.want(s.patch(path, 0, other), http.StatusConflict, wire.SlugConflict)
	s.wantGone(path)
	if !bytes.Equal(s.only("f1"), content) {
		t.Fatal("a recorded blob was overwritten")
	}
}

func TestTelemetry(t *testing.T) {
	s := newSite(t, t.TempDir())
	srt := []byte("1\n00:00:00,000 --> 00:00:01,000\n[latitude: 46.9]\n")
	path := s.create(len(srt), "footage", "f1", "kind", "telemetry", "filename", "DJI_0001.SRT", "sha256", digestOf(srt))
	s.wantPatch(path, 0, srt)
	if s.messages() != 0 || s.head(path) != len(srt) {
		t.Fatal("telemetry created a job")
	}
	if f := s.upload(clip("x", 2000), "footage",
		"f1"); f.TelemetryKey != "footage/f1/telemetry.srt" || !bytes.Equal(s.blob(f.TelemetryKey), srt) {
		t.Fatalf("got footage %+v", f)
	}
	// A log that arrives after its video, and one that replaces it.
	for _, text := range []string{"1\nlate\n", "1\nlate and longer\n"} {
		s.upload(clip("z", 2000), "footage", "f3")
		path = s.create(len(text), "footage", "f3", "kind", "telemetry", "sha256", digestOf([]byte(text)))
		s.wantPatch(path, 0, []byte(text))
		f := must.Get(s.ledger.Footage.Get(t.Context(), "f3"))(t)
		if f.TelemetryKey != "footage/f3/telemetry.srt" || string(s.blob(f.TelemetryKey)) != text || s.messages() != 2 {
			t.Fatalf("after its video: %+v", f)
		}
	}
	s.device.Name = "base-2"
	s.want(s.do("POST", "/files/", nil, "Upload-Length", "5", "Upload-Metadata", meta("footage", "f3", "kind", "telemetry")),
		http.StatusConflict, wire.SlugConflict)
	s.device.Name = "base-1"
	path = s.create(len(srt), "footage", "f2", "kind", "telemetry", "sha256", digestOf(nil))
	s.want(s.patch(path, 0, srt), http.StatusUnprocessableEntity, wire.SlugHashMismatch)
	s.wantGone(path)
}

// A name is stored in a form that is safe to show, and a time of capture that cannot be true is not stored.
func TestNamesAndTimes(t *testing.T) {
	s := newSite(t, t.TempDir())
	i := 0
	for name, want := range map[string]string{
		`k\xfche.mp4`:             `k\xfche.mp4`, // as a station sends a name that is not UTF-8
		"cows\u202e4pm.mp4":       `cows\u202e4pm.mp4`,
		"\u200b.mp4":              `\u200b.mp4`,
		"a\x1b[2J.mp4":            `a\x1b[2J.mp4`,
		`C:\Users\x\DJI_0001.MP4`: "DJI_0001.MP4",
		`\\nas\card\a.mp4`:        "a.mp4",
		"../../b.mp4":             "b.mp4",
		"牛群.mp4":                  "牛群.mp4",
	} {
		i++
		if f := s.upload(clip(name, 2000), "footage", fmt.Sprint("n", i), "filename", name); f.Name != want {
			t.Errorf("%q is stored as %q, want %q", name, f.Name, want)
		}
	}
	for captured, stored := range map[string]bool{"1980-01-01T00:00:00Z": false, "2107-12-31T23:59:58Z": false, "1970-01-01T00:00:00Z": false,
		s.clock.Now().AddDate(0, 0, 3).Format(time.RFC3339): false, "2025-06-01T08:00:00Z": true} {
		i++
		if f := s.upload(clip(captured, 2000), "footage", fmt.Sprint("n", i), "captured", captured); f.Captured.IsZero() == stored {
			t.Errorf("captured %s: stored as %s", captured, f.Captured)
		}
	}
}

// A thumbnail may come before or after its video, and more than once. Another device
// cannot replace it.
func TestThumbnail(t *testing.T) {
	s := newSite(t, t.TempDir())
	picture := []byte("\xff\xd8\xff\xe0 a picture")
	waiting := func() int {
		ts, _, err := s.ledger.Thumbnails.ListWaiting(t.Context(), ledger.Page{})
		must.Do(t, err)
		return len(ts)
	}
	path := s.create(len(picture), "footage", "f1", "kind", "thumbnail", "filename", "DJI_0001.MP4", "sha256",
		digestOf(picture))
	s.wantPatch(path, 0, picture)
	if s.messages() != 0 || s.head(path) != len(picture) || waiting() != 1 {
		t.Fatalf("%d messages, %d waiting", s.messages(), waiting())
	}
	s.upload(clip("x", 2000), "footage", "f1")
	if waiting() != 0 {
		t.Error("the waiting footage has a video")
	}
	newer := []byte("\xff\xd8\xff\xe0 another picture")
	s.wantPatch(s.create(len(newer), "footage", "f1", "kind", "thumbnail"), 0, newer)
	shown := must.Get(s.ledger.Thumbnails.Get(t.Context(), "f1"))(t)
	if !bytes.Equal(s.blob(shown.BlobKey), newer) || shown.Size != int64(len(newer)) {
		t.Errorf("got thumbnail %+v", shown)
	}
	text := []byte("<script>")
	path = s.create(len(text), "footage", "f2", "kind", "thumbnail")
	s.want(s.patch(path, 0, text), http.StatusUnsupportedMediaType, wire.SlugNotAPicture)
	s.wantGone(path)
	must.Do(t, s.ledger.Thumbnails.Put(t.Context(), ledger.Thumbnail{Footage: "f3", Device: "another", BlobKey: "k"}))
	s.want(s.do("POST", "/files/", nil, "Upload-Length", "9", "Upload-Metadata",
		meta("footage", "f3", "kind", "thumbnail")), http.StatusConflict, wire.SlugConflict)
}

func TestTooManySessions(t *testing.T) {
	s := newSite(t, t.TempDir(), func(o *Options) { o.MaxSessions = 2 })
	first := s.create(10)
	s.create(10)
	r := s.do("POST", "/files/", nil, "Upload-Length", "10")
	s.want(r, http.StatusTooManyRequests, wire.SlugConflict)
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.do("DELETE", first, nil)
	s.create(10)
}

// The second file of a flight makes no job. When its blob is lost, a new upload restores it.
func TestSibling(t *testing.T) {
	s := newSite(t, t.TempDir())
	send := func(id, name string, content []byte) ledger.FootageView {
		return s.upload(content, "footage", id, "filename", name, "captured", "2026-06-30T05:00:00Z")
	}
	wide := send("w", "DJI_0001_W.MP4", clip("wide", 3000))
	thermal := send("t", "DJI_0001_T.MP4", clip("thermal", 3000))
	if thermal.SiblingOf != "w" || thermal.BlobKey == "" || thermal.Job.ID != wide.Job.ID || s.messages() != 1 {
		t.Fatalf("%+v, %d messages", thermal, s.messages())
	}
	must.Do(t, s.blobs.Delete(t.Context(), thermal.BlobKey))
	again := send("t", "DJI_0001_T.MP4", clip("thermal", 3000))
	if again.BlobKey == thermal.BlobKey || !bytes.Equal(s.blob(again.BlobKey), clip("thermal", 3000)) {
		t.Errorf("the blob is not restored: %+v", again)
	}
	// The thermal file of another flight arrives first. Its job is canceled for that of the wide one.
	send("t2", "DJI_0002_T.MP4", clip("thermal 2", 3000))
	second := send("w2", "DJI_0002_W.MP4", clip("wide 2", 3000))
	if f := must.Get(s.ledger.Footage.Get(t.Context(), "t2"))(t); f.SiblingOf != "w2" || f.Job.ID != second.Job.ID {
		t.Errorf("got footage %+v", f)
	}
	must.Do(t, s.in.sweep(t.Context()))
	if j := must.Get(s.ledger.Jobs.GetByFootage(t.Context(), "t2"))(t); j.State != job.Canceled {
		t.Errorf("%+v, want it canceled", j)
	}
}
