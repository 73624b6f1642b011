package azure

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// workflow is what the tests read of a workflow of GitHub Actions.
type workflow struct {
	Permissions map[string]string
	Jobs        map[string]struct {
		Permissions map[string]string
		Timeout     int `yaml:"timeout-minutes"`
		Container   string
		Environment string
		Steps       []struct {
			Uses string
			Run  string
			With map[string]any
			Env  map[string]string
		}
	}
}

const workflows = "../../.github/workflows"

// TestWorkflowsAreNarrow checks pins, permissions, time limits, and that what a step runs is a script of this project.
func TestWorkflowsAreNarrow(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(workflows, "*.yml"))
	if err != nil || len(files) != 3 {
		t.Fatalf("workflows: %v, %v", files, err)
	}
	pinned := regexp.MustCompile(`uses: \S+@[0-9a-f]{40} # v\d+\.\d+\.\d+\n`)
	script := regexp.MustCompile(`^(deploy/[a-z/-]+\.sh|\.ci/run)( |$)`)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n, all := len(pinned.FindAll(b, -1)), strings.Count(string(b), "uses: "); n != all || n == 0 {
			t.Errorf("%s: %d of %d actions are pinned by digest with their version beside it", file, n, all)
		}
		var w workflow
		if err := yaml.Unmarshal(b, &w); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if !strings.Contains(string(b), "\npermissions: {}\n") {
			t.Errorf("%s: jobs without permissions of their own have some", file)
		}
		for name, job := range w.Jobs {
			if job.Timeout == 0 || len(job.Permissions) == 0 {
				t.Errorf("%s: job %s has time limit %d and permissions %v", file, name, job.Timeout, job.Permissions)
			}
			if (job.Permissions["id-token"] == "write" || job.Permissions["contents"] == "write") && job.Environment == "" {
				t.Errorf("%s: job %s may write, but no environment with its approval holds it", file, name)
			}
			for _, step := range job.Steps {
				if m := script.FindStringSubmatch(step.Run); m != nil {
					if info, err := os.Stat(filepath.Join("../..", m[1])); err != nil || info.Mode()&0o111 == 0 {
						t.Errorf("%s runs %s, which is no program: %v", file, m[1], err)
					}
				} else if strings.Count(step.Run, "\n") > 0 {
					t.Errorf("%s: a step of %s has logic of its own:\n%s", file, name, step.Run)
				}
				if strings.HasPrefix(step.Uses, "actions/checkout@") && step.With["persist-credentials"] != false {
					t.Errorf("%s: the checkout of %s leaves its token behind", file, name)
				}
			}
		}
	}
}

// TestWorkflowGivesTheSettings: the preview of a deployment reads the same settings as the deployment.
func TestWorkflowGivesTheSettings(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(workflows, "deploy.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var w workflow
	if err := yaml.Unmarshal(b, &w); err != nil {
		t.Fatal(err)
	}
	steps := 0
	for _, step := range w.Jobs["images"].Steps {
		if step.Run != "deploy/azure/deploy.sh check" && step.Run != "deploy/azure/deploy.sh infrastructure" {
			continue
		}
		steps++
		for _, name := range []string{"MQTT_PASSWORD", "LEDGER_KEYS", "DATABASE_ADMIN_ID", "DATABASE_ADMIN_NAME"} {
			if !strings.Contains(step.Env[name], "."+name+" ") {
				t.Errorf("%s has the value %q of %s", step.Run, step.Env[name], name)
			}
		}
	}
	if steps != 2 {
		t.Errorf("%d steps read the settings, want 2", steps)
	}
}
