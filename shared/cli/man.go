package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"cattlecounter/shared/version"
)

// writeManPage writes a page of section 1 in man(7), the oldest macros, which every man program reads.
func writeManPage(out io.Writer, app *kong.Application) error {
	w := &strings.Builder{}
	fmt.Fprintf(w, ".TH %s 1 \"\" %s CattleCounter\n", roff(strings.ToUpper(app.Name)), roffQuote(app.Name+" "+version.String()))
	summary, _, _ := strings.Cut(app.Help, "\n")
	summary, _, _ = strings.Cut(summary, ". ")
	fmt.Fprintf(w, ".SH NAME\n%s \\- %s\n", roff(app.Name), roff(strings.TrimSuffix(summary, ".")))
	fmt.Fprintf(w, ".SH SYNOPSIS\n.B %s\n%s\n", roff(app.Name), roff(strings.TrimSpace(strings.TrimPrefix(app.Summary(), app.Name))))
	w.WriteString(".SH DESCRIPTION\n")
	for i, paragraph := range strings.Split(strings.TrimSpace(app.Help), "\n\n") {
		if i > 0 {
			w.WriteString(".PP\n")
		}
		w.WriteString(roff(paragraph) + "\n")
	}
	w.WriteString(".SH OPTIONS\n")
	writeOptions(w, app.Node, app.Node)
	if children := visibleChildren(app.Node); len(children) > 0 {
		w.WriteString(".SH COMMANDS\n")
		for _, c := range children {
			writeCommand(w, app.Node, c)
		}
	}
	_, err := io.WriteString(out, w.String())
	return err
}

// writeCommand writes a command and those below it.
func writeCommand(w *strings.Builder, root, n *kong.Node) {
	if children := visibleChildren(n); len(children) > 0 {
		for _, c := range children {
			writeCommand(w, root, c)
		}
		return
	}
	fmt.Fprintf(w, ".SS %s\n%s\n", roffQuote(commandPath(n)), roff(n.Help))
	if n.Detail != "" {
		fmt.Fprintf(w, ".PP\n%s\n", roff(n.Detail))
	}
	writeOptions(w, root, n)
}

// commandPath is the command as it is typed, with its arguments and without the program's name.
func commandPath(n *kong.Node) string {
	path := n.Name
	for p := n.Parent; p != nil && p.Type == kong.CommandNode; p = p.Parent {
		path = p.Name + " " + path
	}
	for _, p := range n.Positional {
		path += " " + p.Summary()
	}
	return path
}

// writeOptions writes the arguments and flags of one node; those of the program stand once, in OPTIONS.
func writeOptions(w *strings.Builder, root, n *kong.Node) {
	for _, p := range n.Positional {
		fmt.Fprintf(w, ".TP\n.I %s\n%s\n", roff(p.Summary()), roff(p.Help))
	}
	for at := n; at != nil && (at == n || at != root); at = at.Parent {
		for _, f := range at.Flags {
			if f.Hidden {
				continue
			}
			names := `\fB` + roff("--"+f.Name) + `\fR`
			if f.Short != 0 {
				names = `\fB` + roff("-"+string(f.Short)) + `\fR, ` + names
			}
			if !f.IsBool() && !f.IsCounter() {
				names += `=\fI` + roff(f.FormatPlaceHolder()) + `\fR`
			}
			fmt.Fprintf(w, ".TP\n%s\n%s\n", names, roff(f.Help))
			if len(f.Envs) > 0 {
				fmt.Fprintf(w, "Environment: %s.\n", roff(strings.Join(f.Envs, ", ")))
			}
		}
	}
}

// roff escapes what troff would read as a request.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}

func roffQuote(text string) string { return `"` + strings.ReplaceAll(roff(text), `"`, `\(dq`) + `"` }
