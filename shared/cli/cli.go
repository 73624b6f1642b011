// Package cli is what the command lines of all programs have in common: --version, shell completion, the manual page,
// and an exit code for wrong use.
package cli

import (
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"cattlecounter/shared/version"
)

// ExitUsage is the exit code of every program for arguments that it does not understand.
const ExitUsage = 2

const exitFailed = 1

// Program describes a program to its users. All fields are required.
type Program struct {
	Name        string
	Description string // what it does, and its exit codes
	Stdout      io.Writer
	Stderr      io.Writer
}

// Parsed is an understood command line.
type Parsed struct {
	// Context selects and runs the command. It is nil when Ended is true.
	Context *kong.Context
	// Ended is true when nothing is left to do: help, version, completion or manual page were printed, or the arguments
	// were wrong and the reason was printed. The program exits with Code.
	Ended bool
	Code  int
}

// common is part of every command line.
type common struct {
	Version    versionFlag    `help:"Print the version and exit."`
	Completion completionFlag `hidden:"" placeholder:"SHELL" help:"Print the completion script for bash, zsh or fish and exit."`
	ManPage    manPageFlag    `hidden:"" help:"Print the manual page and exit."`
}

type (
	versionFlag    bool
	completionFlag string
	manPageFlag    bool
)

// BeforeReset prints the version before kong looks for missing arguments.
func (versionFlag) BeforeReset(k *kong.Kong) error {
	_, err := fmt.Fprintln(k.Stdout, k.Model.Name, version.String())
	return end(k, err)
}

// BeforeReset prints the completion script.
func (completionFlag) BeforeReset(k *kong.Kong, c *kong.Context, p *kong.Path) error {
	shell, _ := c.FlagValue(p.Flag).(completionFlag)
	write, ok := shells[string(shell)]
	if !ok {
		return fmt.Errorf("--completion=%s: unknown shell; want bash, zsh or fish", shell)
	}
	return end(k, write(k.Stdout, k.Model))
}

// BeforeReset prints the manual page.
func (manPageFlag) BeforeReset(k *kong.Kong) error {
	return end(k, writeManPage(k.Stdout, k.Model))
}

// end ends the program after its output.
func end(k *kong.Kong, err error) error {
	if err != nil {
		fmt.Fprintf(k.Stderr, "%s: %v\n", k.Model.Name, err)
		k.Exit(exitFailed)
		return nil
	}
	k.Exit(0)
	return nil
}

// Parse reads args into grammar, a pointer to a struct with kong's tags. It never ends the process.
func Parse(grammar any, p Program, args []string, options ...kong.Option) Parsed {
	ended, code := false, 0
	exit := func(n int) {
		if !ended { // kong continues after --help and can call a second time
			ended, code = true, n
		}
	}
	options = append([]kong.Option{kong.Name(p.Name), kong.Description(p.Description), kong.Writers(p.Stdout, p.Stderr), kong.Exit(exit),
		kong.Embed(&common{})}, options...)
	parser, err := kong.New(grammar, options...)
	if err != nil {
		fmt.Fprintf(p.Stderr, "%s: %v\n", p.Name, err)
		return Parsed{Ended: true, Code: exitFailed}
	}
	k, err := parser.Parse(args)
	switch {
	case ended:
		return Parsed{Ended: true, Code: code}
	case err != nil:
		fmt.Fprintf(p.Stderr, "%s: %v\nTry: %s --help\n", p.Name, err, p.Name)
		return Parsed{Ended: true, Code: ExitUsage}
	}
	return Parsed{Context: k}
}
