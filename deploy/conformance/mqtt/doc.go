// Package mqtt checks from outside whether a running cloud follows the MQTT contract in deploy/docs/mqtt.md and in its
// AsyncAPI document. It is a subscriber, an operator and a station, and knows only addresses and tokens.
//
// Each check is one statement of the documents. It has a name, the section of the statement, and a level. A departure from
// a MUST is a failure, from a SHOULD a warning. What cannot be tested, because a right, a count or a restart is missing, is
// skipped with the reason.
//
// With a token of an admin a run makes two stations and three tokens, and revokes them at the end. One small upload stays.
// Use a test server.
package mqtt
