// Package contract tests that station and cloud understand each other: the
// station's own client makes every call that a station makes, the real server
// answers, and the station's own types decode the answers. It holds tests only,
// because neither side may import the other.
package contract
