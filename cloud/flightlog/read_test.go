package flightlog

import (
	"errors"
	"strings"
	"testing"
)

func TestReadSaysWhatAFileIsInstead(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":        {"", "the file is empty"},
		"page":         {"<!DOCTYPE html><p>Log in", "line 1: it is a page in HTML"},
		"page, blanks": {"\n\n  <HTML lang=en><p>Log in", "line 3: it is a page in HTML"},
		"photograph":   {"\xff\xd8\xff\xe1\x00\x00Exif", "a photograph (JPEG)"},
		"video":        {"\x00\x00\x00\x18ftypmp42", "a video (MP4)"},
		"archive":      {"PK\x03\x04\x14\x00", "a ZIP archive"},
		"binary":       {strings.Repeat("\x01\x95\xf0\x10", 400), "binary data"},
		"other text":   {"Dear rancher,\nhere is the log.\n", "no records of a flight"},
		"other films": {"1\n00:00:01,000 --> 00:00:02,000\nHello there\n",
			"none of its 1 records has a position (the first is in line 2)"},
		"no fix": {"1\n00:00:01,000 --> 00:00:02,000\n[latitude: 0.0] [longitude: 0.0]\n",
			"none of its 1 records has a position"},
	} {
		_, err := Read("flight.SRT", strings.NewReader(c.text))
		if !errors.Is(err, ErrNoLog) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadRecognisesSidecars(t *testing.T) {
	const text = "1\n00:00:00,000 --> 00:00:01,000\n[latitude: 60.5] [longitude: 15.25] [rel_alt: 3]\n"
	for name, text := range map[string]string{
		"plain": text, "UTF-16": utf16(text), "mark": "\ufeff" + text, "zeros behind": text + strings.Repeat("\x00",
			5000),
		"zeros before": strings.Repeat("\x00", 3000) + "\n" + text,
		"Latin-1":      text + "\n2\n00:00:01,000 --> x\nGPS (1, 2) 3\xb0\n",
	} {
		l, err := Read("", strings.NewReader(text))
		if err != nil || l.Samples[0].Lat != 60.5 {
			t.Errorf("%s: %v %+v", name, err, l)
		}
	}
}

func TestReadVideoWithoutLog(t *testing.T) {
	for _, text := range []string{"", "x", strings.Repeat("no video ", 1000)} {
		if _, err := ReadVideo(strings.NewReader(text), int64(len(text))); !errors.Is(err, ErrNoLog) {
			t.Errorf("%.10q: %v", text, err)
		}
	}
}
