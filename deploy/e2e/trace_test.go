package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/collector"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/tracing"
)

// One trace follows footage from the card to the published count, although the server is killed in the middle of the
// upload. The logs of all programs have its id.
func TestOneTraceFromCardToCount(t *testing.T) {
	receiver := collector.New(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100") // milliseconds
	s := newStage(t)
	s.edgeMore = "uplink: {rate_limit: 200KB}\n"
	path, _ := clip(t)
	s.startAll()
	s.copyToCard(path, "DJI_0001.MP4")
	s.killAPIMidUpload(s.startAPI)
	f := s.awaitFootage("DJI_0001.MP4", 2*time.Minute, "is counted", isCounted)
	want := tracing.TraceID(footage.ID(f.ID)).String()

	steps := func() (found []string) {
		for _, sp := range receiver.Spans() {
			if sp.Trace != want {
				t.Fatalf("a step of another trace than %s: %+v", want, sp)
			}
			found = append(found, sp.Service+" "+sp.Name)
		}
		return found
	}
	expected := []string{"edge-agent spool", "edge-agent upload", "cloud-api receive", "cloud-api record", "cloud-api enqueue",
		"worker count", "worker fetch", "worker detect", "worker report", "cloud-api publish"}
	var missing []string
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("missing steps: %q", missing)
		}
	})
	s.eventually("every step is in the trace", time.Minute, func() bool {
		found := steps()
		missing = slices.DeleteFunc(slices.Clone(expected), func(e string) bool { return slices.Contains(found, e) })
		return len(missing) == 0
	})
	uploads := map[string]bool{}
	for _, sp := range receiver.Spans() {
		uploads[sp.ID] = sp.Name == "upload"
	}
	for _, sp := range receiver.Spans() {
		if sp.Name == "receive" && !uploads[sp.Parent] {
			t.Errorf("the receipt of bytes does not belong to the upload of the station: %+v", sp)
		}
	}
	for _, c := range []string{s.edge.Log, s.api.Log, s.worker.Log} {
		text, err := os.ReadFile(c)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), fmt.Sprintf("trace_id=%s", want)) {
			t.Errorf("%s does not have the trace id", c)
		}
	}
}
