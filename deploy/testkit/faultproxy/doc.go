// Package faultproxy is a TCP proxy for tests that disturbs connections. It cuts them at
// a byte, stalls them, resets them at random, slows them down, swallows or refuses them.
// It counts the faults and the bytes.
//
// A Faults value describes the faults of a connection; they can be combined. A cut resets
// the client's side, as a modem does. It closes the server's side, so that delivered bytes
// arrive and the number of lost bytes is exact.
package faultproxy
