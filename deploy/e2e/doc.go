// Package e2e has only tests. They run the real programs as separate processes, with Debian's mosquitto as the broker, and
// check them from outside: through the API, over MQTT and on the command line.
//
// TestFaults sends files over bad links. FAULTS=long uses larger files and takes some minutes. FAULTS_REPORT names a file
// to which the test appends its table. Three of the links are network namespaces, which need root, iproute2 and a kernel
// that allows them; without these the three are skipped.
package e2e
