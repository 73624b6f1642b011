package cli

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"worker": func() { os.Exit(Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// The scripts show the command line as a person meets it. They use the small
// detector of bright blobs among the tests of cloud/detect/detr.
func TestScripts(t *testing.T) {
	model, err := filepath.Abs("../../detect/detr/testdata/blobs")
	if err != nil {
		t.Fatal(err)
	}
	library := os.Getenv("ONNXRUNTIME_LIB")
	if library == "" { // where the set-up puts it
		if library, err = filepath.Abs("../../../build/onnxruntime/libonnxruntime.so.1"); err != nil {
			t.Fatal(err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("BLOBS", model)
			e.Setenv("ONNXRUNTIME_LIB", library)
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
	})
}
