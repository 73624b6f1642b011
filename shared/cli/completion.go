package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

var shells = map[string]func(io.Writer, *kong.Application) error{"bash": writeBash, "zsh": writeZsh, "fish": writeFish}

// level is a place in the tree of commands: the words to get there, and what can follow.
type level struct {
	path     string // " job list"; empty for the program itself
	commands []choice
	flags    []option
	values   []string // of the next positional argument, where they are known
}

type choice struct{ word, help string }

type option struct {
	long, short string // without dashes; short can be empty
	help        string
	takesValue  bool
	file        bool
	values      []string
}

// levels lists every visible command of the program, parents first.
func levels(app *kong.Application) []level {
	var all []level
	var visit func(n *kong.Node, path string)
	visit = func(n *kong.Node, path string) {
		l := level{path: path, flags: flagsOf(n)}
		for _, p := range n.Positional {
			if p.Enum != "" {
				l.values = append(l.values, p.EnumSlice()...)
			}
		}
		children := visibleChildren(n)
		for _, c := range children {
			l.commands = append(l.commands, choice{c.Name, c.Help})
		}
		all = append(all, l)
		for _, c := range children {
			visit(c, path+" "+c.Name)
		}
	}
	visit(app.Node, "")
	return all
}

func visibleChildren(n *kong.Node) []*kong.Node {
	return slices.DeleteFunc(slices.Clone(n.Children), func(c *kong.Node) bool { return c.Hidden || c.Type != kong.CommandNode })
}

// flagsOf lists the visible flags that a command accepts, its parents' among them, in the order of their names.
func flagsOf(n *kong.Node) []option {
	var flags []option
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			g := option{long: f.Name, help: f.Help, takesValue: !f.IsBool() && !f.IsCounter(), file: isFile(f)}
			if f.Short != 0 {
				g.short = string(f.Short)
			}
			if f.Enum != "" {
				g.values = f.EnumSlice()
			}
			flags = append(flags, g)
		}
	}
	slices.SortFunc(flags, func(a, b option) int { return cmp.Compare(a.long, b.long) })
	return flags
}

func isFile(f *kong.Flag) bool {
	return strings.HasPrefix(f.Tag.Type, "existing") || f.Tag.Type == "path" || f.PlaceHolder == "FILE" || f.PlaceHolder == "DIR"
}

// function is the name of the program as shells allow it for functions.
func function(app *kong.Application) string { return "_" + strings.ReplaceAll(app.Name, "-", "_") }

// quote makes a word that every one of the three shells reads as the text.
func quote(text string) string {
	return "'" + strings.NewReplacer("'", "’", `\`, " ", "\n", " ").Replace(text) + "'"
}

// writeWalk writes the loop of bash and zsh that finds the level of the words before the cursor in $path.
func writeWalk(w *strings.Builder, all []level, words string) {
	fmt.Fprintf(w, "\tlocal at='' word\n\tfor word in %s; do\n\t\tcase \"$at $word\" in\n", words)
	for _, l := range all[1:] {
		fmt.Fprintf(w, "\t\t%s) at=%s ;;\n", quote(l.path), quote(l.path))
	}
	w.WriteString("\t\t*) ;;\n\t\tesac\n\tdone\n")
}

// valueCases writes the branches of a case over "level flag" for the flags that take a value.
func valueCases(w *strings.Builder, all []level, values, file, other string) {
	for _, l := range all {
		for _, f := range l.flags {
			if !f.takesValue {
				continue
			}
			pattern := quote(l.path + " --" + f.long)
			if f.short != "" {
				pattern += " | " + quote(l.path+" -"+f.short)
			}
			do := other
			switch {
			case len(f.values) > 0:
				do = fmt.Sprintf(values, strings.Join(f.values, " "))
			case f.file:
				do = file
			}
			fmt.Fprintf(w, "\t%s) %s; return ;;\n", pattern, do)
		}
	}
}

func (l level) words() []string {
	var words []string
	for _, c := range l.commands {
		words = append(words, c.word)
	}
	words = append(words, l.values...)
	for _, f := range l.flags {
		words = append(words, "--"+f.long)
	}
	return words
}

func writeBash(out io.Writer, app *kong.Application) error {
	all, w := levels(app), &strings.Builder{}
	fmt.Fprintf(w, "# bash completion for %s\n%s() {\n", app.Name, function(app))
	w.WriteString("\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n")
	writeWalk(w, all, `"${COMP_WORDS[@]:1:COMP_CWORD-1}"`)
	w.WriteString("\tcase \"$at $previous\" in\n")
	valueCases(w, all, `mapfile -t COMPREPLY < <(compgen -W '%s' -- "$current")`, `mapfile -t COMPREPLY < <(compgen -f -- "$current")`, `COMPREPLY=()`)
	w.WriteString("\t*) ;;\n\tesac\n\tcase \"$at\" in\n")
	for _, l := range all {
		fmt.Fprintf(w, "\t%s) mapfile -t COMPREPLY < <(compgen -W %s -- \"$current\") ;;\n", quote(l.path), quote(strings.Join(l.words(), " ")))
	}
	fmt.Fprintf(w, "\t*) ;;\n\tesac\n}\ncomplete -o default -F %s %s\n", function(app), app.Name)
	_, err := io.WriteString(out, w.String())
	return err
}

func writeZsh(out io.Writer, app *kong.Application) error {
	all, w := levels(app), &strings.Builder{}
	fmt.Fprintf(w, "#compdef %s\n%s() {\n", app.Name, function(app))
	writeWalk(w, all, `"${(@)words[2,CURRENT-1]}"`)
	w.WriteString("\tcase \"$at $words[CURRENT-1]\" in\n")
	valueCases(w, all, "compadd -- %s", "_files", "_message value")
	w.WriteString("\t*) ;;\n\tesac\n\tlocal -a choices\n\tcase \"$at\" in\n")
	colons := func(s string) string { return strings.ReplaceAll(s, ":", `\:`) }
	for _, l := range all {
		fmt.Fprintf(w, "\t%s) choices=(\n", quote(l.path))
		for _, c := range l.commands {
			fmt.Fprintf(w, "\t\t'%s:%s'\n", c.word, colons(plain(c.help)))
		}
		for _, v := range l.values {
			fmt.Fprintf(w, "\t\t'%s'\n", v)
		}
		for _, f := range l.flags {
			fmt.Fprintf(w, "\t\t'--%s:%s'\n", f.long, colons(plain(f.help)))
		}
		w.WriteString("\t) ;;\n")
	}
	fmt.Fprintf(w, "\t*) ;;\n\tesac\n\t_describe %s choices || _files\n}\n%s \"$@\"\n", quote(app.Name), function(app))
	_, err := io.WriteString(out, w.String())
	return err
}

// plain is text without the characters that end a quoted word.
func plain(text string) string { return strings.Trim(quote(text), "'") }

func writeFish(out io.Writer, app *kong.Application) error {
	all, w := levels(app), &strings.Builder{}
	fmt.Fprintf(w, "# fish completion for %s\nfunction _%s_at\n\tset -l at ''\n", app.Name, function(app))
	w.WriteString("\tfor word in (commandline -opc)[2..-1]\n\t\tswitch \"$at $word\"\n")
	for _, l := range all[1:] {
		fmt.Fprintf(w, "\t\t\tcase %s\n\t\t\t\tset at %s\n", quote(l.path), quote(l.path))
	}
	w.WriteString("\t\tend\n\tend\n\techo $at\nend\n")
	for _, l := range all {
		when := fmt.Sprintf(`complete -c %s -n 'test "$(_%s_at)" = "%s"'`, app.Name, function(app), l.path)
		for _, c := range l.commands {
			fmt.Fprintf(w, "%s -f -a %s -d %s\n", when, c.word, quote(c.help))
		}
		if len(l.values) > 0 {
			fmt.Fprintf(w, "%s -f -a %s\n", when, quote(strings.Join(l.values, " ")))
		}
		for _, f := range l.flags {
			fmt.Fprintf(w, "%s -l %s", when, f.long)
			if f.short != "" {
				fmt.Fprintf(w, " -s %s", f.short)
			}
			switch {
			case len(f.values) > 0:
				fmt.Fprintf(w, " -x -a %s", quote(strings.Join(f.values, " ")))
			case f.file:
				w.WriteString(" -r -F")
			case f.takesValue:
				w.WriteString(" -x")
			}
			fmt.Fprintf(w, " -d %s\n", quote(f.help))
		}
	}
	_, err := io.WriteString(out, w.String())
	return err
}
