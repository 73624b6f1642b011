// Package packaging builds releases and the Debian package of the edge agent. Its test installs, updates, removes and
// purges the package.
package packaging
