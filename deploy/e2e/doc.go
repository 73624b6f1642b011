// Package e2e has no code of its own: its tests run the real programs as
// separate processes, with Debian's mosquitto as the broker, and look at them
// from outside: through the API, over MQTT and on the command line.
//
// TestFaults sends files over bad links. FAULTS=long makes the files larger, some
// minutes in all; FAULTS_REPORT names a file that its table is appended to. Three
// of its links are network namespaces, which need root, iproute2 and a kernel that
// lets them: a privilege that CI may not have. Without it these three say so and
// skip.
package e2e
