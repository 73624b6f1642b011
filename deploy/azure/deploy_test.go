package azure

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// stage is a copy of the scripts in a folder, with programs that record how they are called.
type stage struct {
	t    *testing.T
	root string
	env  []string
}

// fake answers for a program: it records its arguments, prints what a file says, and fails when a file says so. The az of it
// remembers what was deployed last: the images of workers, site and slot, and the settings of site and slot.
const fake = `#!/bin/sh
name=$(basename "$0")
echo "$name $*" >>"$STAGE/calls"
for word in $FAILING; do
	case "$name $*" in *"$word"*) echo "$name: failed" >&2; exit 1 ;; esac
done
put() { mkdir -p "$STAGE/runs"; echo "$2" >"$STAGE/runs/$1"; }
got() { cat "$STAGE/runs/$1" 2>/dev/null; true; }
after() { option=$1; shift; while [ "$1" != "$option" ]; do shift; done; echo "$2"; }
case "$name $*" in
*"deployment group create"*)
	put worker "${WORKER_IMAGE:-registry/worker:$VERSION}"
	for place in site next; do put $place "${API_IMAGE:-registry/cloud-api:$VERSION}"; done
	put next.settings '[{"name":"NEW"}]'
	if [ "${API_SETTINGS:-[]}" = '[]' ]; then put site.settings '[{"name":"NEW"}]'; else put site.settings "$API_SETTINGS"; fi ;;
*"webapp list"*) if [ -e "$STAGE/runs/site" ]; then echo api; fi; echo "$MORESITES" ;;
*"webapp config show"*) echo "DOCKER|$(got site)" ;;
*"config appsettings list"*) got site.settings ;;
*"--container-image-name"*) put next "$(after --container-image-name "$@")" ;;
*"slot swap"*)
	for what in "" .settings; do
		site=$(got "site$what"); put "site$what" "$(got "next$what")"; put "next$what" "$site"
	done ;;
*"containerapp revision list"*) got revision ;;
*"containerapp revision deactivate"*) put revision "" ;;
*"containerapp revision show"*) echo "${REPLICAS:-0}" ;;
*"containerapp update"*) put worker "$(after --image "$@")"; put revision worker--new ;;
*"containerapp show"* | *"containerapp list"*) got worker ;;
*"imagetools inspect registry/worker:before"*) echo "{\"config\":{\"Labels\":{$LABELBEFORE}}}" ;;
*"imagetools inspect"*) echo '{"config":{"Labels":{"a":"b","cattlecounter.ledger":"new"}}}' ;;
*"--metadata-file"*)
	while [ "$1" != --metadata-file ]; do shift; done
	echo '{"containerimage.digest":"sha256:abc"}' >"$2" ;;
esac
`

// before is what runs at the start of a test.
var before = map[string]string{"worker": "registry/worker:before", "site": "registry/cloud-api:before", "next": "registry/cloud-api:older",
	"site.settings": `[{"name":"OLD"}]`, "next.settings": `[{"name":"OLDER"}]`, "revision": "worker--before"}

// runs is what the fake az has deployed at a place, of the names in before.
func (s *stage) runs(place string) string {
	b, _ := os.ReadFile(filepath.Join(s.root, "runs", place))
	return strings.TrimSpace(string(b))
}

func newStage(t *testing.T, environ ...string) *stage {
	t.Helper()
	s := &stage{t: t, root: t.TempDir()}
	bin := filepath.Join(s.root, "bin")
	write := func(name, text string) {
		t.Helper()
		at := filepath.Join(s.root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"az", "docker", "cosign", "trivy", "curl", "git"} {
		write("bin/"+name, fake)
	}
	text, err := os.ReadFile("deploy.sh")
	if err != nil {
		t.Fatal(err)
	}
	write("deploy/azure/deploy.sh", string(text))
	write("deploy/azure/smoke.sh", fake)
	for place, what := range before {
		write("runs/"+place, what+"\n")
	}
	s.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "STAGE="+s.root, "HEALTH_TRIES=2", "HEALTH_PAUSE=0",
		"RESOURCE_GROUP=group", "ENVIRONMENT=test", "REGISTRY=herd", "VERSION=1.2.3", "WEB_APP=api", "WORKER_APP=worker",
		"SMOKE_TOKEN=cc_secret", "SMOKE_CLIP=clip.mp4", "SMOKE_COUNT=12", "FAILING=", "MORESITES=", "REPLICAS=0", "MQTT_PASSWORD=secret-of-mqtt",
		"LEDGER_KEYS=secret-of-the-ledger", "DATABASE_ADMIN_ID=id", "DATABASE_ADMIN_NAME=admins", `LABELBEFORE="cattlecounter.ledger":"new"`)
	s.env = append(s.env, environ...)
	return s
}

func (s *stage) run(args ...string) (string, error) {
	cmd := exec.CommandContext(s.t.Context(), filepath.Join(s.root, "deploy/azure/deploy.sh"), args...)
	cmd.Env = s.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *stage) must(args ...string) {
	s.t.Helper()
	if out, err := s.run(args...); err != nil {
		s.t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// calls are the recorded calls, and the record is emptied.
func (s *stage) calls() []string {
	at := filepath.Join(s.root, "calls")
	b, _ := os.ReadFile(at)
	_ = os.Remove(at)
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// inOrder reports whether the calls contain each part, one after the other.
func inOrder(calls, parts []string) error {
	for _, p := range parts {
		i := slices.IndexFunc(calls, func(c string) bool { return strings.Contains(c, p) })
		if i < 0 {
			return fmt.Errorf("no call of %q in its place", p)
		}
		calls = calls[i+1:]
	}
	return nil
}

func TestDeployReleases(t *testing.T) {
	s := newStage(t)
	s.must("images")
	calls := s.calls()
	if err := inOrder(calls, []string{"az acr login --name herd", "docker buildx build --file deploy/docker/cloud-api.Dockerfile",
		"cosign sign --yes herd.azurecr.io/cattlecounter/cloud-api@sha256:abc", "docker buildx build --file deploy/docker/worker.Dockerfile",
		"linux/arm/v7"}); err != nil {
		t.Errorf("%v\n%s", err, strings.Join(calls, "\n"))
	}
	s.must("scan")
	if n := len(s.calls()); n != 3 {
		t.Errorf("%d images were scanned, want 3", n)
	}
	s.must("release")
	calls = s.calls()
	if err := inOrder(calls, []string{"az containerapp show", "--slot next --container-image-name herd.azurecr.io/cattlecounter/cloud-api@sha256:abc",
		"curl -fsS --max-time 10 https://api-next.azurewebsites.net/readyz", "deployment slot swap",
		"az containerapp update --resource-group group --name worker --image herd.azurecr.io/cattlecounter/worker@sha256:abc",
		"curl -fsS --max-time 10 https://api.azurewebsites.net/readyz", "smoke.sh https://api.azurewebsites.net clip.mp4 12"}); err != nil {
		t.Errorf("%v\n%s", err, strings.Join(calls, "\n"))
	}
	if strings.Contains(strings.Join(calls, "\n"), "cc_secret") {
		t.Error("the token is in the arguments of a program")
	}
	if strings.Contains(strings.Join(calls, "\n"), "deactivate") {
		t.Error("workers were stopped, although the ledger stays as it is")
	}
	if s.runs("worker") != "herd.azurecr.io/cattlecounter/worker@sha256:abc" {
		t.Errorf("workers of %s run", s.runs("worker"))
	}
}

// Programs of before refuse a ledger that the new version has changed, so there is no way back by itself. An image that
// does not name its ledger may have another one.
func TestDeployKeepsAChangedLedger(t *testing.T) {
	for name, label := range map[string]string{"another": `"cattlecounter.ledger":"old"`, "unknown": ""} {
		for _, failing := range []string{"api-next.azurewebsites", "smoke.sh"} {
			t.Run(name+" "+failing, func(t *testing.T) {
				s := newStage(t, "FAILING="+failing, "LABELBEFORE="+label)
				s.must("images")
				s.calls()
				out, err := s.run("release")
				if err == nil || !strings.Contains(out, "NOT GOING BACK") || !strings.Contains(out, "restore the database to 20") {
					t.Errorf("%v\n%s", err, out)
				}
				calls := s.calls()
				if err := inOrder(calls, []string{"revision deactivate", "revision show", "--container-image-name"}); err != nil {
					t.Errorf("the workers of before see the new version: %v\n%s", err, strings.Join(calls, "\n"))
				}
				// After a failure in the slot users have the version of before, and its workers start again.
				api, worker := "registry/cloud-api:before", "registry/worker:before"
				if failing == "smoke.sh" {
					api, worker = "herd.azurecr.io/cattlecounter/cloud-api@sha256:abc", "herd.azurecr.io/cattlecounter/worker@sha256:abc"
				}
				if s.runs("site") != api || s.runs("worker") != worker || s.runs("revision") == "" {
					t.Errorf("%s, workers %s, revision %q:\n%s", s.runs("site"), s.runs("worker"), s.runs("revision"), strings.Join(calls, "\n"))
				}
				if out, err := s.run("back"); err == nil || !strings.Contains(out, "NOT GOING BACK") {
					t.Errorf("back by hand: %v\n%s", err, out)
				}
				// After the database was restored, a person removes the mark.
				if err := os.Remove(filepath.Join(s.root, "build/deploy/ledger.changed")); err != nil {
					t.Fatal(err)
				}
				s.must("back")
				if s.runs("site") != before["site"] || s.runs("worker") != before["worker"] {
					t.Errorf("after back %s and workers %s run", s.runs("site"), s.runs("worker"))
				}
			})
		}
	}
}

// The first try may have changed the ledger, so the time of it is the time to restore, until another version runs.
func TestDeployKeepsTheTimeOfTheFirstTry(t *testing.T) {
	s := newStage(t, "FAILING=api-next.azurewebsites", "LABELBEFORE=")
	s.must("images")
	mark := filepath.Join(s.root, "build/deploy/ledger.changed")
	if out, err := s.run("release"); err == nil {
		t.Fatalf("a release that failed is a success:\n%s", out)
	}
	const first = "2001-02-03T04:05:06Z"
	if err := os.WriteFile(mark, []byte(first+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.must("infrastructure")
	if out, err := s.run("release"); err == nil || !strings.Contains(out, "restore the database to "+first) {
		t.Errorf("the second try: %v\n%s", err, out)
	}
	s.env = append(s.env, "FAILING=")
	s.must("release")
	s.must("release") // from the new version: nothing changes, and the mark is of the version before
	if _, err := os.Stat(mark); err == nil {
		t.Error("the mark of an earlier release stays")
	}
	// An earlier swap is no swap of this release.
	s.env = append(s.env, "FAILING=api-next.azurewebsites")
	if out, err := s.run("release"); err == nil {
		t.Fatalf("a release that failed is a success:\n%s", out)
	}
	s.calls()
	s.must("back")
	if calls := strings.Join(s.calls(), "\n"); strings.Contains(calls, "slot swap") {
		t.Errorf("it swapped back what was not swapped:\n%s", calls)
	}
}

// Workers of before must not meet the new version, so without their end there is no release; and they start again.
func TestDeployWaitsForTheWorkers(t *testing.T) {
	for name, setting := range map[string]string{"still run": "REPLICAS=2", "unknown": "FAILING=revision"} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, setting, "LABELBEFORE=", "DRAIN_TRIES=3")
			s.must("images")
			if out, err := s.run("release"); err == nil || !strings.Contains(out, "could not be stopped") {
				t.Errorf("%v\n%s", err, out)
			}
			if s.runs("next") != before["next"] || s.runs("worker") != before["worker"] || s.runs("revision") == "" {
				t.Errorf("slot %s, workers %s, revision %q", s.runs("next"), s.runs("worker"), s.runs("revision"))
			}
		})
	}
}

// The image names the ledger of its version, and another migration makes another name.
func TestImagesNameTheirLedger(t *testing.T) {
	s := newStage(t)
	label := func() string {
		t.Helper()
		s.must("images")
		calls := strings.Join(s.calls(), "\n")
		_, rest, found := strings.Cut(calls, "--label cattlecounter.ledger=")
		if !found {
			t.Fatalf("no label:\n%s", calls)
		}
		return strings.Fields(rest)[0]
	}
	migration := func(name string) {
		t.Helper()
		at := filepath.Join(s.root, "cloud/store/ledger/migrations", name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	migration("00001_begin.sql")
	first := label()
	if again := label(); again != first {
		t.Errorf("the same migrations have the names %s and %s", first, again)
	}
	migration("00002_more.sql")
	if second := label(); second == first {
		t.Errorf("another migration has the same name %s", first)
	}
}

// A version that is not ready in its slot changes nothing, one that fails later is taken back.
func TestDeployGoesBack(t *testing.T) {
	for failing, wantSwaps := range map[string]int{"api-next.azurewebsites": 0, "smoke.sh": 2, "api.azurewebsites": 2} {
		t.Run(failing, func(t *testing.T) {
			s := newStage(t, "FAILING="+failing)
			s.must("images")
			s.calls()
			out, err := s.run("release")
			if err == nil {
				t.Fatalf("a release that failed is a success:\n%s", out)
			}
			calls := strings.Join(s.calls(), "\n")
			if n := strings.Count(calls, "slot swap"); n != wantSwaps {
				t.Errorf("%d swaps, want %d:\n%s", n, wantSwaps, calls)
			}
			if restored := strings.Contains(calls, "--image registry/worker:before"); restored != (wantSwaps > 0) {
				t.Errorf("workers restored: %v\n%s", restored, calls)
			}
		})
	}
}

func TestDeployScanFails(t *testing.T) {
	s := newStage(t, "FAILING=trivy")
	s.must("images")
	if out, err := s.run("scan"); err == nil || !strings.Contains(out, "vulnerabilities that have a fix") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestDeployNamesWhatIsMissing(t *testing.T) {
	s := newStage(t, "REGISTRY=")
	if out, err := s.run("images"); err == nil || !strings.Contains(out, "set REGISTRY") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := s.run("dance"); err == nil || !strings.Contains(out, "deploy.sh release") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The real az reads the arguments of every call of the script, up to the missing log-in: it knows each command and option.
// Files of Bicep are read before that, and need a compiler that az fetches. Without az the test is skipped.
func TestAzKnowsTheArguments(t *testing.T) {
	az, err := exec.LookPath("az")
	if err != nil {
		t.Skip("az is not installed: ", err)
	}
	s := newStage(t, "REGISTRY=herdregistry", "FAILING=smoke.sh")
	for _, step := range []string{"check", "infrastructure", "images"} {
		s.must(step)
	}
	if out, err := s.run("release"); err == nil {
		t.Fatalf("a release that failed is a success:\n%s", out)
	}
	// With the docker of the stage: az asks it for its state before the log-in to the registry.
	settings := append(s.env, "AZURE_CONFIG_DIR="+t.TempDir(), "AZURE_CORE_COLLECT_TELEMETRY=no")
	seen := map[string]bool{}
	for _, call := range s.calls() {
		line, isAz := strings.CutPrefix(call, "az ")
		if !isAz || seen[line] {
			continue
		}
		seen[line] = true
		cmd := exec.CommandContext(t.Context(), az, strings.Fields(line)...)
		cmd.Env, cmd.Dir = settings, "../.."
		out, err := cmd.CombinedOutput()
		compiles := strings.Contains(line, "bicep") && strings.Contains(string(out), "Bicep")
		if err == nil || !compiles && !strings.Contains(string(out), "az login") {
			t.Errorf("az %s: %v\n%s", line, err, out)
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d different calls were found", len(seen))
	}
}

func TestDeployInfrastructure(t *testing.T) {
	s := newStage(t)
	s.must("check")
	s.must("infrastructure")
	calls := s.calls()
	if err := inOrder(calls, []string{"az bicep build --file deploy/azure/main.bicep", "az deployment group what-if --resource-group group",
		"az group create --name group --location westeurope", "deploy/azure/environments/test.bicepparam"}); err != nil {
		t.Errorf("%v\n%s", err, strings.Join(calls, "\n"))
	}
	if all := strings.Join(calls, "\n"); strings.Contains(all, "secret-of") {
		t.Errorf("a secret is in the arguments of a program:\n%s", all)
	}
}

// Resources change without another version. What runs keeps its images, and the API its settings, until the release.
func TestInfrastructureKeepsWhatRuns(t *testing.T) {
	s := newStage(t, "LABELBEFORE=", "FAILING=smoke.sh")
	want := func(when, site, settings, worker string) {
		t.Helper()
		if s.runs("site") != site || s.runs("site.settings") != settings || s.runs("worker") != worker {
			t.Errorf("%s: %s with %s, workers %s", when, s.runs("site"), s.runs("site.settings"), s.runs("worker"))
		}
	}
	const image = "herd.azurecr.io/cattlecounter/"
	s.must("infrastructure")
	want("after infrastructure", before["site"], before["site.settings"], before["worker"])
	if s.runs("next.settings") != `[{"name":"NEW"}]` {
		t.Errorf("the slot has the settings %s", s.runs("next.settings"))
	}
	s.must("images")
	if out, err := s.run("release"); err == nil || !strings.Contains(out, "NOT GOING BACK") {
		t.Errorf("the workers of before are not those of before: %v\n%s", err, out)
	}
	want("after the release", image+"cloud-api@sha256:abc", `[{"name":"NEW"}]`, image+"worker@sha256:abc")
	if err := os.Remove(filepath.Join(s.root, "build/deploy/ledger.changed")); err != nil {
		t.Fatal(err)
	}
	s.must("back")
	want("after back", before["site"], before["site.settings"], before["worker"])
}

func TestInfrastructureInstallsTheVersion(t *testing.T) {
	s := newStage(t)
	if err := os.RemoveAll(filepath.Join(s.root, "runs")); err != nil {
		t.Fatal(err)
	}
	s.must("infrastructure")
	if s.runs("site") != "registry/cloud-api:1.2.3" || s.runs("worker") != "registry/worker:1.2.3" || s.runs("site.settings") != `[{"name":"NEW"}]` {
		t.Errorf("%s with %s, workers %s", s.runs("site"), s.runs("site.settings"), s.runs("worker"))
	}
}

// What cannot be read is not taken for an empty group, and an empty secret replaces none.
func TestInfrastructureStops(t *testing.T) {
	for setting, want := range map[string]string{
		"FAILING=webapp": "failed", "FAILING=containerapp": "failed", "FAILING=appsettings": "failed", "MORESITES=second": "several web apps",
		"MQTT_PASSWORD=": "set MQTT_PASSWORD", "LEDGER_KEYS=": "set LEDGER_KEYS",
		"DATABASE_ADMIN_ID=": "set DATABASE_ADMIN_ID", "DATABASE_ADMIN_NAME=": "set DATABASE_ADMIN_NAME",
	} {
		for _, step := range []string{"check", "infrastructure"} {
			t.Run(step+" "+setting, func(t *testing.T) {
				s := newStage(t, setting)
				if out, err := s.run(step); err == nil || !strings.Contains(out, want) {
					t.Errorf("%v\n%s", err, out)
				}
				if calls := strings.Join(s.calls(), "\n"); strings.Contains(calls, "az deployment") {
					t.Errorf("it deployed:\n%s", calls)
				}
			})
		}
	}
}
