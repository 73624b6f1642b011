// Package faultproxy is a TCP proxy that spoils connections on purpose, for
// tests: it cuts them at a byte, stalls them, loses pieces by resets, slows them
// down, swallows or refuses them, and counts what that did. No program imports it.
//
// What happens to a connection is data: a Faults value, whose parts add up. The
// client's side of a cut is reset, as a modem does it; the server's is closed, so
// that what was delivered arrives and the count of lost bytes is exact.
package faultproxy
