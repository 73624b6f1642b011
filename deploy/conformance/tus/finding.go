package tus

import "cattlecounter/deploy/conformance/finding"

// The findings have the form of every conformance kit.
type (
	// Level is how strictly the protocol demands something.
	Level = finding.Level
	// Result is the outcome of a check.
	Result = finding.Result
	// Finding is the result of one check.
	Finding = finding.Finding
)

// Levels and results.
const (
	Must    = finding.Must
	Should  = finding.Should
	Pass    = finding.Pass
	Fail    = finding.Fail
	Warn    = finding.Warn
	Skipped = finding.Skipped
)

func newFinding(c check, err error) Finding { return finding.Of(c.name, c.section, c.level, err) }
