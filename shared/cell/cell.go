// Package cell writes text into tables (CSV) that people open in spreadsheets. A spreadsheet computes a cell that begins
// like a formula, and a formula can fetch addresses and start programs (OWASP, CSV injection). Names of files, paddocks
// and lines come from outside, so they could be formulas.
package cell

import "strings"

// mark makes a spreadsheet take a cell for text.
const mark = "'"

// Text is s as a cell. What begins like a formula gets an apostrophe in front; other text stays as it is. Tables that
// programs read again go through Original.
func Text(s string) string {
	if formula(strings.TrimLeft(s, mark)) {
		return mark + s
	}
	return s
}

// Original is the text of a cell that Text wrote. Cells of others stay as they are, unless they look like one of Text.
func Original(s string) string {
	if after, ok := strings.CutPrefix(s, mark); ok && formula(strings.TrimLeft(after, mark)) {
		return after
	}
	return s
}

// formula reports whether a spreadsheet may compute a text. Some skip spaces before a formula, and take the wide forms of
// its first character.
func formula(s string) bool {
	s = strings.TrimLeft(s, " \t\r\n\v\f\u00a0\u3000\ufeff")
	for _, first := range []string{"=", "+", "-", "@", "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(s, first) {
			return true
		}
	}
	return false
}
