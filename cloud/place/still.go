package place

import (
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/flightlog"
)

// Still places the detections of one photograph of width x height pixels by its log of one sample (flightlog.ReadPhoto).
// The ID of a position is the index of its box; boxes without a place on the ground are left out. Nothing is placed where
// the photograph does not say height, heading and pitch of its camera: one picture has no path to find them from.
func Still(width, height int, boxes []detect.Box, log *flightlog.Log) []Position {
	if log == nil || len(log.Samples) == 0 || len(boxes) == 0 {
		return nil
	}
	s := log.Samples[0]
	if !s.HasPosition() || !known(s.Camera.Yaw) || !known(s.Camera.Pitch) || !known(s.RelAlt) {
		return nil
	}
	in := Input{Width: width, Height: height, Log: log}
	for i, b := range boxes {
		in.Animals = append(in.Animals, Animal{ID: i, Fixes: []track.Fix{{Box: b}}})
	}
	return Find(in).Positions
}
