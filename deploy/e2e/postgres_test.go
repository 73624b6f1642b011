package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"cattlecounter/deploy/process"
	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/deploy/testkit/postgres"
	"cattlecounter/deploy/testkit/testserver"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
)

// Clouds and workers share no folder: blobs and queue are in Azure Storage, the ledger is in PostgreSQL. One cloud is
// killed in the middle of an upload and another one takes its address. The database stops in the middle of the job and
// starts again. A third cloud runs beside them. There is one count, published once.
func TestSeveralCloudsOnPostgres(t *testing.T) {
	server, err := postgres.New()
	testserver.SkipOrFail(t, err)
	t.Cleanup(func() {
		if err := server.Remove(); err != nil {
			t.Error(err)
		}
	})
	database := server.Database(t)
	t.Cleanup(func() { _ = server.Start() }) // the clean-up of the database needs the server
	s := newStage(t, fmt.Sprintf("store: azure\nazure: {connection_string: %q, container: several, queue: several-jobs}\nledger: {url: %q}\n",
		azurite.Get(t).ConnectionString().Reveal(), database.Reveal()))
	s.edgeMore = "uplink: {rate_limit: 300KB}\n"
	own := func(name string) []string { return []string{"CATTLE_CLOUD_DATA=" + s.path(name)} }
	s.startBroker()
	s.startAPI()
	s.subscribe()
	s.startEdge()
	path, animals := clip(t)
	s.copyToCard(path, "DJI_0001.MP4")
	s.killAPIMidUpload(func() { s.api = s.startOther("cloud-api-2", own("cloud-2"), "cloud-api", "serve") })
	third := s.startOther("cloud-api-3", append(own("cloud-3"), "CATTLE_CLOUD_HTTP_LISTEN=127.0.0.1:0"), "cloud-api", "serve")
	t.Cleanup(func() {
		if err := third.Stop(time.Minute); err != nil {
			t.Error(err)
		}
	})
	s.worker = s.startOther("worker", own("cloud-w"), "worker", "run")
	s.awaitFootage("DJI_0001.MP4", time.Minute, "is being counted", func(f footageView) bool {
		return f.Job != nil && f.Job.State == job.Processing && f.Job.Percent > 5
	})
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	s.eventually("the cloud reports that the ledger is unreachable", time.Minute, func() bool { return s.get("/readyz", &struct{}{}) != nil })
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	s.eventually("the cloud is ready again", time.Minute, func() bool { return s.get("/readyz", &struct{}{}) == nil })
	f := s.awaitFootage("DJI_0001.MP4", 2*time.Minute, "is counted", isCounted)
	if !isClose(f.Count.Unique, animals) {
		t.Errorf("count %+v, true %d", f.Count, animals)
	}
	s.awaitPhase("DJI_0001.MP4", "done", time.Minute)
	counts := func() []topic.Count { return messages[topic.Count](t, s.received, topic.KindCount) }
	s.eventually("the count over MQTT", time.Minute, func() bool { return len(counts()) > 0 })
	if all := counts(); len(all) != 1 {
		t.Errorf("the count was published %d times: %+v", len(all), all)
	}
	var newest int64
	for i, m := range messages[topic.Job](t, s.received, topic.KindJob) {
		if m.Seq < newest { // the next publisher repeats the newest message
			t.Errorf("message %d of the job has seq %d, after seq %d", i, m.Seq, newest)
		}
		newest = max(newest, m.Seq)
	}
}

// startOther starts a program with the stage's configuration and other settings in env.
func (s *stage) startOther(name string, env []string, program, command string) *process.Child {
	s.t.Helper()
	return s.startIn(env, name, filepath.Join(bin, program), command, "--config", s.cloudcfg)
}

// Two clouds share a ledger and a store. An upload hangs at one of them. Its client continues at the other one, which
// returns the offset and takes the rest. Bytes that still reach the first cloud are refused.
func TestAnotherCloudTakesAnUploadOver(t *testing.T) {
	t.Parallel()
	database := postgres.Get(t).Database(t)
	s := newStage(t, fmt.Sprintf("store: azure\nazure: {connection_string: %q, container: taken, queue: taken-jobs}\nledger: {url: %q}\n",
		azurite.Get(t).ConnectionString().Reveal(), database.Reveal()))
	s.startBroker()
	s.startAPI()
	second := s.port()
	other := s.startOther("cloud-api-2", []string{"CATTLE_CLOUD_DATA=" + s.path("cloud-2"), fmt.Sprintf("CATTLE_CLOUD_HTTP_LISTEN=127.0.0.1:%d", second)}, "cloud-api", "serve")
	t.Cleanup(func() {
		if err := other.Stop(time.Minute); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("end of %s:\n%s", other.Log, other.Tail(6000))
		}
	})
	there := fmt.Sprintf("http://127.0.0.1:%d", second)
	if err := other.WaitHTTP(t.Context(), there+"/healthz"); err != nil {
		t.Fatal(err)
	}
	path, _ := clip(t)
	film, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	half := len(film) / 2
	send := func(method, url string, body io.Reader, size int, header map[string]string) (status int, h http.Header, err error) {
		r, err := http.NewRequestWithContext(t.Context(), method, url, body)
		if err != nil {
			return 0, nil, err
		}
		r.ContentLength = int64(size)
		r.Header.Set("Authorization", "Bearer "+s.token)
		r.Header.Set("Tus-Resumable", "1.0.0")
		for k, v := range header {
			r.Header.Set(k, v)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, nil, err
		}
		return resp.StatusCode, resp.Header, resp.Body.Close()
	}
	from := func(offset int) map[string]string {
		return map[string]string{"Upload-Offset": strconv.Itoa(offset), "Content-Type": "application/offset+octet-stream"}
	}
	status, created, err := send("POST", s.url("/files/"), nil, 0, map[string]string{"Upload-Length": strconv.Itoa(len(film)),
		"Upload-Metadata": "filename " + base64.StdEncoding.EncodeToString([]byte("DJI_0001.MP4"))})
	if status != http.StatusCreated {
		t.Fatal(status, err)
	}
	at := "/files/" + filepath.Base(created.Get("Location"))
	body, hanging := io.Pipe()
	hung := make(chan int, 1)
	go func() {
		status, _, _ := send("PATCH", s.url(at), body, len(film), from(0))
		hung <- status
	}()
	if _, err := hanging.Write(film[:half]); err != nil {
		t.Fatal(err)
	}
	// The stored bytes count; the client sends the rest again. The first cloud may take the upload only now: then the
	// second one answers with a conflict, and the client asks for the offset once more.
	requests := 0
	for status = http.StatusConflict; status == http.StatusConflict && requests < 3; {
		began := time.Now()
		head, h, err := send("HEAD", there+at, nil, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(h.Get("Upload-Offset"))
		if took := time.Since(began); err != nil || n > half || took > 9*time.Second {
			t.Fatalf("status %d, offset %d of %d sent, after %s: %v", head, n, half, took, err)
		}
		requests++
		if status, _, err = send("PATCH", there+at, bytes.NewReader(film[n:]), len(film)-n, from(n)); err != nil {
			t.Fatal(err)
		}
	}
	if status != http.StatusNoContent || requests > 2 {
		t.Fatalf("the rest: %d, request %d", status, requests)
	}
	go func() { _, _ = hanging.Write(film[half:]); _ = hanging.Close() }()
	if status := <-hung; status != http.StatusConflict && status != 0 {
		t.Errorf("the upload that hung was answered with %d", status)
	}
	f := s.awaitFootage("DJI_0001.MP4", time.Minute, "is there", func(footageView) bool { return true })
	if want := fmt.Sprintf("%x", sha256.Sum256(film)); f.SHA256 != want {
		t.Errorf("sha256 is %s, want %s", f.SHA256, want)
	}
	if all := s.footage(); len(all) != 1 {
		t.Errorf("%d pieces of footage", len(all))
	}
}
