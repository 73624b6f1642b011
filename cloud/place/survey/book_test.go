package survey

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestReadBook(t *testing.T) {
	want := []Entry{{"Hill", 40}, {"Dam; south", 0}, {"", 90}}
	for form, text := range map[string]string{
		"CSV":                 "\xef\xbb\xbfPaddock,Owner,Animals\r\nHill,x,40\r\n\"Dam; south\",,0\r\n,,90\r\n",
		"semicolons":          "camp;head\n Hill ; 40\n\"Dam; south\";0\n;90\n",
		"tabs":                "expected\therd\n40\tHill\n0\tDam; south\n90\t\n",
		"JSON":                `{"expected":[{"paddock":"Hill","animals":40},{"paddock":"Dam; south","animals":0},{"animals":90}]}`,
		"other numbers first": "Number,Name,Paddock,Animals\n7,x,Hill,40\n8,x,\"Dam; south\",0\n9,,,90\n",
		"empty rows":          "paddock,animals\nHill,40\n,\n\nDam; south,0\n , \n,90\n,,\n",
	} {
		if got, err := ReadBook([]byte(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %+v %v", form, got, err)
		}
	}
	if got, err := ReadBook([]byte("paddock;animals\nK\xe4lber;4\n")); err != nil || len(got) != 1 || got[0].Paddock != "Kälber" {
		t.Errorf("Windows-1252: %+v %v", got, err)
	}
	if got, err := ReadBook([]byte(`{"expected":[]}`)); err != nil || len(got) != 0 {
		t.Errorf("an empty list: %+v %v", got, err)
	}
	var tooMany strings.Builder
	tooMany.WriteString("paddock,animals\n")
	for i := range MaxEntries + 1 {
		fmt.Fprintf(&tooMany, "%d,1\n", i)
	}
	for why, text := range map[string]string{
		"empty": "", "no columns paddock and animals": "a,b\n1,2", "line 4: \"many\"": "paddock,animals\na,1\n\nb,many",
		"twice": "paddock,animals\na,1\na,2", "line 2 has 1 columns": "paddock,animals\na", "no number of animals": "paddock,animals\na,-1",
		"entry 1 has no animals": `{"expected":[{"paddock":"a"}]}`, "unknown field": `{"paddocks":[]}`, "at most": strings.Repeat("x", MaxBook+1),
		"no key expected": `{}`, "more than one document": `{"expected":[]} {}`, "UTF-16": "p\x00a\x00",
		"10001 paddocks": tooMany.String(),
	} {
		if _, err := ReadBook([]byte(text)); !errors.Is(err, ErrBook) || !strings.Contains(err.Error(), why) {
			t.Errorf("want %q: %v", why, err)
		}
	}
}

func FuzzReadBook(f *testing.F) {
	f.Add([]byte("paddock;animals\nHill;40\n"))
	f.Add([]byte(`{"expected":[{"paddock":"Hill","animals":40}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := ReadBook(b)
		for _, e := range list {
			if err == nil && (e.Animals < 0 || !utf8.ValidString(e.Paddock)) {
				t.Errorf("%+v", e)
			}
		}
	})
}
