// Package systemd has only tests: of the edge agent's unit and of the script that installs it on systems without dpkg.
package systemd
