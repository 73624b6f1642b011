package footage

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is the most bytes that SafeName returns.
const MaxName = 255

const (
	unnamed  = "unnamed" // the SafeName of an empty name
	nameTail = 60        // bytes at the end of a long name that stay: number and extension
)

// SafeName returns a base name in a form that is safe to store, to log and to show. The result is valid UTF-8,
// printable, never empty and at most MaxName bytes. It has no characters that turn the direction of text or that are
// invisible.
//
// A byte that is not UTF-8 becomes \xNN. A control, bidirectional or invisible character becomes \xNN, \uNNNN or
// \UNNNNNNNN. A space at the beginning or the end becomes \x20, a slash \x2f. Other text stays as it is, so SafeName
// of a safe name is the same name. A longer name loses its middle: 8 hex characters of its digest stand there. Names
// that differ stay different, apart from names that contain such an escape as text.
//
// The result names the file for people. The bytes on the card are what opens it.
func SafeName(name string) string {
	switch name {
	case "":
		return unnamed
	case ".", "..":
		return strings.Repeat(`\x2e`, len(name))
	}
	return shorten(escape(name, func(r rune, outer bool) bool { return r != '/' && !outer }))
}

// SafePath is SafeName for a whole path: slashes stay, and the length has no limit.
func SafePath(path string) string {
	return escape(path, func(r rune, outer bool) bool { return !outer })
}

// SafeText is SafePath for a text that may contain names, such as the message of an error: line breaks, tabs and outer
// spaces stay as well.
func SafeText(s string) string { return escape(s, func(rune, bool) bool { return true }, '\n', '\t') }

// SafeBase returns the SafeName of the last element of a path.
func SafeBase(path string) string { return SafeName(filepath.Base(path)) }

// escape replaces every character that is not visible, apart from those in also, and every visible one that allowed
// refuses. outer is true for a space at the beginning or the end.
func escape(s string, allowed func(r rune, outer bool) bool, also ...rune) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		outer := r == ' ' && (i == 0 || i+n == len(s))
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case isVisible(r) && allowed(r, outer), slices.Contains(also, r):
			b.WriteString(s[i : i+n])
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += n
	}
	return b.String()
}

// blank are the characters that Unicode counts as letters, marks or symbols and that show nothing.
var blank = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x034f, Hi: 0x034f, Stride: 1}, // combining grapheme joiner
	{Lo: 0x115f, Hi: 0x1160, Stride: 1}, // Hangul fillers
	{Lo: 0x17b4, Hi: 0x17b5, Stride: 1}, // Khmer inherent vowels
	{Lo: 0x180b, Hi: 0x180f, Stride: 1}, // Mongolian variation selectors
	{Lo: 0x2800, Hi: 0x2800, Stride: 1}, // empty Braille pattern
	{Lo: 0x3164, Hi: 0x3164, Stride: 1}, // Hangul filler
	{Lo: 0xfe00, Hi: 0xfe0f, Stride: 1}, // variation selectors
	{Lo: 0xffa0, Hi: 0xffa0, Stride: 1}, // Hangul filler of half width
}, R32: []unicode.Range32{
	{Lo: 0xe0100, Hi: 0xe01ef, Stride: 1}, // variation selectors
}}

// isVisible reports whether a character may stand in a safe name. unicode.IsPrint excludes controls, format characters
// (bidirectional and of zero width), private use and every space but U+0020.
func isVisible(r rune) bool { return unicode.IsPrint(r) && !unicode.Is(blank, r) }

// shorten bounds a safe name to MaxName bytes.
func shorten(name string) string {
	if len(name) <= MaxName {
		return name
	}
	mark := "~" + Sum([]byte(name)).String()[:8] + "~"
	head, tail := MaxName-nameTail-len(mark), len(name)-nameTail
	for !utf8.RuneStart(name[head]) {
		head--
	}
	for !utf8.RuneStart(name[tail]) {
		tail++
	}
	return name[:head] + mark + name[tail:]
}
