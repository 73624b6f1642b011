package archtest

import (
	"os/exec"
	"strings"
	"testing"
)

// TestWorkerHasNoRenderer keeps the simulator out of the worker's binary: it has a program of its own, herdsim.
func TestWorkerHasNoRenderer(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", "gocv_specific_modules,gocv_videoio", "./cloud/cmd/worker")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.FieldsSeq(string(out)) {
		if under(dep, module+"cloud/synthetic") {
			t.Errorf("./cloud/cmd/worker depends on %s", dep)
		}
	}
}
