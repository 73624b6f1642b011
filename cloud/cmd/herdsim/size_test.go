package main

import "testing"

func TestFrameSize(t *testing.T) {
	var s frameSize
	if err := s.UnmarshalText([]byte("640x480")); err != nil || s != (frameSize{640, 480}) {
		t.Errorf("%v %v", s, err)
	}
	for _, text := range []string{"", "640", "640x", "x480", "640x480p", "wide"} {
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was accepted as %v", text, s)
		}
	}
}
