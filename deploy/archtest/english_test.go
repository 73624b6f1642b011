package archtest

import (
	"go/parser"
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// riddles are words that a reader whose first language is not English stumbles over, or that hide the subject. The left
// side must not occur in comments, strings and documents; the right side says what to write.
var riddles = map[string]string{
	`anew`:                    "again",
	`nobody|no one`:           "name what is missing: no client, no operator",
	`deeds?`:                  "action",
	`wherein|whereby|thereof`: "in which, by which, its",
	`whoever`:                 "name the subject",
	`at hand`:                 "current",
	`of its own accord`:       "by itself",
	`in vain`:                 "without success",
	`for ever`:                "forever, or name the limit",
	`comes before its turn`:   "is preferred",
	`has no business`:         "must not",
	`is (gone|made) again`:    "is recreated",
	`(is|was|are|were) told`:  "is published, is reported, is logged",
	`(is|was) said`:           "is reported",
	`goes on where`:           "continues at the offset where",
}

// spared lists files that may hold the words: this list, and SQL with the names of columns that stay.
var spared = []string{"deploy/archtest/english_test.go", "cloud/store/ledger/audit.go"}

// TestNoRiddles looks for the words in every document and in the comments and strings of every Go file.
func TestNoRiddles(t *testing.T) {
	var patterns []string
	for p := range riddles {
		patterns = append(patterns, p)
	}
	banned := regexp.MustCompile(`(?i)\b(` + strings.Join(patterns, "|") + `)\b`)
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "*.go", "*.md")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list the files: %v", err)
	}
	checked := 0
	for file := range strings.FieldsSeq(string(out)) {
		if slices.Contains(spared, file) || under(file, "shared/adr") { // decisions keep their wording
			continue
		}
		checked++
		text, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range prose(file, text) {
			if word := banned.FindString(p.text); word != "" {
				t.Errorf("%s:%d: %q is hard to read: %s", file, p.line, word, advice(word))
			}
		}
	}
	if checked < 300 {
		t.Errorf("only %d files checked", checked)
	}
}

func advice(word string) string {
	for p, instead := range riddles {
		if regexp.MustCompile(`(?i)^(` + p + `)$`).MatchString(word) {
			return "write " + instead
		}
	}
	return "write it differently"
}

// part is text that people read, and the line in which it begins.
type part struct {
	line int
	text string
}

// prose returns the lines of a document, or the comments and strings of a Go file.
func prose(file string, text []byte) []part {
	var parts []part
	if filepath.Ext(file) != ".go" {
		for i, line := range strings.Split(string(text), "\n") {
			parts = append(parts, part{i + 1, line})
		}
		return parts
	}
	fset := token.NewFileSet()
	f := fset.AddFile(file, fset.Base(), len(text))
	var s scanner.Scanner
	s.Init(f, text, nil, scanner.ScanComments)
	for {
		pos, tok, lit := s.Scan()
		switch tok {
		case token.EOF:
			return parts
		case token.COMMENT, token.STRING:
			for i, line := range strings.Split(lit, "\n") {
				parts = append(parts, part{f.Line(pos) + i, line})
			}
		}
	}
}

// TestProseIsFound shows that the test above would find a word.
func TestProseIsFound(t *testing.T) {
	const code = "package x // made anew\n\nvar anew = `told\nanew`\n"
	if _, err := parser.ParseFile(token.NewFileSet(), "x.go", code, 0); err != nil {
		t.Fatal(err)
	}
	parts := prose("x.go", []byte(code))
	if len(parts) != 3 || parts[0].line != 1 || parts[1].line != 3 || parts[2].line != 4 {
		t.Errorf("found %+v", parts)
	}
}
