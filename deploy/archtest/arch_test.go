package archtest

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "cattlecounter/"

type pkg struct {
	Dir        string
	ImportPath string
	Imports    []string
	GoFiles    []string
	CgoFiles   []string
}

// packages lists the packages of the module, with the build tags of the programs.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=Dir,ImportPath,Imports,GoFiles,CgoFiles", "-tags", "gocv_specific_modules,gocv_videoio", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		all = append(all, p)
	}
}

func under(path string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(r string) bool { return path == r || strings.HasPrefix(path, r+"/") })
}

// only lists the folders that may import a library, with the reason.
var only = map[string]struct {
	roots []string
	why   string
}{
	"github.com/gofiber/fiber":            {[]string{"cloud/server/web"}, "its context must not outlive a handler, so it has one home"},
	"github.com/dgraph-io/badger":         {[]string{"edge/spool"}, "durability is decided in one place"},
	"gocv.io/x/gocv":                      {[]string{"cloud/count/video"}, "the rest of the cloud builds without OpenCV"},
	"C":                                   {[]string{"cloud/count/video/libav"}, "C code of our own has one home, the isolated decoder"},
	"github.com/yalue/onnxruntime_go":     {[]string{"cloud/count/detect/detr"}, "the rest of the cloud builds without cgo"},
	"github.com/wneessen/go-mail":         {[]string{"cloud/server/notify"}, "e-mails have one home"},
	"github.com/SherClockHolmes/webpush":  {[]string{"cloud/server/notify"}, "messages to browsers have one home"},
	"codeberg.org/go-pdf/fpdf":            {[]string{"cloud/server/report"}, "its habits are worked around in one place"},
	"github.com/tus/tusd":                 {[]string{"cloud/server/intake"}, "the upload protocol has one home"},
	"github.com/mochi-mqtt/server":        {[]string{"cloud/server/broker", "deploy/testkit/broker"}, "the broker has one home"},
	"modernc.org/sqlite":                  {[]string{"cloud/store/database", "cloud/place/geopackage"}, "what differs between databases has one home; a GeoPackage is a file of SQLite"},
	"github.com/jackc/pgx":                {[]string{"cloud/store/database", "deploy/testkit/postgres"}, "what differs between databases has one home"},
	"github.com/coreos/go-systemd":        {[]string{"edge/systemd"}, "messages to the service manager have one home"},
	"go.opentelemetry.io":                 {[]string{"shared/tracing", "deploy/testkit/collector"}, "a trace id is made in one place"},
	"github.com/eclipse/paho.mqtt.golang": {[]string{"shared/mqttlink", "deploy/testkit/broker", "deploy/conformance/mqtt"}, "its pitfalls are handled in one place; the conformance kit needs only its packets"},
}

func TestLayers(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			in, ours := strings.CutPrefix(imp, module)
			switch {
			case !ours:
			case under(in, "deploy/testkit") && !under(p.ImportPath, "deploy/testkit"):
				t.Errorf("%s imports %s: only tests may import the test kit", p.ImportPath, in)
			case under(p.ImportPath, "shared") && !under(in, "shared"),
				under(p.ImportPath, "edge") && !under(in, "edge", "shared"),
				under(p.ImportPath, "cloud") && !under(in, "cloud", "shared"):
				t.Errorf("%s imports %s: edge and cloud import only themselves and shared, shared only itself", p.ImportPath, in)
			}
			for lib, rule := range only {
				if strings.HasPrefix(imp, lib) && !under(p.ImportPath, rule.roots...) {
					t.Errorf("%s imports %s, allowed in %v: %s", p.ImportPath, imp, rule.roots, rule.why)
				}
			}
			if under(p.ImportPath, "cloud/count/track", "cloud/count/tally", "cloud/count/crossing", "cloud/count/report", "shared/boundary", "shared/footage", "shared/job", "shared/topic", "shared/wire") &&
				(imp == "os" || imp == "net" || strings.HasPrefix(imp, "net/") || imp == "C") {
				t.Errorf("%s imports %s: it does no I/O", p.ImportPath, imp)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		documented := false
		for _, name := range append(p.GoFiles, p.CgoFiles...) {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			documented = documented || f.Doc != nil
		}
		if !documented && len(p.GoFiles)+len(p.CgoFiles) > 0 {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// TestPureGo checks that the programs for small machines contain neither cgo nor banned modules.
func TestPureGo(t *testing.T) {
	for program, banned := range map[string][]string{
		"./edge/cmd/edge-agent": {"gocv.io", "github.com/yalue/onnxruntime_go", "github.com/gofiber", "github.com/Azure", "modernc.org/sqlite", "runtime/cgo"},
		"./cloud/cmd/cloud-api": {"gocv.io", "github.com/yalue/onnxruntime_go", "github.com/dgraph-io/badger", "runtime/cgo"},
	} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", program)
		cmd.Dir = "../.."
		cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for dep := range strings.FieldsSeq(string(out)) {
			for _, b := range banned {
				if strings.HasPrefix(dep, b) {
					t.Errorf("%s depends on %s", program, dep)
				}
			}
		}
	}
}

// testkit is the roof over every package that only tests may import.
const testkit = module + "deploy/testkit"

// TestProgramsHoldNoTestTools checks that no program contains the test kit.
func TestProgramsHoldNoTestTools(t *testing.T) {
	programs := 0
	for _, p := range packages(t) {
		if filepath.Base(filepath.Dir(p.ImportPath)) != "cmd" {
			continue
		}
		programs++
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", "gocv_specific_modules,gocv_videoio", module+p.ImportPath)
		cmd.Dir = "../.."
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for dep := range strings.FieldsSeq(string(out)) {
			if under(dep, testkit) {
				t.Errorf("%s depends on %s", p.ImportPath, dep)
			}
		}
	}
	if programs < 4 {
		t.Errorf("only %d programs found", programs)
	}
}
