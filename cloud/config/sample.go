package config

import _ "embed"

// Sample is the commented configuration file with every key at its default.
//
//go:embed cloud.sample.yaml
var Sample string
