// Package leaked says whether a password is one that attackers try first: it is in a list of leaked ones, or follows from
// one by a pattern.
//
// The list has about 20,000 of the most frequent passwords of public leaks, in lower case. It is the one of the Python package Django
// 5.2 (django/contrib/auth/common-passwords.txt.gz; LICENSE is that of Django). A server needs no Internet access for it.
package leaked

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"strings"
	"unicode"
)

//go:embed common.txt.gz
var list []byte

const (
	// mostPadding is how many digits and signs around a word do not make it a password of its own.
	mostPadding = 9 // a date and a sign
	// fewestLetters is the shortest word that counts with padding.
	fewestLetters = 4
	// longestPattern is the longest text that is repeated in a password like 12341234.
	longestPattern = 4
)

// product are words that everybody knows who sees the log-in.
var product = []string{"cattlecounter", "cattle", "counter"}

// Knows reports whether a password is in the list or guessed from it: with other letters in upper case, with digits for
// letters, repeated, or with some digits and signs around. own are words that an attacker knows, such as the name of the
// person; with any digits and signs around, they are no password either. A password of one short pattern, of a sequence or of neighbors on the keyboard is known, too.
//
// It reads the whole list, which takes some milliseconds, and keeps none of it in memory. It is safe for concurrent use.
func Knows(password string, own ...string) bool {
	p := strings.ToLower(strings.TrimSpace(password))
	if p == "" || plain(p) {
		return true
	}
	words := map[string]bool{}
	for _, word := range []string{p, unpadded(p, strings.TrimFunc), unpadded(p, strings.TrimRightFunc)} {
		for _, form := range []string{word, letters.Replace(word)} {
			words[form] = true
			words[once(form)] = true
		}
	}
	delete(words, "")
	bare := strings.TrimFunc(p, noLetter)
	for _, w := range append(product, own...) {
		w = strings.ToLower(strings.TrimSpace(w))
		if w != "" && (words[w] || words[unpadded(w, strings.TrimFunc)]) {
			return true
		}
		if w = strings.TrimFunc(w, noLetter); w != "" && (w == bare || w == letters.Replace(bare)) {
			return true
		}
	}
	return listed(words)
}

func noLetter(r rune) bool { return !unicode.IsLetter(r) }

// letters turns the usual digits and signs for letters back.
var letters = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// unpadded returns the text without what is no letter at its ends, which trim removes, "" when the rest is short or more is
// around it.
func unpadded(s string, trim func(string, func(rune) bool) string) string {
	word := trim(s, noLetter)
	if len(word) < fewestLetters || len(s)-len(word) > mostPadding {
		return ""
	}
	return word
}

// once returns the text that s repeats, or s.
func once(s string) string {
	if n := period(s); n < len(s) && len(s)%n == 0 {
		return s[:n]
	}
	return s
}

// period returns the length in bytes of the shortest text whose repetition begins with s. It is at least 1.
func period(s string) int {
	for n := 1; n < len(s); n++ {
		if s[n:] == s[:len(s)-n] {
			return n
		}
	}
	return max(len(s), 1)
}

// rows are neighbors on keyboards and in the alphabet.
var rows = []string{"abcdefghijklmnopqrstuvwxyz", "012345678901234567890", "1234567890qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm",
	"azertyuiopqsdfghjklmwxcvbn", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p"}

// plain reports whether s is one short pattern, or parts of rows, there or back, of at least four characters each.
func plain(s string) bool {
	if period(s) <= longestPattern {
		return true
	}
	for s != "" {
		n := 0
		for _, row := range rows {
			for _, way := range []string{row, reversed(row)} {
				for end := min(len(s), len(way)); end > n; end-- {
					if strings.Contains(way, s[:end]) {
						n = end
						break
					}
				}
			}
		}
		if n < 4 {
			return false
		}
		s = s[n:]
	}
	return true
}

func reversed(s string) string {
	out := make([]byte, len(s))
	for i := range len(s) {
		out[len(s)-1-i] = s[i]
	}
	return string(out)
}

// listed reports whether any of words is in the list.
func listed(words map[string]bool) bool {
	z, err := gzip.NewReader(bytes.NewReader(list))
	if err != nil {
		panic(fmt.Errorf("list of leaked passwords: %w", err)) // it is part of the program
	}
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		if words[lines.Text()] {
			return true
		}
	}
	if err := lines.Err(); err != nil {
		panic(fmt.Errorf("list of leaked passwords: %w", err))
	}
	return false
}
