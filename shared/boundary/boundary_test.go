package boundary

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	s, err := Parse([]byte(`{"lines":[{"name":"gate","from":[0,0.5],"to":[1,0.5]},
		{"name":"road","from":[10,20],"to":[30,40],"unit":"pixel","frame":"ground","seconds":2.5}],
		"zones":[{"name":"pen","polygon":[[0,0],[1,0],[1,1]],"stay_seconds":3}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Set{Lines: []Line{{Name: "gate", From: Point{0, 0.5}, To: Point{1, 0.5}},
		{Name: "road", From: Point{10, 20}, To: Point{30, 40}, Place: Place{Unit: Pixels, Frame: Ground, Seconds: 2.5}}},
		Zones: []Zone{{Name: "pen", Polygon: []Point{{0, 0}, {1, 0}, {1, 1}}, Stay: 3}}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("%+v", s)
	}
	again, err := Parse(s.Format())
	if err != nil || !reflect.DeepEqual(again, s) {
		t.Errorf("%v %+v", err, again)
	}
	if empty, err := Parse([]byte(`{}`)); err != nil || !empty.Empty() {
		t.Errorf("%v %+v", err, empty)
	}
}

func TestParseRefuses(t *testing.T) {
	line := func(more string) string {
		return `{"lines":[{"name":"a","from":[0,0],"to":[1,1]` + more + `}]}`
	}
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":           {`gate`, "invalid character"},
		"another document":  {line("") + `{}`, "after the document"},
		"misspelled key":    {line(`,"fram":"ground"`), "fram"},
		"geographic":        {line(`,"frame":"geo"`), "geographic coordinates are not supported yet"},
		"unknown frame":     {line(`,"frame":"x"`), "is not picture or ground"},
		"unknown unit":      {line(`,"unit":"m"`), "is not share or pixel"},
		"time in a picture": {line(`,"seconds":3`), "works only with the frame ground"},
		"negative time":     {line(`,"frame":"ground","seconds":-1`), "is not a time"},
		"pixels as shares":  {`{"lines":[{"name":"a","from":[0,540],"to":[1920,540]}]}`, "set the unit pixel"},
		"one point":         {`{"lines":[{"name":"a","from":[0.5,0.5],"to":[0.5,0.5]}]}`, "are one point"},
		"no name":           {`{"lines":[{"from":[0,0],"to":[1,1]}]}`, "lines[0].name: is empty"},
		"long name":         {`{"lines":[{"name":"` + strings.Repeat("a", 65) + `","from":[0,0],"to":[1,1]}]}`, "too long"},
		"control character": {`{"lines":[{"name":"a\u0007","from":[0,0],"to":[1,1]}]}`, "control character"},
		"three numbers":     {`{"lines":[{"name":"a","from":[0,0,1],"to":[1,1]}]}`, "has 3 numbers"},
		"one number":        {`{"lines":[{"name":"a","from":[0],"to":[1,1]}]}`, "has 1 numbers"},
		"a name twice": {`{"lines":[{"name":"a","from":[0,0],"to":[1,1]}],
			"zones":[{"name":"a","polygon":[[0,0],[1,0],[1,1]]}]}`, "is taken"},
		"two corners":   {`{"zones":[{"name":"a","polygon":[[0,0],[1,1]]}]}`, "2 corners"},
		"no area":       {`{"zones":[{"name":"a","polygon":[[0,0],[0.5,0.5],[1,1]]}]}`, "no area"},
		"negative stay": {`{"zones":[{"name":"a","polygon":[[0,0],[1,0],[1,1]],"stay_seconds":-1}]}`, "stay_seconds"},
		"too many":      {`{"lines":[` + strings.Repeat(`{},`, MaxNumber) + `{}]}`, "at most"},
		"too long":      {strings.Repeat(" ", MaxDocument+1), "bytes"},
	} {
		_, err := Parse([]byte(c.text))
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Every fault is reported at once.
func TestValidateNamesEveryFault(t *testing.T) {
	err := Set{Lines: []Line{{Name: "a", From: Point{9, 0}, To: Point{math.NaN(), 0}}, {Name: "a", To: Point{1, 1}}}}.Validate()
	for _, want := range []string{"lines[0].from", "lines[0].to", "lines[1].name"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

func TestParseLine(t *testing.T) {
	for text, want := range map[string]Line{
		"gate=0,0.5,1,0.5":                    {Name: "gate", From: Point{0, 0.5}, To: Point{1, 0.5}},
		"gate=0,540,1920,540px":               {Name: "gate", From: Point{0, 540}, To: Point{1920, 540}, Place: Place{Unit: Pixels}},
		"gate=0,0.5,1,0.5@picture":            {Name: "gate", From: Point{0, 0.5}, To: Point{1, 0.5}, Place: Place{Frame: Picture}},
		"a lane = -0.2, 0.5, 1.5, 0.5@ground": {Name: "a lane", From: Point{-0.2, 0.5}, To: Point{1.5, 0.5}, Place: Place{Frame: Ground}},
		"g=0,0.5,1,0.5@ground@12.5":           {Name: "g", From: Point{0, 0.5}, To: Point{1, 0.5}, Place: Place{Frame: Ground, Seconds: 12.5}},
		"g=0,0.5,1,0.5@3s":                    {Name: "g", From: Point{0, 0.5}, To: Point{1, 0.5}, Place: Place{Frame: Ground, Seconds: 3}},
	} {
		if l, err := ParseLine(text); err != nil || l != want {
			t.Errorf("%s: %+v %v", text, l, err)
		}
	}
	for _, text := range []string{"", "0,0,1,1", "g=", "g=0,0,1", "g=0,0,1,1,2,2", "g=0,0,1,x", "g=0,0,1,1@sky", "g=0,0,1,1@geo",
		"g=0,0,1,1@picture@3", "g=0,0,1,1@stay=3", "=0,0,1,1", "g=0,540,1920,540", "g=NaN,0,1,1", "g=0,0,1,1@NaN"} {
		if l, err := ParseLine(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %+v %v", text, l, err)
		}
	}
}

func TestParseZone(t *testing.T) {
	want := Zone{Name: "pen", Polygon: []Point{{0, 0}, {1, 0}, {1, 1}}, Stay: 5, Place: Place{Frame: Ground, Seconds: 2}}
	if z, err := ParseZone("pen=0,0,1,0,1,1@ground@2@stay=5"); err != nil || !reflect.DeepEqual(z, want) {
		t.Errorf("%+v %v", z, err)
	}
	for _, text := range []string{"pen=0,0,1,1", "pen=0,0,1,0,1,1@stay=x", "pen=0,0,1,0,1,1@stay=NaN",
		"pen=" + strings.Repeat("0,", 200) + "1"} {
		if z, err := ParseZone(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %+v %v", text, z, err)
		}
	}
}

// What is parsed is valid, and is the same after Format and Parse.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"lines":[{"name":"gate","from":[0,0.5],"to":[1,0.5],"frame":"ground","seconds":1}],"zones":[]}`))
	f.Add([]byte(`{"zones":[{"name":"pen","polygon":[[0,0],[1,0],[1,1]],"stay_seconds":3,"unit":"pixel"}]}`))
	f.Add([]byte(`{"lines":[{"name":"a","from":[1e308,0],"to":[-1e308,0],"frame":"geo"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%v has no class", err)
			}
			return
		}
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
		form := s.Format()
		again, err := Parse(form)
		if err != nil || !bytes.Equal(again.Format(), form) {
			t.Errorf("%v: %s, then %s", err, form, again.Format())
		}
	})
}

func FuzzParseShort(f *testing.F) {
	for _, text := range []string{"gate=0,0.5,1,0.5@ground@3", "pen=0,0,10,0,10,10px@stay=3", "a=@@=,,px", "a=1e400,0,1,1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLine(text)
		if err == nil {
			err = Set{Lines: []Line{l}}.Validate()
		}
		if err != nil && !errors.Is(err, ErrInvalid) {
			t.Error(err)
		}
		z, err := ParseZone(text)
		if err == nil {
			err = Set{Zones: []Zone{z}}.Validate()
		}
		if err != nil && !errors.Is(err, ErrInvalid) {
			t.Error(err)
		}
	})
}
