package main

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
	"github.com/rogpeppe/go-internal/testscript"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/secret"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cloud-api": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"factor": setFactor}})
}

// setFactor sets a second factor of a person up, as the page does. SEED is then its key and BACKUP a backup code.
func setFactor(ts *testscript.TestScript, _ bool, args []string) {
	ctx := context.Background()
	l, err := ledger.Open(ctx, ts.MkAbs("data/ledger.db"), ledger.Options{})
	ts.Check(err)
	defer l.Close()
	people, err := l.People.List(ctx)
	ts.Check(err)
	p := people[slices.IndexFunc(people, func(p ledger.Person) bool { return p.Name == args[0] })]
	address, err := l.People.NewSecondFactor(ctx, p, ledger.SecondStep{})
	ts.Check(err)
	key, err := otp.NewKeyFromURL(address.Reveal())
	ts.Check(err)
	code, err := totp.GenerateCode(key.Secret(), time.Now())
	ts.Check(err)
	_, backup, err := l.People.ConfirmSecondFactor(ctx, p, secret.New(code))
	ts.Check(err)
	ts.Setenv("SEED", key.Secret())
	ts.Setenv("BACKUP", backup[0].Reveal())
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
