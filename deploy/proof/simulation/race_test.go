//go:build race

package simulation

const raced = true // everything takes several times as long
