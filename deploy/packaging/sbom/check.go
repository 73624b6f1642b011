package sbom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// ErrInvalid marks a document that breaks the schema of CycloneDX 1.6.
var ErrInvalid = errors.New("not a valid CycloneDX 1.6 document")

// Schema checks documents. It is safe for concurrent use.
type Schema struct{ of *jsonschema.Schema }

// LoadSchema loads the schema that CycloneDX publishes in its Go module, whose source the Go tool finds: it works in a
// checkout of the project with Go.
func LoadSchema(ctx context.Context) (*Schema, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go")
	out, err := cmd.Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		return nil, fmt.Errorf("find the schema of CycloneDX: go list: %w; run it in the project, after go mod download", err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for _, name := range []string{"bom-1.6.schema.json", "spdx.schema.json", "jsf-0.82.schema.json"} {
		file := name
		if name == "jsf-0.82.schema.json" {
			file = "jsf-0.82.schemax.json" // so it is called in the module
		}
		if err := addSchema(c, "http://cyclonedx.org/schema/"+name, filepath.Join(dir, "schema", file)); err != nil {
			return nil, err
		}
	}
	s, err := c.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		return nil, fmt.Errorf("read the schema of CycloneDX: %w", err)
	}
	return &Schema{s}, nil
}

func addSchema(c *jsonschema.Compiler, url, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return c.AddResource(url, doc)
}

// Check returns an error of the class ErrInvalid for a document that breaks the schema.
func (s *Schema) Check(document []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := s.of.Validate(doc); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}
