package leaked

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
	"testing/quick"

	"cattlecounter/deploy/testkit/must"
)

func TestKnows(t *testing.T) {
	for _, p := range []string{
		"qwertyuiop123", "liverpoolfc1", "1q2w3e4r5t6y", "1Q2W3E4R5T6Y", " qwerty123456 ", // in the list
		"Password2024!", "P@ssw0rd2024", "!!!Sunshine123", "passwordpassword", "monkeyMONKEYmonkey", "Dr4gon1234567", "5unshine1234", "dragondragon",
		"123456789012", "098765432109", "aaaaaaaaaaaa", "abababababab", "abcabcabcabca", "123412341234", "abcdefghijkl",
		"qwertyuiopas", "1qaz2wsx3edc", "QWERTZuiop1234", "poiuytrewq4321", "azertyuiop12",
		"cattlecounter", "CattleCounter2025", "", "            ",
	} {
		if !Knows(p) {
			t.Errorf("%q is not refused", p)
		}
	}
	for _, p := range []string{"anna-maria-1", "Anna-Maria!!2024", "anna-mariaanna-maria"} {
		if !Knows(p, "anna-maria") {
			t.Errorf("%q of anna-maria is not refused", p)
		}
		if Knows(p, "ben") {
			t.Errorf("%q of ben is refused", p)
		}
	}
	for _, p := range []string{"ben123456789", "2025202620ben", "--B3n--82047193658", "8204719365820@ben"} {
		if !Knows(p, "ben") {
			t.Errorf("%q of ben is not refused", p)
		}
	}
	for _, p := range []string{"correct horse battery", "wrong horse battery", "tr0ub4dor und 3 Kühe", "vaca lechera 2019 norte", "牛牛数えます今日明日",
		"8204719365820", "xK9#vq2LmW7z", "fence-post-gate", "a longer pass phrase", "anna has cows here", "sunshine82047193658"} {
		if Knows(p) {
			t.Errorf("%q is refused", p)
		}
	}
}

// Every password of the list is known, also in upper case and with digits behind.
func TestKnowsTheList(t *testing.T) {
	lines := bufio.NewScanner(must.Get(gzip.NewReader(bytes.NewReader(list)))(t))
	n := 0
	for lines.Scan() {
		n++
		if p := lines.Text(); n%397 == 0 && !Knows(strings.ToUpper(p)) {
			t.Errorf("%q is in the list", p)
		}
	}
	must.Do(t, lines.Err())
	if n < 19000 || len(list) > 100<<10 {
		t.Errorf("the list has %d passwords in %d bytes", n, len(list))
	}
}

// No text ends the program, and the check is done soon for long ones.
func TestKnowsAnyText(t *testing.T) {
	must.Do(t, quick.Check(func(p, own string) bool {
		Knows(p, own)
		return true
	}, &quick.Config{MaxCount: 50}))
	Knows(strings.Repeat("qwertyuiop", 100)+"x", strings.Repeat("a", 1000))
}
