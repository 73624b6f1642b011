package survey

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"cattlecounter/shared/cell"
)

// Entry is the expected number of animals of a paddock, or of the whole site when it has no name.
type Entry struct {
	Paddock string
	Animals int
}

// ErrBook marks bytes that are no table of expected numbers. Compare with errors.Is.
var ErrBook = errors.New("not a table of expected numbers")

// Limits of a table.
const (
	MaxBook    = 1 << 20 // bytes
	MaxEntries = 10_000  // as many as a site may have paddocks
)

// Columns of a table, by their names in lower case; the first one of a list that the table has is used.
var (
	paddockColumns = []string{"paddock", "camp", "field", "name", "herd"}
	numberColumns  = []string{"animals", "expected", "book", "head", "count", "number"}
)

// ReadBook reads expected numbers. JSON is {"expected": [{"paddock": "Hill", "animals": 40}]}. CSV has a line of column
// names, of which one is paddock and one animals (or a usual other name), with commas, semicolons or tabs, in UTF-8 or
// Windows-1252. A row without a paddock is the whole site; an empty row is left out. Its error wraps ErrBook and names the
// line.
func ReadBook(b []byte) ([]Entry, error) {
	b = bytes.Trim(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), "\r\n")
	switch {
	case len(b) > MaxBook:
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrBook, len(b), MaxBook)
	case bytes.ContainsRune(b, 0):
		return nil, fmt.Errorf("%w: it is UTF-16 or no text; save it as CSV in UTF-8", ErrBook)
	case bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")):
		return readBookJSON(b)
	}
	if !utf8.Valid(b) {
		b, _ = charmap.Windows1252.NewDecoder().Bytes(b) // it has a character for every byte
	}
	r := csv.NewReader(bytes.NewReader(b))
	first, _, _ := bytes.Cut(b, []byte("\n"))
	for _, comma := range ";\t" {
		if bytes.ContainsRune(first, comma) {
			r.Comma = comma
		}
	}
	r.FieldsPerRecord, r.TrimLeadingSpace = -1, r.Comma != '\t'
	head, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: it is empty", ErrBook)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBook, err)
	}
	name, number := column(head, paddockColumns), column(head, numberColumns)
	if name < 0 || number < 0 {
		return nil, fmt.Errorf("%w: line 1: it has no columns paddock and animals, but %.80q", ErrBook, head)
	}
	out, err := readRows(r, name, number)
	if err != nil {
		return nil, err
	}
	return out, check(out)
}

// column returns the column with the first of the names that there is, -1 without one.
func column(head, names []string) int {
	for _, n := range names {
		if i := slices.IndexFunc(head, func(h string) bool { return strings.ToLower(strings.TrimSpace(h)) == n }); i >= 0 {
			return i
		}
	}
	return -1
}

// readRows reads the rows after the names of the columns.
func readRows(r *csv.Reader, name, number int) (out []Entry, err error) {
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBook, err)
		}
		line, _ := r.FieldPos(0)
		switch {
		case !slices.ContainsFunc(row, func(c string) bool { return strings.TrimSpace(c) != "" }):
			continue
		case max(name, number) >= len(row):
			return nil, fmt.Errorf("%w: line %d has %d columns", ErrBook, line, len(row))
		}
		n, err := strconv.Atoi(strings.TrimSpace(row[number]))
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %.40q is no number of animals", ErrBook, line, row[number])
		}
		out = append(out, Entry{cell.Original(strings.TrimSpace(row[name])), n})
	}
}

func readBookJSON(b []byte) ([]Entry, error) {
	var doc struct {
		Expected *[]struct {
			Paddock string `json:"paddock"`
			Animals *int   `json:"animals"`
		} `json:"expected"`
	}
	r := json.NewDecoder(bytes.NewReader(b))
	r.DisallowUnknownFields()
	if err := r.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBook, err)
	}
	if _, err := r.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: it has more than one document", ErrBook)
	}
	if doc.Expected == nil {
		return nil, fmt.Errorf("%w: it has no key expected; an empty list takes every number away", ErrBook)
	}
	var out []Entry
	for i, e := range *doc.Expected {
		if e.Animals == nil {
			return nil, fmt.Errorf("%w: entry %d has no animals", ErrBook, i+1)
		}
		out = append(out, Entry{strings.TrimSpace(e.Paddock), *e.Animals})
	}
	return out, check(out)
}

func check(list []Entry) error {
	const most = 10_000_000
	if len(list) > MaxEntries {
		return fmt.Errorf("%w: it has %d paddocks, at most %d", ErrBook, len(list), MaxEntries)
	}
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
