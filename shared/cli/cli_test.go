package cli

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// ranch is a command line with all that the generators know.
type ranch struct {
	Config string `short:"c" type:"path" placeholder:"FILE" env:"RANCH_CONFIG" help:"Configuration file (YAML)."`

	Gate struct {
		Open  gateCmd `cmd:"" help:"Open a gate: it stays open."`
		Close gateCmd `cmd:"" help:"Close the farmer's gate."`
	} `cmd:"" help:"Gates."`
	Count  countCmd `cmd:"" help:"Count a herd."`
	Secret gateCmd  `cmd:"" hidden:"" help:"Not for people."`
}

type gateCmd struct {
	Side string `arg:"" enum:"north,south" help:"Which side."`
}

func (gateCmd) Run() error { return nil }

type countCmd struct {
	Kind  string `enum:"cow,calf" default:"cow" help:"What to count."`
	Limit int    `placeholder:"N" help:".5 at least."`
}

func (countCmd) Run() error { return nil }

func parse(args ...string) (p Parsed, stdout, stderr string) {
	var out, errs bytes.Buffer
	var grammar ranch
	p = Parse(&grammar, Program{Name: "test-ranch", Description: "Runs a ranch. With gates.\n\nExit codes: 0 done; 2 wrong use.", Stdout: &out, Stderr: &errs}, args)
	return p, out.String(), errs.String()
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args           string
		ended          bool
		code           int
		stdout, stderr string
	}{
		{"count --limit=3", false, 0, "", ""},
		{"--help", true, 0, "Usage: test-ranch <command>", ""},
		{"count --help", true, 0, "Usage: test-ranch count", ""},
		{"--version", true, 0, "test-ranch devel", ""},
		{"count --version", true, 0, "test-ranch devel", ""},
		{"--completion=bash", true, 0, "complete -o default", ""},
		{"--completion=csh", true, ExitUsage, "", "want bash, zsh or fish"},
		{"--man-page", true, 0, ".SH NAME", ""},
		{"", true, ExitUsage, "", "Try: test-ranch --help"},
		{"fly", true, ExitUsage, "", "unexpected argument fly"},
		{"count --limit=many", true, ExitUsage, "", "--limit"},
		{"count --kind=horse", true, ExitUsage, "", "must be one of"},
		{"gate open west", true, ExitUsage, "", "must be one of"},
	} {
		p, stdout, stderr := parse(strings.Fields(c.args)...)
		if p.Ended != c.ended || p.Code != c.code || (p.Context == nil) != c.ended {
			t.Errorf("%q: %+v", c.args, p)
		}
		if !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) || c.stderr == "" && stderr != "" {
			t.Errorf("%q prints %q and %q", c.args, stdout, stderr)
		}
	}
}

func TestGenerated(t *testing.T) {
	for name, args := range map[string]string{"bash": "--completion=bash", "zsh": "--completion=zsh", "fish": "--completion=fish", "man": "--man-page"} {
		_, got, _ := parse(args)
		golden := filepath.Join("testdata", "test-ranch."+name)
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs from %s; go test -run Generated -update writes it\n%s", args, golden, got)
		}
	}
}

// complete returns what bash offers for the line; the last word is the one under the cursor.
func complete(t *testing.T, words ...string) []string {
	t.Helper()
	script, err := filepath.Abs("testdata/test-ranch.bash")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", append([]string{"-c",
		`source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _test_ranch; printf '%s\n' "${COMPREPLY[@]}"`, "bash", script, "test-ranch"}, words...)...)
	cmd.Dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(cmd.Dir, "ranch.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		t.Fatalf("%v\n%s", err, exit.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

func TestBashCompletes(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string
	}{
		{"|", []string{"gate", "count", "--config", "--help", "--version"}},
		{"g|", []string{"gate"}},
		{"gate|", []string{"gate"}},
		{"gate |", []string{"open", "close", "--config", "--help", "--version"}},
		{"gate open |", []string{"north", "south", "--config", "--help", "--version"}},
		{"count --k|", []string{"--kind"}},
		{"count --kind c|", []string{"cow", "calf"}},
		{"count --limit |", nil},
		{"--config r|", []string{"ranch.yaml"}},
		{"-c r|", []string{"ranch.yaml"}},
	} {
		words := strings.Split(strings.TrimSuffix(c.line, "|"), " ")
		if got := complete(t, words...); !slices.Equal(got, c.want) {
			t.Errorf("%q offers %v, want %v", c.line, got, c.want)
		}
	}
}
