// Package packaging has no code of its own: it holds the Debian package of the
// edge agent and the test that installs, updates, removes and purges it.
package packaging
