package web

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"

	"cattlecounter/shared/topic"
)

var errNoDocument = errors.New("a document of the API is not valid")

//go:embed openapi.yaml
var openAPI []byte

// documents are the descriptions of the API as they are served.
type documents struct{ openAPI, openAPIJSON, asyncAPI []byte }

func readDocuments() (documents, error) {
	d := documents{openAPI: openAPI, asyncAPI: topic.AsyncAPI}
	var tree any
	if err := yaml.Unmarshal(openAPI, &tree); err != nil {
		return d, fmt.Errorf("openapi.yaml: %w: %w", errNoDocument, err)
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return d, fmt.Errorf("openapi.yaml: %w: %w", errNoDocument, err)
	}
	d.openAPIJSON = text
	return d, nil
}
