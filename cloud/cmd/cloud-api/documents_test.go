package main

import (
	"testing"

	"github.com/alecthomas/kong"

	"cattlecounter/deploy/testkit/documents"
)

// Every command line of this program in the documents is one that it accepts.
func TestDocumentsNameCommands(t *testing.T) {
	documents.CheckCommands(t, "../../..", "cloud-api", 8, func(args []string) error {
		p, err := kong.New(new(commands), kong.Exit(func(int) {}))
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Parse(args)
		return err
	})
}
