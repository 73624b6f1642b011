// Package systemd has no code of its own: it holds the edge agent's unit and the
// script that installs it where there is no dpkg, and their tests.
package systemd
