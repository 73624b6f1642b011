package synthetic

// Tracks are recorded ways of animals, for the herd Replay.
type Tracks struct{}

func (c *Clip) placeTracks() {}
