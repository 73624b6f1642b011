// Package wire is the contract over HTTP: uploads (tus 1.0), the views of the REST API,
// problem documents and the names of blobs. Station, cloud, worker and the fake cloud of the
// tests share these types, so that they cannot disagree. openapi.yaml describes the same
// documents for people, and a test compares it with these types. The package does no I/O
// and knows no web framework.
package wire

import "cattlecounter/shared/footage"

// Paths of the cloud's HTTP server.
const (
	APIPath    = "/api/v1"
	FilesPath  = "/files/" // tus uploads
	HealthPath = "/healthz"
)

// FootagePath is the path of one piece of footage in the REST API.
func FootagePath(id footage.ID) string { return APIPath + "/footage/" + string(id) }
