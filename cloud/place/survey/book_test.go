package survey

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestReadBook(t *testing.T) {
	want := []Entry{{"Hill", 40}, {"Dam; south", 0}, {"", 90}}
	for form, text := range map[string]string{
		"CSV":        "\xef\xbb\xbfPaddock,Owner,Animals\r\nHill,x,40\r\n\"Dam; south\",,0\r\n,,90\r\n",
		"semicolons": "camp;head\n Hill ; 40\n\"Dam; south\";0\n;90\n",
		"tabs":       "expected\therd\n40\tHill\n0\tDam; south\n90\t\n",
		"JSON":       `{"expected":[{"paddock":"Hill","animals":40},{"paddock":"Dam; south","animals":0},{"animals":90}]}`,
	} {
		if got, err := ReadBook([]byte(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %+v %v", form, got, err)
		}
	}
	for why, text := range map[string]string{
		"empty": "", "no columns paddock and animals": "a,b\n1,2", "row 3: \"many\"": "paddock,animals\na,1\nb,many",
		"twice": "paddock,animals\na,1\na,2", "row 2 has 1 columns": "paddock,animals\na", "no number of animals": "paddock,animals\na,-1",
		"entry 1 has no animals": `{"expected":[{"paddock":"a"}]}`, "unknown field": `{"paddocks":[]}`, "at most": strings.Repeat("x", MaxBook+1),
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
			if err == nil && e.Animals < 0 {
				t.Errorf("%+v", e)
			}
		}
	})
}
