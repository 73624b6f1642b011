package notice

import (
	"regexp"
	"slices"
	"strings"
)

// recognize returns the SPDX identifiers of the licences whose wording stands in
// the text, sorted. It returns none for a licence that it does not know.
func recognize(text string) []string {
	words := strings.Join(strings.Fields(text), " ")
	has := func(s string) bool { return strings.Contains(words, s) }
	var found []string
	if has("Apache License Version 2.0") || has("Apache License, Version 2.0") {
		found = append(found, "Apache-2.0")
	}
	if has("Permission is hereby granted, free of charge") {
		found = append(found, "MIT")
	}
	if has("Redistribution and use in source and binary forms") {
		if has("endorse or promote products") {
			found = append(found, "BSD-3-Clause")
		} else {
			found = append(found, "BSD-2-Clause")
		}
	}
	if has("Permission to use, copy, modify, and/or distribute") || has("Permission to use, copy, modify, and distribute") {
		found = append(found, "ISC")
	}
	if has("Mozilla Public License") {
		found = append(found, "MPL-2.0")
	}
	if has("released into the public domain with CC0 1.0") {
		found = append(found, "CC0-1.0")
	}
	if has("ODC Open Database License (ODbL)") {
		found = append(found, "ODbL-1.0")
	}
	slices.Sort(found)
	return found
}

var copyright = regexp.MustCompile(`^\W*((?:Copyright|COPYRIGHT)\b.*(?i:\(c\)|©|\d{4}|authors).*)$`)

// copyrights returns the first copyright lines of the text, at most three.
func copyrights(text string) []string {
	const most = 3
	var lines []string
	for line := range strings.Lines(text) {
		m := copyright.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || strings.Contains(m[1], "[yyyy]") || strings.Contains(m[1], "{yyyy}") {
			continue
		}
		if c := strings.TrimSpace(m[1]); !slices.Contains(lines, c) && len(lines) < most {
			lines = append(lines, c)
		}
	}
	return lines
}
