package motion

// Guess is the pose that the next frame probably has, by the speed of the camera; ok is false before the first frame
// and while nothing of the current segment is known.
func (r *Registrar) Guess() (p Pose, ok bool) {
	if r.last == nil {
		return Pose{}, false
	}
	work := Transform{A: 1 / r.factor}
	pose := r.pose(r.predicted(r.since+1), 0)
	pose.ToGround = work.Then(pose.ToGround).Then(work.Inverse())
	return pose, true
}
