package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cloud-api": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true})
}

// TestNoCgo holds cloud-api to pure Go: it must cross-compile and run on a
// small machine, and OpenCV and ONNX Runtime belong to the worker.
func TestNoCgo(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if .CgoFiles}}{{if not .Standard}}{{.ImportPath}}{{end}}{{end}}", ".")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if cgo := strings.Fields(string(out)); len(cgo) > 0 {
		t.Errorf("cgo comes in with %v", cgo)
	}
	all, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, banned := range []string{"gocv.io/", "github.com/yalue/onnxruntime_go", "github.com/dgraph-io/badger", "cattlecounter/edge"} {
		if strings.Contains(string(all), banned) {
			t.Errorf("%s is linked in", banned)
		}
	}
}
