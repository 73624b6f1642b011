package server

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

// pageCheck returns the path of a program of deploy/setup/pagechecks. It skips the test without it; with the variable set
// to required it fails.
func pageCheck(t *testing.T, variable, program string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("drives a browser: skipped with -short")
	}
	path := must.Get(filepath.Abs("../../build/pagechecks/" + program))(t)
	_, err := os.Stat(path)
	if err == nil {
		return path
	}
	if os.Getenv(variable) == "required" {
		t.Fatalf("%v; run deploy/setup/setup.sh pagechecks", err)
	}
	t.Skip("the page checks are missing; run deploy/setup/setup.sh pagechecks")
	return ""
}

// runCheck runs a program of the page checks and shows what it prints.
func runCheck(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "node", args...).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("%s: %v", filepath.Base(args[0]), err)
	}
}

// TestPageInFirefox opens every view of a ranch in Firefox and uses the main actions: make page-firefox. It runs in every
// test run where Firefox and the page checks are installed.
func TestPageInFirefox(t *testing.T) {
	program := pageCheck(t, "CATTLE_FIREFOX", "firefox.mjs")
	if _, err := exec.LookPath("firefox-esr"); err != nil && os.Getenv("FIREFOX") == "" {
		if os.Getenv("CATTLE_FIREFOX") == "required" {
			t.Fatal(err)
		}
		t.Skip("no firefox-esr")
	}
	findChromium(t) // for the page itself
	r := seedRanch(t)
	type view struct {
		Path  string `json:"path"`
		Ready string `json:"ready"`
	}
	list := struct {
		Helpers string `json:"helpers"`
		Views   []view `json:"views"`
	}{Helpers: helpers}
	for _, v := range ranchViews {
		list.Views = append(list.Views, view{v.path, v.ready})
	}
	file := filepath.Join(t.TempDir(), "views.json")
	must.Do(t, os.WriteFile(file, must.Get(json.Marshal(list))(t), 0o600))
	runCheck(t, program, r.at.HTTP, r.token, file)
}

// TestPageWithLighthouse measures the main views with Lighthouse's mobile profile: make lighthouse. It runs only when
// LIGHTHOUSE is set, because the figures of a busy machine say nothing.
func TestPageWithLighthouse(t *testing.T) {
	if os.Getenv("LIGHTHOUSE") == "" {
		t.Skip("LIGHTHOUSE is not set")
	}
	t.Setenv("CATTLE_LIGHTHOUSE", "required")
	program := pageCheck(t, "CATTLE_LIGHTHOUSE", "lighthouse.mjs")
	findChromium(t)
	r := seedRanch(t)
	runCheck(t, program, r.at.HTTP, "/", "/flights", "/footage/flight-000", "/history", "/stations", "/stations/dock-1", "/queue")
}
