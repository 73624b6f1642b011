package spool

import (
	"errors"
	"testing"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
)

// A new id for the cloud restarts the upload and leaves key, content and state as they
// are. It outlives a restart, and so does the way back from it to the record.
func TestNewIDForTheCloud(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	r := fill(t, s, "/card/a.mp4", 1, 100)
	must.Get(s.Uploads.Begin(r.ID))(t)
	for _, p := range []Part{Video, Telemetry, Thumbnail} {
		must.Do(t, s.Uploads.SetTransfer(r.ID, p, Transfer{URL: "u", Offset: 7, Done: p != Video}))
	}
	first := must.Get(s.Recovery.ChooseID(r.ID))(t)
	second := must.Get(s.Recovery.ChooseID(r.ID))(t)
	if first.CloudID() == r.ID || second.CloudID() == first.CloudID() || second.ID != r.ID || second.IDsTaken != 2 ||
		second.State != Uploading || second.Attempt != r.Attempt+1 {
		t.Errorf("got %+v after %+v", second, first)
	}
	closeSpool(t, s)
	s = open(t, dir)
	defer func() { closeSpool(t, s) }()
	got, _ := s.Records.Get(r.ID)
	if got.CloudID() != second.CloudID() || got.Video != (Transfer{}) || got.Sidecar != (Transfer{}) ||
		got.Thumbnail != (Transfer{}) {
		t.Errorf("after a restart: got %+v", got)
	}
	must.Do(t, s.Content.Verify(t.Context(), r.ID))
	for id, known := range map[footage.ID]bool{second.CloudID(): true, first.CloudID(): false, r.ID: false, "f": false} {
		if found, ok := s.Records.ByCloudID(id); ok != known || known && found.ID != r.ID {
			t.Errorf("the cloud's id %s: got %+v %t, want %t", id, found, ok, known)
		}
	}
	if newer := must.Get(s.Records.PutJob(topic.Job{Job: "j", Footage: second.CloudID()}))(t); !newer {
		t.Error("the job under the new id is not newer")
	}
	if got, _ = s.Records.Get(r.ID); got.Job == nil || got.Job.Job != "j" {
		t.Errorf("job %+v", got.Job)
	}
	if _, err := s.Records.PutJob(topic.Job{Job: "k", Footage: r.ID}); !errors.Is(err, ErrNotFound) {
		t.Errorf("job under the id of other footage: got error %v, want ErrNotFound", err)
	}
	confirm(t, s, r.ID)
	if got, _ = s.Records.Get(r.ID); got.IDsTaken != 0 || got.CloudID() != second.CloudID() {
		t.Errorf("after the confirmation: got %+v", got)
	}
}

// The way back from the cloud's id ends with the record.
func TestPrunedRecordHasNoCloudID(t *testing.T) {
	s := opened(t, func(o *Options) { o.History = 1 })
	r := fill(t, s, "/card/a.mp4", 1, 100)
	renamed := must.Get(s.Recovery.ChooseID(r.ID))(t)
	confirm(t, s, r.ID)
	for i := range 3 {
		confirm(t, s, fill(t, s, "/card/b"+string(rune('0'+i)), uint64(2+i), 100).ID)
	}
	if _, ok := s.Records.Get(r.ID); ok {
		t.Fatal("the record was not pruned")
	}
	if found, ok := s.Records.ByCloudID(renamed.CloudID()); ok || len(s.Records.byCloud) != 0 {
		t.Errorf("got %+v and %d ids", found, len(s.Records.byCloud))
	}
}
