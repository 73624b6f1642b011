package config

import (
	_ "embed"
	"fmt"
	"io"

	"gopkg.in/yaml.v3"
)

// Sample is the commented configuration file with every key at its default.
//
//go:embed cloud.sample.yaml
var Sample string

// Write prints the configuration as YAML, secrets hidden.
func Write(w io.Writer, c Config) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return enc.Close()
}
