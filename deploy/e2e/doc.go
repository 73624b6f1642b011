// Package e2e has no code of its own: its tests run the real programs as
// separate processes, with Debian's mosquitto as the broker, and look at them
// from outside: through the API, over MQTT and on the command line.
package e2e
