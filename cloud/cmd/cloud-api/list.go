package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// output chooses between a table for people and JSON for programs.
type output struct {
	JSON bool `help:"Print a JSON array instead of a table."`
}

// list prints rows as a table below the titles, or the items as JSON. An empty list is an empty array.
func list[T any](e *env, o output, items []T, titles string, row func(T) []any) error {
	if o.JSON {
		if items == nil {
			items = []T{}
		}
		enc := json.NewEncoder(e.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(items)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(titles, ",", "\t"))
	for _, item := range items {
		cells := row(item)
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, oneLine(fmt.Sprint(c)))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// oneLine replaces control and direction characters: names come from strangers and must not move the terminal's cursor.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || unicode.Is(unicode.Cf, r) {
			return '?'
		}
		return r
	}, s)
}

func day(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}
