// Package systemd has only tests: of the units of edge agent, cloud-api and worker, and of the script that installs the
// agent on systems without dpkg.
package systemd
