package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestExitCodes holds every program to the exit codes that its help documents.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	badCloud, badEdge := write("cloud.yaml", "http: {listne: x}\n"), write("edge.yaml", "sight: north\n")
	notes := write("notes.mp4", "these are my notes")
	missing := filepath.Join(dir, "missing")
	const failed, usage, third, noModel = 1, 2, 3, 4
	for _, c := range []struct {
		program string
		args    []string
		code    int
		says    string
	}{
		{"edge-agent", []string{"run", "--config", badEdge}, usage, "unknown key"},
		{"edge-agent", []string{"run", "--config", missing}, usage, "no such file"},
		{"edge-agent", []string{"ctl", "--config", missing, "pause"}, usage, "no such file"},
		{"cloud-api", []string{"serve", "--config", badCloud}, usage, "unknown key"},
		{"cloud-api", []string{"serve", "--config", missing}, usage, "no such file"},
		{"cloud-api", []string{"job", "show", "none"}, third, "not in the ledger"},
		{"cloud-api", []string{"ledger", "restore", missing}, failed, "no such file"},
		{"worker", []string{"run", "--config", badCloud}, usage, "unknown key"},
		{"worker", []string{"run", "--config", missing}, usage, "no such file"},
		{"worker", []string{"count", notes}, third, "notes.mp4"},
		{"worker", []string{"count", missing}, third, "no such file"},
		{"worker", []string{"count", "--model", missing, notes}, noModel, "missing"},
		{"worker", []string{"model", "pull", "no-owner"}, usage, "no-owner"},
		{"worker", []string{"simulate"}, usage, "herdsim clip"},
		{"herdsim", []string{"clip", "--out", filepath.Join(missing, "a.mp4")}, failed, "missing"},
		{"herdsim", []string{"clip", "--size", "large", "--out", missing}, usage, "large"},
		{"herdsim", []string{"clip"}, usage, "--out"},
		{"allinone", []string{"--bin", bin, "--data", filepath.Join(dir, "demo"), "--footage", missing}, usage, "no such file"},
		{"allinone", []string{"--bin", bin, "--data", filepath.Join(dir, "demo"), "--model", missing}, usage, "missing"},
		{"allinone", []string{"--bin", bin, "--data", dir, "--fresh", "--footage", notes}, usage, "another --data"},
		{"allinone", []string{"--bin", missing, "--data", filepath.Join(dir, "demo"), "--footage", notes}, failed, "no such file"},
		{"tus-conformance", []string{"ftp://host/"}, usage, "no http or https address"},
		{"tus-conformance", []string{"http://127.0.0.1:1/"}, usage, "connection refused"},
	} {
		code, out := runProgram(t, dir, c.program, c.args...)
		if code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s %v: exit code %d, want %d with %q\n%s", c.program, c.args, code, c.code, c.says, out)
		}
	}
}

var documented = regexp.MustCompile(`(?s)Exit codes: 0 .*; 1 .*; 2 `)

// TestCommandLines checks what every program has in common: help, version, completion, manual page, wrong use.
func TestCommandLines(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"edge-agent", "cloud-api", "worker", "herdsim", "allinone", "tus-conformance"} {
		for _, c := range []struct {
			arg  string
			code int
			says string
		}{
			{"--help", 0, "Usage: " + program},
			{"--version", 0, program + " " + version},
			{"--completion=bash", 0, "complete -o default"},
			{"--completion=zsh", 0, "#compdef " + program},
			{"--completion=fish", 0, "complete -c " + program},
			{"--man-page", 0, ".SH DESCRIPTION"},
			{"--completion=csh", 2, "want bash, zsh or fish"},
			{"--no-such-flag", 2, "Try: " + program + " --help"},
		} {
			code, out := runProgram(t, t.TempDir(), program, c.arg)
			if code != c.code || !strings.Contains(out, c.says) {
				t.Errorf("%s %s: exit code %d, want %d with %q\n%s", program, c.arg, code, c.code, c.says, out)
			}
			if c.arg == "--help" && !documented.MatchString(out) {
				t.Errorf("%s --help does not list its exit codes:\n%s", program, out)
			}
		}
	}
}

// runProgram returns the exit code and both outputs. Data of the program goes below dir.
func runProgram(t *testing.T, dir, program string, args ...string) (int, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, program), args...)
	cmd.Dir = "../.." // where the default model is
	cmd.Env = append(os.Environ(), "CATTLE_CLOUD_DATA="+filepath.Join(dir, "data"), "ONNXRUNTIME_LIB="+library(t), "HOME="+dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}
