package tus

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"cattlecounter/deploy/conformance/finding"
	"cattlecounter/shared/cli"
)

// Exit codes; the description has the same list.
const (
	exitOK     = 0
	exitBroken = 1
	exitUsage  = cli.ExitUsage
)

const description = `Checks whether a server follows tus 1.0. It creates uploads and finishes some: use a test server.

Exit codes: 0 every MUST holds; 1 a MUST does not hold; 2 wrong use, or the server does not answer.`

// Main runs one command line and returns the exit code.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c Command
	p := cli.Parse(&c, cli.Program{Name: "tus-conformance", Description: description, Stdout: stdout, Stderr: stderr}, args)
	if p.Ended {
		return p.Code
	}
	ok, err := c.Run(ctx, stdout)
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "tus-conformance:", err)
		return exitUsage
	case !ok:
		return exitBroken
	}
	return exitOK
}

// Command is the command line.
type Command struct {
	URL        string            `arg:"" help:"Where uploads are created, such as http://127.0.0.1:8080/files/."`
	Header     []string          `help:"Header for every request, \"Name: value\"; may be repeated." sep:"none" env:"TUS_HEADER" placeholder:"HEADER"`
	Metadata   map[string]string `help:"Metadata of every upload; may be repeated." mapsep:"none" placeholder:"KEY=VALUE"`
	Digest     string            `help:"Metadata key of the file's SHA-256, for a server that checks it." placeholder:"KEY"`
	Begin      string            `help:"Start of every content, in hexadecimal. Default: the head of an MP4." placeholder:"HEX"`
	Extensions []string          `help:"Extensions to check instead of those in OPTIONS." placeholder:"NAME"`
	Only       []string          `help:"Checks to run instead of all." placeholder:"CHECK"`
	Patience   time.Duration     `help:"Limit for an answer." default:"10s"`
	Settle     time.Duration     `help:"Time for bytes to reach the server before a connection is reset." default:"500ms"`
	JSON       bool              `help:"Write the findings as JSON." name:"json"`
}

// Run checks the server, writes the findings to w, and returns whether every MUST holds.
func (c Command) Run(ctx context.Context, w io.Writer) (bool, error) {
	o := Options{URL: c.URL, Extensions: c.Extensions, Only: c.Only, Metadata: c.Metadata, Digest: c.Digest, Patience: c.Patience, Settle: c.Settle, Header: http.Header{}}
	for _, h := range c.Header {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return false, fmt.Errorf("%w: a header is \"Name: value\"", ErrOptions) // the value may be a secret
		}
		o.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if c.Begin != "" {
		b, err := hex.DecodeString(c.Begin)
		if err != nil {
			return false, fmt.Errorf("%w: --begin: %w", ErrOptions, err)
		}
		o.Begin = b
	}
	fs, err := Run(ctx, o)
	if err != nil {
		return false, err
	}
	if c.JSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return !finding.Failed(fs), e.Encode(fs)
	}
	return !finding.Failed(fs), finding.WriteTable(w, fs)
}
