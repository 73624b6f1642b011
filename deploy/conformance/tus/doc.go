// Package tus looks at a server of tus 1.0 (https://tus.io/protocols/resumable-upload)
// from outside and tells where it departs from the protocol. It knows nothing
// of the server but its address: what the server claims to offer it learns
// from OPTIONS, and what is claimed is checked.
//
// Every check is one statement of the protocol: it has a name, the section that
// the statement is from, and a level. What a check finds against a MUST is a
// failure, against a SHOULD a warning. Where the protocol is silent and a
// station's life depends on it all the same (a HEAD while a PATCH hangs on a dead
// connection), the section says so and the level is SHOULD.
//
// A run makes uploads and finishes some of them, and terminates them in the end
// where the server offers that. What a server has made of finished ones it
// keeps, so it should be one for tests.
package tus
