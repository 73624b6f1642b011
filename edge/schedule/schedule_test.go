package schedule

import (
	"slices"
	"testing"
	"time"
)

func at(t *testing.T, zone *time.Location, s string) time.Time {
	t.Helper()
	got, err := time.ParseInLocation("2006-01-02 15:04:05", s, zone)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAt(t *testing.T) {
	berlin, err := Zone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		windows []string
		now     string
		open    bool
		change  string
	}{
		"always":           {nil, "2026-11-24 12:00:00", true, ""},
		"before the night": {[]string{"22:00-06:00"}, "2026-11-24 21:59:59", false, "2026-11-24 22:00:00"},
		"night begins":     {[]string{"22:00-06:00"}, "2026-11-24 22:00:00", true, "2026-11-25 06:00:00"},
		"after midnight":   {[]string{"22:00-06:00"}, "2026-11-25 05:59:59", true, "2026-11-25 06:00:00"},
		"night is over":    {[]string{"22:00-06:00"}, "2026-11-25 06:00:00", false, "2026-11-25 22:00:00"},
		"two windows": {[]string{"01:00-02:00", "12:30-13:00"}, "2026-11-24 02:00:00", false,
			"2026-11-24 12:30:00"},
		"windows that touch are one": {[]string{"20:00-24:00", "00:00-04:00"}, "2026-11-24 21:00:00", true,
			"2026-11-25 04:00:00"},
		"the whole day":     {[]string{"00:00-12:00", "12:00-24:00"}, "2026-11-24 21:00:00", true, ""},
		"clocks go forward": {[]string{"02:30-04:00"}, "2026-03-29 01:30:00", false, "2026-03-29 03:30:00"},
		"clocks go back":    {[]string{"22:00-06:00"}, "2026-10-24 23:00:00", true, "2026-10-25 06:00:00"},
	} {
		w, err := Parse(c.windows, berlin)
		if err != nil {
			t.Fatal(name, err)
		}
		want := time.Time{}
		if c.change != "" {
			want = at(t, berlin, c.change)
		}
		if open, change := w.At(at(t, berlin, c.now).UTC()); open != c.open || !change.Equal(want) {
			t.Errorf("%s: %t until %s, want %t until %s", name, open, change, c.open, want)
		}
		if !slices.Equal(w.Texts(), c.windows) {
			t.Errorf("%s: %v", name, w.Texts())
		}
	}
}

func TestFaults(t *testing.T) {
	for _, s := range []string{"", "22:00", "22-06", "22:00-22:00", "24:00-06:00", "25:00-06:00", "22:60-06:00",
		"2:00-06:00", "22:00-06:00-07:00", "+2:00-06:00", "22:00-24:01"} {
		if w, err := Parse([]string{s}, time.UTC); err == nil {
			t.Errorf("%q is accepted as %v", s, w.Texts())
		}
	}
	if _, err := Parse(slices.Repeat([]string{"22:00-06:00"}, maxWindows+1), time.UTC); err == nil {
		t.Error("no error for too many windows")
	}
	if _, err := Zone("Middle/Earth"); err == nil {
		t.Error("no error for an unknown zone")
	}
}

// The next change of every accepted window lies in the future.
func FuzzParse(f *testing.F) {
	f.Add("22:00-06:00", "Europe/Berlin", int64(1_800_000_000))
	f.Add("00:00-24:00", "", int64(0))
	f.Fuzz(func(t *testing.T, text, name string, unix int64) {
		zone, err := Zone(name)
		if err != nil {
			return
		}
		w, err := Parse([]string{text}, zone)
		if err != nil {
			return
		}
		now := time.Unix(unix%(1<<33), 0)
		open, change := w.At(now)
		if next, _ := w.At(change); !change.IsZero() && (next == open || !change.After(now)) {
			t.Fatalf("%v at %s: %t until %s", w.Texts(), now, open, change)
		}
	})
}
