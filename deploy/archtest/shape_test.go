package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// mostMethods is how many methods an interface may have: a consumer names what it uses, not what another type offers.
const mostMethods = 6

// largeInterfaces have more, each with its reason.
var largeInterfaces = map[string]string{}

// heldContexts are structs that hold a context, each with its reason. A type with a Read or Write method may hold one
// without being listed: io.Reader has no parameter for it.
var heldContexts = map[string]string{
	"deploy/conformance/tus.probe": "it lives as long as one check, and 50 checks would pass the same context on",
}

// source is one parsed file of the product.
type source struct {
	pkg  string
	file *ast.File
}

// sources parses every Go file that is built, without the tests and without the test kit.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	for _, p := range packages(t) {
		if under(p.ImportPath, "deploy/testkit") {
			continue
		}
		for _, name := range append(p.GoFiles, p.CgoFiles...) {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, source{p.ImportPath, f})
		}
	}
	return all
}

// eachType calls do for every type that is declared with a name.
func eachType(all []source, do func(name string, spec *ast.TypeSpec)) {
	for _, s := range all {
		ast.Inspect(s.file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				do(s.pkg+"."+spec.Name.Name, spec)
			}
			return true
		})
	}
}

func TestInterfacesAreSmall(t *testing.T) {
	all := sources(t)
	interfaces := map[string]*ast.InterfaceType{}
	eachType(all, func(name string, spec *ast.TypeSpec) {
		if i, ok := spec.Type.(*ast.InterfaceType); ok {
			interfaces[name] = i
		}
	})
	var count func(pkg string, i *ast.InterfaceType) int
	count = func(pkg string, i *ast.InterfaceType) int {
		n := 0
		for _, m := range i.Methods.List {
			switch e := m.Type.(type) {
			case *ast.FuncType:
				n += len(m.Names)
			case *ast.Ident: // an interface of the same package
				if embedded, ok := interfaces[pkg+"."+e.Name]; ok {
					n += count(pkg, embedded)
				}
			case *ast.SelectorExpr: // one of another package
				n++
			}
		}
		return n
	}
	if len(interfaces) == 0 {
		t.Fatal("no interface found")
	}
	for name, i := range interfaces {
		pkg := name[:strings.LastIndex(name, ".")]
		n, reason := count(pkg, i), largeInterfaces[name]
		switch {
		case n > mostMethods && reason == "":
			t.Errorf("%s has %d methods, at most %d: name only what the consumer uses", name, n, mostMethods)
		case n <= mostMethods && reason != "":
			t.Errorf("%s has %d methods: it is no exception any more", name, n)
		}
	}
}

func TestStructsHoldNoContext(t *testing.T) {
	all := sources(t)
	streams, held := map[string]bool{}, map[string]bool{}
	for _, s := range all {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && (f.Name.Name == "Read" || f.Name.Name == "Write") {
				streams[s.pkg+"."+receiver(f)] = true
			}
		}
	}
	eachType(all, func(name string, spec *ast.TypeSpec) {
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range s.Fields.List {
				held[name] = held[name] || isContext(f.Type)
			}
		}
	})
	for name, holds := range held {
		switch {
		case holds && !streams[name] && heldContexts[name] == "":
			t.Errorf("%s holds a context: pass it as the first parameter", name)
		case !holds && heldContexts[name] != "":
			t.Errorf("%s holds no context: it is no exception any more", name)
		}
	}
	if len(streams) == 0 {
		t.Error("no type with a Read or Write method found")
	}
}

func receiver(f *ast.FuncDecl) string {
	e := f.Recv.List[0].Type
	if p, ok := e.(*ast.StarExpr); ok {
		e = p.X
	}
	if g, ok := e.(*ast.IndexExpr); ok {
		e = g.X
	}
	if i, ok := e.(*ast.Ident); ok {
		return i.Name
	}
	return ""
}

func isContext(e ast.Expr) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != "Context" {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == "context"
}
