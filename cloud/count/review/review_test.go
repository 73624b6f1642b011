package review

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

var digest = strings.Repeat("ab", 32)

var good = `{"schema": 1, "reviewer": "kept by other programs", "footage": [{"name": "DJI_0001.MP4", "sha256": "` + digest + `", "rest": "accepted",
"animals": [{"verdict": "accepted", "id": 12}, {"verdict": "rejected", "id": 31, "class": "other animal"},
{"verdict": "added", "seconds": 12.5, "box": [410, 220, 480, 300]}, {"verdict": "rejected", "frame": 7, "box": [1, 2, 30, 40]}]}]}`

var goodCSV = "sha256,name,verdict,id,class,frame,seconds,x1,y1,x2,y2\n" +
	digest + ",DJI_0001.MP4,accepted,12,,,,,,,\n" +
	digest + ",DJI_0001.MP4,rest,,,,,,,,\n" +
	digest + ",,rejected,31,other animal,,,,,,\r\n" +
	digest + ",,added,,,,12.5,410,220,480,300\n" +
	digest + ",,rejected,,,7,,1,2,30,40\n"

func TestFormsAgree(t *testing.T) {
	a, err := Parse("x.json", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse("X.CSV", []byte("\ufeff"+goodCSV))
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Footage[0].Animals[2].String(); got != "line 5 (added, box [410 220 480 300])" {
		t.Error(got)
	}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"again.json": func(w *bytes.Buffer) error { return b.WriteJSON(w) },
		"again.csv":  func(w *bytes.Buffer) error { return a.WriteCSV(w) },
	} {
		var w bytes.Buffer
		if err := write(&w); err != nil {
			t.Fatal(err)
		}
		c, err := Parse(name, w.Bytes())
		if err != nil {
			t.Fatalf("%s: %v", w.String(), err)
		}
		if !reflect.DeepEqual(plain(a), plain(c)) || !reflect.DeepEqual(plain(b), plain(c)) {
			t.Errorf("%s: %+v, want %+v", name, c, a)
		}
	}
}

// plain is a review without the places of its entries.
func plain(r Review) Review {
	for i := range r.Footage {
		for k := range r.Footage[i].Animals {
			r.Footage[i].Animals[k].At = ""
		}
	}
	return r
}

func TestFaultsNameTheEntry(t *testing.T) {
	for name, c := range map[string]struct{ from, to, says string }{
		"schema":        {`"schema": 1`, `"schema": 2`, "schema is 2"},
		"verdict":       {`"accepted", "id": 12`, `"ok", "id": 12`, "animal 1 (ok, id 12): verdict"},
		"class":         {`"other animal"`, `"sheep"`, "animal 2 (rejected, id 31): class"},
		"contradiction": {`"other animal"`, `"cattle"`, "rejected and has the class cattle"},
		"twice":         {`"id": 31`, `"id": 12`, "id 12 has a verdict at animal 1 already"},
		"nothing":       {`, "id": 12`, ``, "neither an id nor a box"},
		"no time":       {`"seconds": 12.5, `, ``, "a box needs a frame or seconds"},
		"both":          {`"seconds": 12.5`, `"frame": 4, "seconds": 12.5`, "a frame and a time"},
		"negative":      {`"frame": 7`, `"frame": -7`, "frame -7"},
		"empty box":     {`[410, 220, 480, 300]`, `[410, 220, 410, 300]`, "animal 3 (added, box [410 220 410 300]): box"},
		"huge box":      {`[410, 220, 480, 300]`, `[410, 220, 1e9, 300]`, "beyond"},
		"added id":      {`"verdict": "added"`, `"verdict": "added", "id": 3`, "an added animal has no id"},
		"rest":          {`"rest": "accepted"`, `"rest": "rejected"`, "rest is"},
		"no digest":     {digest, strings.Repeat("0", 64), "footage 1 (DJI_0001.MP4): sha256 is missing"},
		"bad digest":    {digest, "abc", "not a review in JSON"},
		"cut":           {`]}]}`, `]`, "not a review in JSON"},
		"two documents": {`]}]}]}`, `]}]}]} {}`, "more than one document"},
	} {
		text := strings.Replace(good, c.from, c.to, 1)
		if text == good {
			t.Fatal(name)
		}
		if _, err := Parse("r.json", []byte(text)); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct{ from, to, says string }{
		"id":      {",12,", ",twelve,", `line 2: id is "twelve"`},
		"zero":    {",12,", ",0,", "line 2: id is 0"},
		"column":  {"seconds", "second", `column "second" is unknown`},
		"columns": {"seconds", "frame", "column frame is there twice"},
		"box":     {",410,", ",,", "line 5: want all of x1"},
		"number":  {"12.5", "12,5", "wrong number of fields"},
		"digest":  {digest, "zz", "line 2: sha256"},
		"empty":   {goodCSV, "", "no line with the names"},
	} {
		text := strings.Replace(goodCSV, c.from, c.to, 1)
		if _, err := Parse("r.csv", []byte(text)); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(true, []byte(goodCSV))
	f.Add(false, []byte(good))
	f.Fuzz(func(t *testing.T, csv bool, b []byte) {
		name := map[bool]string{true: "r.csv", false: "r.json"}[csv]
		r, err := Parse(name, b)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		var w bytes.Buffer
		if err := r.WriteJSON(&w); err != nil {
			t.Fatal(err)
		}
		if _, err := Parse("r.json", w.Bytes()); err != nil {
			t.Fatalf("%v in %s", err, w.String())
		}
	})
}
