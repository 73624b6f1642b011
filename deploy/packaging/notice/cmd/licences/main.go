// Command licences prints the licence texts of every Go module that the
// project's programs contain, for the archives and packages of a release:
//
//	go run ./deploy/packaging/notice/cmd/licences >licences.txt
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"cattlecounter/deploy/packaging/notice"
)

func main() {
	if err := write(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func write(ctx context.Context, out io.Writer) error {
	programs, err := notice.Programs(ctx, ".")
	if err != nil {
		return err
	}
	modules, err := notice.Linked(ctx, ".", programs)
	if err != nil {
		return err
	}
	for _, m := range modules {
		texts, err := m.Texts()
		if err != nil {
			return err
		}
		for _, t := range texts {
			if _, err := fmt.Fprintf(out, "==== %s: %s ====\n\n%s\n", m.Path, t.Name, t.Text); err != nil {
				return fmt.Errorf("write the licence of %s: %w", m.Path, err)
			}
		}
	}
	return nil
}
