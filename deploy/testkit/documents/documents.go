// Package documents reads the project's documents for tests that compare them
// with the code.
package documents

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// patterns are the documents that describe today's programs. CHANGELOG.md is not
// among them: it names what existed once.
var patterns = []string{
	"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "deploy/docs/*.md", "deploy/azure/*.md", "deploy/bench/*.md",
	"firmware-notes/*.md", "shared/adr/*.md", "cloud/training/README.md", "cloud/model/default/README.md",
}

// Code is one piece of text that a document shows as code.
type Code struct {
	// File is the document's path below the project's folder, Line counts from 1.
	File string
	Line int
	// Text is a code span, or one line of a fenced block.
	Text string
}

// All reads every piece of code in the documents below root, which is the
// project's folder.
func All(t *testing.T, root string) []Code {
	t.Helper()
	var all []Code
	for _, p := range patterns {
		files, err := filepath.Glob(filepath.Join(root, p))
		if err != nil || len(files) == 0 {
			t.Fatalf("no document matches %s (%v)", p, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(root, f)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, read(name, string(b))...)
		}
	}
	return all
}

var span = regexp.MustCompile("`([^`]+)`")

func read(file, text string) []Code {
	var all []Code
	fenced, n := false, 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
		case fenced:
			all = append(all, Code{file, n, line})
		default:
			for _, m := range span.FindAllStringSubmatch(line, -1) {
				all = append(all, Code{file, n, m[1]})
			}
		}
	}
	return all
}

// Command is one command line of a program that a document shows.
type Command struct {
	Code
	// Args are the words behind the program's name. Optional parts in brackets,
	// comments and redirections are left out.
	Args []string
}

var (
	optional = regexp.MustCompile(`\[[^\]]*\]`)
	ending   = regexp.MustCompile(`\s(#|>|\||&&|<|;).*$`)
)

// Commands returns the command lines of one program in the documents below root.
// Lines with an ellipsis are left out.
func Commands(t *testing.T, root, program string) []Command {
	t.Helper()
	var commands []Command
	for _, c := range All(t, root) {
		text := strings.TrimPrefix(strings.TrimPrefix(c.Text, "$ "), "build/bin/")
		args, ok := strings.CutPrefix(text, program+" ")
		if !ok || strings.Contains(args, "…") || strings.Contains(args, "...") {
			continue
		}
		args = optional.ReplaceAllString(ending.ReplaceAllString(args, ""), "")
		commands = append(commands, Command{c, strings.Fields(args)})
	}
	return commands
}

// common are the flags that shared/cli adds to every program.
var common = regexp.MustCompile(`^--(version|man-page|completion=(bash|zsh|fish))$`)

// Check parses every command line of a program in the documents below root, and
// reports words and flags that the program does not know. Missing arguments are
// no fault, for a document may name a command without them. At least some
// command lines must be there, or the test is about nothing.
func Check(t *testing.T, root, program string, some int, parse func(args []string) error) {
	t.Helper()
	commands := Commands(t, root, program)
	if len(commands) < some {
		t.Errorf("the documents show %d command lines of %s, at least %d were expected", len(commands), program, some)
	}
	for _, c := range commands {
		if len(c.Args) == 1 && common.MatchString(c.Args[0]) {
			continue
		}
		err := parse(c.Args)
		if err == nil {
			continue
		}
		for _, unknown := range []string{"unexpected argument", "unknown flag", "must be one of"} {
			if strings.Contains(err.Error(), unknown) {
				t.Errorf("%s line %d: `%s`: %v", c.File, c.Line, c.Text, err)
			}
		}
	}
}
