// Package secret keeps tokens and passwords out of logs, errors and dumps.
package secret

import "log/slog"

const mask = "***"

// String is a secret. It prints as *** when it is formatted, logged or encoded. The zero
// value means no secret.
type String struct{ value string }

// New wraps a secret.
func New(s string) String { return String{s} }

// Reveal returns the secret itself. Call it only to send the secret.
func (s String) Reveal() string { return s.value }

// IsZero reports whether there is no secret.
func (s String) IsZero() bool { return s.value == "" }

// String implements fmt.Stringer.
func (s String) String() string {
	if s.IsZero() {
		return ""
	}
	return mask
}

// GoString implements fmt.GoStringer, so that %#v does not leak.
func (s String) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler with the mask.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with the secret itself.
func (s *String) UnmarshalText(b []byte) error {
	s.value = string(b)
	return nil
}
