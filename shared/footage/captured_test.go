package footage

import (
	"testing"
	"time"
)

func day(year, month, d int) time.Time {
	return time.Date(year, time.Month(month), d, 0, 0, 0, 0, time.UTC)
}

func TestIsPlausible(t *testing.T) {
	now := day(2026, 7, 1)
	for _, c := range []struct {
		at      time.Time
		trusted bool
		want    bool
	}{
		{time.Time{}, true, false},
		{time.Unix(0, 0), true, false},
		{day(1904, 1, 1), true, false},
		{day(1980, 1, 1), true, false},
		{day(2005, 12, 31), true, false},
		{day(2006, 1, 1), true, true},
		{day(2026, 6, 30), true, true},
		{now.Add(23 * time.Hour), true, true}, // local time that is stored as UTC
		{now.Add(25 * time.Hour), true, false},
		{now.Add(25 * time.Hour), false, true}, // the station's own clock may be behind
		{day(2107, 12, 31), false, false},
		{day(2100, 1, 1), false, false},
	} {
		if got := IsPlausible(c.at, now, c.trusted); got != c.want {
			t.Errorf("%s, trusted clock %t: got %t, want %t", c.at, c.trusted, got, c.want)
		}
	}
}

func TestTimeInName(t *testing.T) {
	zone := time.FixedZone("ranch", -6*3600)
	want := time.Date(2025, 6, 1, 8, 0, 0, 0, zone)
	for _, name := range []string{"DJI_20250601080000_0001_W.MP4", "VID_20250601_080000.mp4", "20250601-080000.mov",
		"PXL_20250601_080000123.mp4"} {
		if got, ok := TimeInName(name, zone); !ok || !got.Equal(want) {
			t.Errorf("%s: got %s %t, want %s", name, got, ok, want)
		}
	}
	for _, name := range []string{"DJI_0001.MP4", "DJI_20251301080000_0001.MP4", "DJI_20250601250000.MP4", "120250601080000.mp4", ""} {
		if got, ok := TimeInName(name, zone); ok {
			t.Errorf("%s: got %s, want none", name, got)
		}
	}
}

func TestTimeInLog(t *testing.T) {
	want := time.Date(2025, 6, 1, 8, 0, 0, 0, time.UTC)
	for _, text := range []string{"1\n00:00:00,000 --> 00:00:00,033\n<font size=\"28\">FrameCnt: 1\n2025-06-01 08:00:00.123\n[iso: 100]",
		"HOME(1,2) 2025.06.01 08:00:00", "2025-06-01T08:00:00Z"} {
		if got, ok := TimeInLog([]byte(text), time.UTC); !ok || !got.Equal(want) {
			t.Errorf("%q: got %s %t, want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "1\n00:00:00,000 --> 00:00:00,033\n[lat: 1]", "2025-06-41 08:00:00"} {
		if got, ok := TimeInLog([]byte(text), time.UTC); ok {
			t.Errorf("%q: got %s, want none", text, got)
		}
	}
}

func FuzzTimes(f *testing.F) {
	f.Add("DJI_20250601080000_0001_W.MP4")
	f.Add("2025-06-01 08:00:00,123")
	f.Fuzz(func(t *testing.T, s string) {
		if at, ok := TimeInName(s, time.UTC); ok && !IsPlausible(at, day(2099, 1, 1), false) && at.Year() >= firstYear {
			t.Errorf("name %q: %s", s, at)
		}
		if at, ok := TimeInLog([]byte(s), time.UTC); ok && (at.Year() < 2000 || at.Year() > 2099) {
			t.Errorf("log %q: %s", s, at)
		}
	})
}
