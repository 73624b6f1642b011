package motion

import "cattlecounter/cloud/count/video"

// Guess is the pose that the frame f, the next one, probably has by the speed of the camera; ok is false before the
// first frame and while nothing of the current segment is known. Of f only the Index is read.
func (r *Registrar) Guess(f *video.Frame) (p Pose, ok bool) {
	if r.last == nil {
		return Pose{}, false
	}
	work := Transform{A: 1 / r.factor}
	pose := r.pose(r.predicted(r.since+r.stepsTo(f)), 0)
	pose.ToGround = work.Then(pose.ToGround).Then(work.Inverse())
	return pose, true
}
