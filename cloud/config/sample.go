package config

import (
	_ "embed"
	"fmt"
	"io"

	"gopkg.in/yaml.v3"
)

// Sample is the commented sample file: every key with its default.
//
//go:embed cloud.sample.yaml
var Sample string

// Write writes the configuration to w as YAML. Secrets are printed as ***.
func Write(w io.Writer, c Config) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return fmt.Errorf("cannot write the configuration: %w", err)
	}
	return enc.Close()
}
