package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// The page has words of its own for every kind of report that the server sends.
func TestPageKnowsKinds(t *testing.T) {
	table, err := os.ReadFile("../../cloud/server/dashboard/src/words/kinds.ts")
	if err != nil {
		t.Fatal(err)
	}
	for file, of := range map[string]func(typ string, group string) bool{
		"shared/wire/overview.go":            func(typ, _ string) bool { return typ == "AttentionKind" },
		"shared/wire/stations.go":            func(typ, _ string) bool { return typ == "WarningKind" },
		"cloud/count/report/report.go":       func(_, group string) bool { return strings.HasPrefix(group, "Codes of warnings.") },
		"cloud/count/condition/condition.go": func(typ, _ string) bool { return typ == "Code" },
	} {
		kinds := constants(t, "../../"+file, of)
		if len(kinds) == 0 {
			t.Errorf("%s has no kinds", file)
		}
		for _, k := range kinds {
			if !strings.Contains(string(table), "\n  "+k+": ") && !strings.Contains(string(table), "\n  '"+k+"': ") {
				t.Errorf("kinds.ts lacks %q of %s", k, file)
			}
		}
	}
}

// constants returns the texts of the constants of a file that of chooses by their type and the comment of their group.
func constants(t *testing.T, path string, of func(typ, group string) bool) (all []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			typ, _ := v.Type.(*ast.Ident)
			name := ""
			if typ != nil {
				name = typ.Name
			}
			if len(v.Values) != 1 || !of(name, g.Doc.Text()) {
				continue
			}
			lit, ok := v.Values[0].(*ast.BasicLit)
			if !ok {
				continue
			}
			if text, err := strconv.Unquote(lit.Value); err == nil {
				all = append(all, text)
			}
		}
	}
	return all
}
