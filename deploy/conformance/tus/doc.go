// Package tus checks from outside whether a server follows tus 1.0 (https://tus.io/protocols/resumable-upload). It knows
// only the address of the server: it reads the extensions from OPTIONS and checks those that the server claims.
//
// Each check is one statement of the protocol. It has a name, the section of the statement, and a level. A departure from
// a MUST is a failure, from a SHOULD a warning. Some checks cover what the protocol leaves open and a station depends on,
// such as HEAD while a PATCH hangs on a dead connection; their section says so and their level is SHOULD.
//
// A run creates uploads and finishes some of them. It terminates them at the end where the server offers that. A server
// keeps what it does with finished uploads, so use a test server.
package tus
