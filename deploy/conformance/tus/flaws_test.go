package tus

import (
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/deploy/testkit/postgres"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(postgres.Tests(azurite.Tests(m)),
		// fasthttp's pool notices its stop only after ten seconds, and its clock runs as long as the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// Paho ends a goroutine shortly after a disconnect.
		goleak.IgnoreAnyFunction("github.com/eclipse/paho%2emqtt%2egolang.(*client).Disconnect.func1"))
}

// start runs ref with a flaw.
func start(t *testing.T, flaw string, life time.Duration) string {
	t.Helper()
	s := httptest.NewServer(&ref{flaw: flaw, life: life, uploads: map[string]*refUpload{}})
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL + "/files/"
}

func run(t *testing.T, o Options) map[string]Finding {
	t.Helper()
	fs, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Finding{}
	for _, f := range fs {
		found[f.Name] = f
	}
	return found
}

// A server that follows the protocol passes every check, with a relative and with an absolute Location.
func TestServerWithoutFlawPasses(t *testing.T) {
	t.Parallel()
	for _, life := range []time.Duration{time.Hour, time.Hour + 1} {
		found := run(t, Options{URL: start(t, "", life), Patience: time.Minute})
		if len(found) != len(checks()) {
			t.Errorf("%d findings of %d checks", len(found), len(checks()))
		}
		for _, f := range found {
			if want := map[bool]Result{true: Skipped, false: Pass}[f.Name == "expires-gone"]; f.Result != want {
				t.Errorf("%s: %s, want %s: %s", f.Name, f.Result, want, f.Detail)
			}
		}
	}
	found := run(t, Options{URL: start(t, "", 2*time.Second), Patience: time.Minute, Only: []string{"expires-gone"}})
	if f := found["expires-gone"]; f.Result != Pass || len(found) != 1 {
		t.Errorf("%+v", found)
	}
}

// flaws are faults of a server, each with the checks that must find it.
var flaws = map[string][]string{
	"OPTIONS without version":              {"options"},
	"OPTIONS checks the version":           {"options-ignores-version"},
	"an extension without name":            {"options-extensions"},
	"limit in words":                       {"options-max-size"},
	"HEAD without offset":                  {"head-offset"},
	"HEAD without length":                  {"head-length"},
	"HEAD without no-store":                {"head-no-store"},
	"finished uploads are unknown":         {"head-finished"},
	"unknown uploads fail with 500":        {"head-unknown", "patch-unknown", "delete-unknown"},
	"version ignored":                      {"version-refused", "version-refused-post", "version-refused-head", "version-missing"},
	"412 without version":                  {"version-listed"},
	"conflict without version":             {"version-everywhere"},
	"override ignored":                     {"override-post", "override-any"},
	"override for POST only":               {"override-any"},
	"PATCH answers 200":                    {"patch-appends"},
	"chunks are dropped":                   {"patch-chunked"},
	"empty PATCH is refused":               {"patch-empty"},
	"any media type":                       {"patch-media-type"},
	"conflict is 400":                      {"offset-ahead", "offset-behind", "offset-after-the-end"},
	"gaps are filled":                      {"offset-ahead"},
	"the offset can decrease":              {"offset-behind", "offset-after-the-end"},
	"malformed offset is 0":                {"offset-malformed"},
	"more than the length":                 {"offset-within-length", "offset-within-length-chunked", "upload-within-length"},
	"both PATCHes count":                   {"offset-two-patches"},
	"a cut loses all bytes":                {"cut-half-closed-keeps", "cut-reset-keeps"},
	"a cut counts announced bytes":         {"cut-half-closed", "cut-reset"},
	"a cut damages a byte":                 {"cut-half-closed", "cut-reset"},
	"HEAD waits":                           {"hanging-head", "hanging-resumed"},
	"creation answers 200":                 {"create"},
	"no length needed":                     {"create-without-length"},
	"any length":                           {"create-length-malformed"},
	"empty files are refused":              {"create-empty"},
	"no limit":                             {"create-too-large"},
	"metadata is dropped":                  {"metadata"},
	"metadata is not checked":              {"metadata-malformed"},
	"deferred length is not listed":        {"defer-listed"},
	"the length stays unknown":             {"defer-set"},
	"the length changes":                   {"defer-fixed"},
	"any Upload-Defer-Length":              {"defer-malformed"},
	"bytes of a creation are ignored":      {"upload-part", "upload-whole"},
	"no expiry in PATCH":                   {"expires-patch"},
	"no expiry in POST":                    {"expires-create"},
	"no expiry in refusals":                {"expires-refused-patch"},
	"expiry in another form":               {"expires-patch", "expires-create"},
	"expired uploads remain":               {"expires-gone"},
	"no sha1":                              {"checksum-algorithms"},
	"right checksums are refused":          {"checksum-right"},
	"wrong checksums are accepted":         {"checksum-wrong-discarded", "checksum-wrong-status", "checksum-creation"},
	"refused bytes are stored":             {"checksum-wrong-discarded"},
	"unknown algorithms are accepted":      {"checksum-unknown"},
	"malformed checksums are accepted":     {"checksum-malformed"},
	"cut bytes with a checksum are stored": {"checksum-cut"},
	"DELETE answers 200":                   {"delete"},
	"deleted uploads remain":               {"delete-gone"},
	"unknown can be deleted":               {"delete-unknown"},
	"Upload-Concat is not listed":          {"concat-partial", "concat-final"},
	"a part is lost":                       {"concat-final"},
	"a final upload can grow":              {"concat-final-patch"},
}

// TestEveryFlawIsFound shows that each check can fail: it fails on a server with the matching flaw.
func TestEveryFlawIsFound(t *testing.T) {
	proven := map[string]bool{}
	for flaw, names := range flaws {
		for _, n := range names {
			proven[n] = true
		}
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			o := Options{Patience: time.Minute, Only: slices.Clone(names)}
			life := time.Hour
			switch flaw {
			case "HEAD waits":
				o.Patience = time.Second
			case "expired uploads remain":
				life = time.Second
			case "conflict without version":
				o.Only = append(o.Only, "offset-ahead") // it uses the answers of other checks
			}
			o.URL = start(t, flaw, life)
			found := run(t, o)
			for _, name := range names {
				if f := found[name]; f.Result != (map[Level]Result{Must: Fail, Should: Warn})[f.Level] {
					t.Errorf("%s: %s (%s)", name, f.Result, f.Detail)
				}
			}
		})
	}
	for _, c := range checks() {
		if !proven[c.name] {
			t.Errorf("no flaw makes %s fail", c.name)
		}
	}
}
