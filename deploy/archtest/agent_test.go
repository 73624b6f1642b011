package archtest

import (
	"debug/buildinfo"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// boards are those of `make cross`.
var boards = []struct {
	name    string
	machine elf.Machine
}{
	{"amd64", elf.EM_X86_64},
	{"arm64", elf.EM_AARCH64},
	{"armv7", elf.EM_ARM},
}

// agentMost is what a station downloads at most over a link that is paid by the
// megabyte, before compression.
const agentMost = 25_000_000

// agentNever says which modules the agent does without, and why.
var agentNever = map[string]string{
	"github.com/gofiber":              "it serves no web",
	"gocv.io":                         "OpenCV is the worker's",
	"github.com/yalue/onnxruntime_go": "inference is the worker's",
	"github.com/Azure":                "the cloud's store is the cloud's business",
	"modernc.org":                     "its records live in the spool",
	"github.com/mochi-mqtt":           "the broker is the cloud's",
	"github.com/goreleaser":           "packaging is no part of a program",
}

// TestAgentBinary checks the program as it is shipped: static, free of cgo and of banned modules, and small. It builds
// as `make cross` does and into the same folder, so that nothing is linked twice.
func TestAgentBinary(t *testing.T) {
	if testing.Short() {
		t.Skip("links the agent for every board: skipped with -short")
	}
	for _, b := range boards {
		t.Run(b.name, func(t *testing.T) {
			program := filepath.Join("../../build/cross", "edge-agent-"+b.name)
			cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "cross-one", "PROGRAM=edge-agent", "BOARD="+b.name)
			cmd.Dir = "../.."
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			st, err := os.Stat(program)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%.1f MB", float64(st.Size())/1e6)
			if st.Size() > agentMost {
				t.Errorf("%d bytes, at most %d", st.Size(), agentMost)
			}
			info, err := buildinfo.ReadFile(program)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range info.Deps {
				for never, why := range agentNever {
					if strings.HasPrefix(m.Path, never) {
						t.Errorf("holds %s: %s", m.Path, why)
					}
				}
			}
			static(t, program, b.machine)
		})
	}
}

func static(t *testing.T, program string, machine elf.Machine) {
	t.Helper()
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Machine != machine {
		t.Errorf("for %s, want %s", f.Machine, machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Error("needs a dynamic linker, which a board may have in another version")
		}
	}
}
