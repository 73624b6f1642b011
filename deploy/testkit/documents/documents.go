// Package documents reads the project's documents, so that tests can compare them with the code.
package documents

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// patterns are the documents that describe the current programs. CHANGELOG.md also describes former ones.
var patterns = []string{
	"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md",
	"deploy/docs/*.md", "deploy/azure/*.md", "deploy/bench/*.md", "firmware-notes/*.md", "shared/adr/*.md",
	"cloud/training/README.md", "cloud/model/default/README.md",
}

// Code is a piece of text that a document shows as code.
type Code struct {
	File string // path of the document, relative to the project's folder
	Line int    // from 1
	Text string // a code span, or one line of a fenced block
}

// All returns every piece of code in the documents. root is the project's folder.
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

// read returns the pieces of code in the text of a file.
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

// Command is a command line in a document.
type Command struct {
	Code
	// Args are the words after the name of the program, without optional parts in brackets, comments and redirections.
	Args []string
}

var (
	optional = regexp.MustCompile(`\[[^\]]*\]`)
	ending   = regexp.MustCompile(`\s(#|>|\||&&|<|;).*$`)
)

// Commands returns the command lines of the program in the documents, except those with an ellipsis. root is the
// project's folder.
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

// commonFlag matches the flags that shared/cli adds to every program.
var commonFlag = regexp.MustCompile(`^--(version|man-page|completion=(bash|zsh|fish))$`)

// CheckCommands fails the test if a command line of the program in the documents has a word or a flag that parse does
// not know. It ignores missing arguments, because a document may name a command without them. It also fails with fewer
// than least command lines, which would mean that it did not find them. root is the project's folder.
func CheckCommands(t *testing.T, root, program string, least int, parse func(args []string) error) {
	t.Helper()
	commands := Commands(t, root, program)
	if len(commands) < least {
		t.Errorf("the documents show %d command lines of %s, want at least %d", len(commands), program, least)
	}
	for _, c := range commands {
		if len(c.Args) == 1 && commonFlag.MatchString(c.Args[0]) {
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
