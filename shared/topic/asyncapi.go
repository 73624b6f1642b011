package topic

import _ "embed"

// AsyncAPI is the AsyncAPI 3 document of every topic and payload, in YAML.
//
//go:embed asyncapi.yaml
var AsyncAPI []byte
