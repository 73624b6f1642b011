//go:build race

package simulation

const raceDetector = true // a simulation takes several times as long
