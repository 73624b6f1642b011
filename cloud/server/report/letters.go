package report

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"codeberg.org/go-pdf/fpdf"
	"github.com/mozillazg/go-unidecode"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/text/unicode/norm"
)

// Families of fonts in the pages.
const (
	family   = "go"
	typewrit = "gomono"
)

// mark stands after a name that is written in other letters than its own.
const mark = "*"

// mostName bounds a name of a user in characters.
const mostName = 200

// letters knows which characters the fonts have. It is not safe for concurrent use.
type letters struct {
	font    *sfnt.Font
	buffer  sfnt.Buffer
	foreign bool // a name was written in other letters
}

func newLetters() (*letters, error) {
	f, err := sfnt.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("font of the report: %w", err)
	}
	return &letters{font: f}, nil
}

// addTo gives the fonts to a document. fpdf writes into the bytes of a font while it takes the used glyphs out of it, so
// each document has its own copy.
func (l *letters) addTo(pdf *fpdf.Fpdf) {
	pdf.AddUTF8FontFromBytes(family, "", bytes.Clone(goregular.TTF))
	pdf.AddUTF8FontFromBytes(family, "B", bytes.Clone(gobold.TTF))
	pdf.AddUTF8FontFromBytes(typewrit, "", bytes.Clone(gomono.TTF))
}

// has reports whether the fonts have a character.
func (l *letters) has(r rune) bool {
	if r > 0xffff { // the PDF addresses glyphs by 16 bits
		return false
	}
	g, err := l.font.GlyphIndex(&l.buffer, r)
	return err == nil && g != 0
}

// show returns a text of one line that the fonts have. What they lack is written in Latin letters, or as its code point,
// and the text then ends with a mark.
func (l *letters) show(s string) string {
	var out strings.Builder
	foreign, n := false, 0
	for _, r := range norm.NFC.String(strings.ToValidUTF8(s, "\ufffd")) {
		if n++; n > mostName {
			out.WriteString("…")
			break
		}
		switch {
		case unicode.IsSpace(r):
			out.WriteByte(' ')
		case unicode.In(r, unicode.Cc, unicode.Cf): // controls, and those that turn the direction of the text
		case l.has(r):
			out.WriteRune(r)
		case unicode.Is(unicode.Mn, r): // an accent without a letter to stand on
			foreign = true
		default:
			foreign = true
			out.WriteString(l.latin(r))
		}
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	if foreign {
		l.foreign = true
		text += mark
	}
	return text
}

// latin is a character in Latin letters, or its code point.
func (l *letters) latin(r rune) string {
	text := strings.Map(func(r rune) rune {
		if !l.has(r) {
			return -1
		}
		return r
	}, unidecode.Unidecode(string(r)))
	if strings.TrimSpace(text) == "" || strings.Contains(text, "[?]") {
		return fmt.Sprintf("U+%04X ", r)
	}
	return text
}
