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

// agentMost is the size limit of the program in bytes: a station downloads it over a metered link.
const agentMost = 25_000_000

// agentNever are modules that the agent must not contain, with the reason.
var agentNever = map[string]string{
	"github.com/gofiber":              "the agent serves no web pages",
	"gocv.io":                         "OpenCV belongs to the worker",
	"github.com/yalue/onnxruntime_go": "inference belongs to the worker",
	"github.com/Azure":                "only the cloud uses its store",
	"modernc.org":                     "the agent stores its records in the spool",
	"github.com/mochi-mqtt":           "the broker belongs to the cloud",
	"github.com/goreleaser":           "packaging tools are no part of a program",
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
				t.Errorf("%d bytes, want at most %d", st.Size(), agentMost)
			}
			info, err := buildinfo.ReadFile(program)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range info.Deps {
				for never, why := range agentNever {
					if strings.HasPrefix(m.Path, never) {
						t.Errorf("contains %s: %s", m.Path, why)
					}
				}
			}
			static(t, program, b.machine)
		})
	}
}

// static checks that a program runs on its board without any library.
func static(t *testing.T, program string, machine elf.Machine) {
	t.Helper()
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Machine != machine {
		t.Errorf("built for %s, want %s", f.Machine, machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Error("needs a dynamic linker, whose version differs between boards")
		}
	}
}
