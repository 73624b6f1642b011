// Command sbom writes and checks lists of what images consist of, see package sbom.
package main

import (
	"context"
	"fmt"
	"os"

	"cattlecounter/deploy/packaging/sbom"
)

func main() {
	if err := sbom.Main(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}
