// Package archtest has no code of its own: its tests hold the shape of the
// tree, that is which package may import which.
package archtest
