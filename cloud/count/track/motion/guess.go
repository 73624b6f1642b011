package motion

// Guess is the pose that the next frame probably has, by the speed of the camera; ok is false before the first frame.
func (r *Registrar) Guess() (p Pose, ok bool) {
	if r.last == nil {
		return Pose{}, false
	}
	return Pose{ToGround: r.step.Then(r.last.pose).scaled(float64(r.factor)), Segment: r.segment}, true
}
