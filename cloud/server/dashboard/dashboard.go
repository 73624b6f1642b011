// Package dashboard holds the page that people see. Its sources are in src;
// `npm ci && npm run build` bundles them into dist, which is embedded here.
package dashboard

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files returns the built page: index.html and what it loads, or nothing when
// it was not built.
func Files() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the folder's name is a constant
	}
	return sub
}
