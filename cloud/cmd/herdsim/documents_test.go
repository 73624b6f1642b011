package main

import (
	"errors"
	"io"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/documents"
)

// TestDocumentsNameCommands checks that the program accepts every command line of it in the documents.
func TestDocumentsNameCommands(t *testing.T) {
	documents.CheckCommands(t, "../../..", "herdsim", 3, func(args []string) error {
		var stderr strings.Builder
		p := parse(new(commands), args, io.Discard, &stderr)
		if p.Code != 0 {
			return errors.New(stderr.String())
		}
		return nil
	})
}
