package survey

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cattlecounter/shared/cell"
)

// Entry is the expected number of animals of a paddock, or of the whole site when it has no name.
type Entry struct {
	Paddock string
	Animals int
}

// ErrBook marks bytes that are no table of expected numbers. Compare with errors.Is.
var ErrBook = errors.New("not a table of expected numbers")

// MaxBook bounds a table in bytes.
const MaxBook = 1 << 20

// Columns of a table, by their names in lower case.
var (
	paddockColumns = []string{"paddock", "camp", "herd", "field", "name"}
	numberColumns  = []string{"animals", "expected", "book", "count", "head", "number"}
)

// ReadBook reads expected numbers. JSON is {"expected": [{"paddock": "Hill", "animals": 40}]}. CSV has a line of column
// names, of which one is paddock and one animals (or a usual other name), with commas, semicolons or tabs. A row without a
// paddock is the whole site. Its error wraps ErrBook and names the line.
func ReadBook(b []byte) ([]Entry, error) {
	b = bytes.Trim(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), "\r\n")
	switch {
	case len(b) > MaxBook:
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrBook, len(b), MaxBook)
	case bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")):
		return readBookJSON(b)
	}
	r := csv.NewReader(bytes.NewReader(b))
	first, _, _ := bytes.Cut(b, []byte("\n"))
	for _, comma := range ";\t" {
		if bytes.ContainsRune(first, comma) {
			r.Comma = comma
		}
	}
	r.FieldsPerRecord, r.TrimLeadingSpace = -1, r.Comma != '\t'
	rows, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBook, err)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrBook)
	}
	name, number := -1, -1
	for i, h := range rows[0] {
		h = strings.ToLower(strings.TrimSpace(h))
		if name < 0 && slices.Contains(paddockColumns, h) {
			name = i
		}
		if number < 0 && slices.Contains(numberColumns, h) {
			number = i
		}
	}
	if name < 0 || number < 0 {
		return nil, fmt.Errorf("%w: line 1: it has no columns paddock and animals, but %.80q", ErrBook, rows[0])
	}
	var out []Entry
	for i, row := range rows[1:] {
		if max(name, number) >= len(row) {
			return nil, fmt.Errorf("%w: row %d has %d columns", ErrBook, i+2, len(row))
		}
		n, err := strconv.Atoi(strings.TrimSpace(row[number]))
		if err != nil {
			return nil, fmt.Errorf("%w: row %d: %.40q is no number of animals", ErrBook, i+2, row[number])
		}
		out = append(out, Entry{cell.Original(strings.TrimSpace(row[name])), n})
	}
	return out, check(out)
}

func readBookJSON(b []byte) ([]Entry, error) {
	var doc struct {
		Expected []struct {
			Paddock string `json:"paddock"`
			Animals *int   `json:"animals"`
		} `json:"expected"`
	}
	r := json.NewDecoder(bytes.NewReader(b))
	r.DisallowUnknownFields()
	if err := r.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBook, err)
	}
	var out []Entry
	for i, e := range doc.Expected {
		if e.Animals == nil {
			return nil, fmt.Errorf("%w: entry %d has no animals", ErrBook, i+1)
		}
		out = append(out, Entry{strings.TrimSpace(e.Paddock), *e.Animals})
	}
	return out, check(out)
}

func check(list []Entry) error {
	const most = 10_000_000
	seen := map[string]bool{}
	for _, e := range list {
		if e.Animals < 0 || e.Animals > most {
			return fmt.Errorf("%w: paddock %.64q: %d is no number of animals", ErrBook, e.Paddock, e.Animals)
		}
		if seen[e.Paddock] {
			return fmt.Errorf("%w: paddock %.64q is there twice", ErrBook, e.Paddock)
		}
		seen[e.Paddock] = true
	}
	return nil
}
