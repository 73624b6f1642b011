package timeline

import (
	"testing"
	"time"

	"cattlecounter/cloud/count/video"
)

const step = time.Second / 25

// regular is n frames of 25 per second.
func regular(n int) []Record {
	var all []Record
	for i := range n {
		all = append(all, Record{At: time.Duration(i) * step, Timed: true, Width: 64, Height: 48})
	}
	return all
}

func run(fps float64, all []Record) *Timeline {
	t := New(fps)
	for _, r := range all {
		t.Add(r)
	}
	return t
}

func near(a, b, slack time.Duration) bool { return (a - b).Abs() <= slack }

func TestTimeline(t *testing.T) {
	type want struct {
		duration  time.Duration
		jumps     int
		gaps      []video.Span
		decoded   int
		lostAtEnd int
		resized   int
	}
	shifted := func(from int, by time.Duration) []Record {
		all := regular(100)
		for i := from; i < len(all); i++ {
			all[i].At += by
		}
		return all
	}
	lost := func(from, to int) []Record {
		all := regular(100)
		for i := from; i < to; i++ {
			all[i].Lost = true
		}
		return all
	}
	damaged := regular(100)
	for i := 50; i < 60; i++ {
		damaged[i].Damaged = true
	}
	unknown := regular(100)
	for i := range unknown {
		unknown[i].Timed = false
	}
	resized := regular(100)
	for i := 50; i < 100; i++ {
		resized[i].Width = 32
	}
	late := lost(50, 75) // a decoder with several threads reports lost packets before earlier frames
	copy(late[45:70], lost(50, 75)[50:75])
	copy(late[70:75], lost(50, 75)[45:50])
	variable := regular(50)
	for i := range 20 {
		variable = append(variable, Record{At: 49*step + time.Duration(i+1)*6*step, Timed: true, Width: 64, Height: 48})
	}
	for name, c := range map[string]struct {
		records []Record
		fps     float64
		want    want
	}{
		"regular":                  {regular(100), 25, want{duration: 4 * time.Second, decoded: 100}},
		"other rate in the header": {regular(100), 90, want{duration: 4 * time.Second, decoded: 100}},
		"one jump by hours":        {shifted(50, 6*time.Hour), 25, want{duration: 4 * time.Second, decoded: 100, jumps: 1}},
		"one jump by two seconds":  {shifted(50, 2*time.Second), 25, want{duration: 4 * time.Second, decoded: 100, jumps: 1}},
		"the clock restarts":       {shifted(50, -50*step), 25, want{duration: 4 * time.Second, decoded: 100, jumps: 1}},
		"a jump at the start":      {shifted(1, time.Hour), 25, want{duration: 4 * time.Second, decoded: 100, jumps: 1}},
		"a short gap":              {shifted(50, 8*step), 25, want{duration: 4*time.Second + 8*step, decoded: 100, gaps: []video.Span{{From: 50 * step, To: 58 * step}}}},
		"lost packets":             {lost(50, 75), 25, want{duration: 4 * time.Second, decoded: 75, gaps: []video.Span{{From: 49 * step, To: 75 * step}}}},
		"lost packets, early":      {late, 25, want{duration: 4 * time.Second, decoded: 75, gaps: []video.Span{{From: 49 * step, To: 75 * step}}}},
		"many lost packets":        {lost(25, 90), 25, want{duration: 4 * time.Second, decoded: 35, gaps: []video.Span{{From: 24 * step, To: 90 * step}}}},
		"lost at the end":          {lost(90, 100), 25, want{duration: 90 * step, decoded: 90, lostAtEnd: 10, gaps: []video.Span{{From: 90 * step, To: 100 * step}}}},
		"damaged":                  {damaged, 25, want{duration: 4 * time.Second, decoded: 100, gaps: []video.Span{{From: 50 * step, To: 60 * step}}}},
		"no time stamps":           {unknown, 25, want{duration: 4 * time.Second, decoded: 100}},
		"variable rate":            {variable, 25, want{duration: 50*step + 20*6*step, decoded: 70}},
		"resized":                  {resized, 25, want{duration: 4 * time.Second, decoded: 100, resized: 1}},
		"nothing":                  {nil, 25, want{}},
	} {
		line := run(c.fps, c.records)
		r := line.End()
		ok := near(r.Duration, c.want.duration, 6*step) && r.Jumps == c.want.jumps && len(r.Jumped) == r.Jumps &&
			r.Decoded == c.want.decoded && r.LostAtEnd == c.want.lostAtEnd && len(r.Resized) == c.want.resized &&
			len(r.Gaps) == len(c.want.gaps)
		for i := range c.want.gaps {
			ok = ok && near(r.Gaps[i].From, c.want.gaps[i].From, 2*step) && near(r.Gaps[i].To, c.want.gaps[i].To, 2*step)
		}
		if !ok {
			t.Errorf("%s: got %+v, want %+v", name, r, c.want)
		}
	}
}

// TestTimeOnlyGrows checks with stamps of any order that the time of the clip grows and never leaps.
func TestTimeOnlyGrows(t *testing.T) {
	stamps := []time.Duration{0, step, 5 * time.Hour, 2 * step, 3 * step, -time.Hour, 0, 0, 0, 90 * time.Hour, step}
	line := New(25)
	for _, at := range stamps {
		before := line.Now()
		line.Add(Record{At: at, Timed: true, Width: 64, Height: 48})
		if d := line.Now() - before; d < 0 || d > time.Second {
			t.Errorf("the stamp %v moves the time by %v", at, d)
		}
	}
}

// TestListsAreBounded checks that a clip full of faults does not fill the memory.
func TestListsAreBounded(t *testing.T) {
	line := New(25)
	for i := range 100_000 {
		line.Add(Record{At: time.Duration(i) * time.Hour, Timed: true, Width: 64 + i%2, Height: 48, Damaged: i%100 == 0})
		line.Add(Record{At: time.Duration(1 << 60), Timed: true, Lost: true})
	}
	r := line.End()
	if len(r.Gaps) > mostGaps || len(r.Jumped) > mostListed || len(r.Resized) > mostListed || len(line.pending) > 256 {
		t.Errorf("%d gaps, %d jumps, %d sizes, %d pending", len(r.Gaps), len(r.Jumped), len(r.Resized), len(line.pending))
	}
	if r.Jumps < 90_000 || r.Lost != 100_000 {
		t.Errorf("%d jumps, %d lost packets", r.Jumps, r.Lost)
	}
}
