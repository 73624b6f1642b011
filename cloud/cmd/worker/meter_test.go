package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestMeterPaceAndLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		m := newMeter(&b, "a.mp4")
		m.show(1, 240, "frames", "")
		if b.Len() != 0 {
			t.Errorf("a line before the first pause is over: %q", b.String())
		}
		<-time.After(10 * time.Second) // virtual
		m.show(120, 240, "frames", "7 animals")
		m.show(121, 240, "frames", "7 animals")
		want := "a.mp4  [############............]  50 %  12.0 frames/s  10s left  7 animals\n"
		if b.String() != want {
			t.Errorf("got  %q\nwant %q", b.String(), want)
		}
		b.Reset()
		<-time.After(10 * time.Second) // virtual
		m.show(300, 0, "frames", "")
		if !strings.Contains(b.String(), "300 frames  15.0 frames/s") {
			t.Errorf("without a total: %q", b.String())
		}
	})
}
