// Package packaging builds releases and the Debian package of the edge agent. Its test installs, updates, removes and
// purges the package. reproduce.sh checks that the programs can be built again byte by byte, and sbom lists what an image
// consists of.
package packaging
