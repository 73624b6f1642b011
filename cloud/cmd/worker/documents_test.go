package main

import (
	"errors"
	"io"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/documents"
	"cattlecounter/shared/cli"
)

// TestDocumentsNameCommands checks that the program accepts every command line of it in the documents.
func TestDocumentsNameCommands(t *testing.T) {
	documents.CheckCommands(t, "../../..", "worker", 12, func(args []string) error {
		var stderr strings.Builder
		p := cli.Parse(new(commands), cli.Program{Name: "worker", Description: description, Stdout: io.Discard, Stderr: &stderr}, args)
		if p.Code != 0 {
			return errors.New(stderr.String())
		}
		return nil
	})
}
