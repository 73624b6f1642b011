package scene

import "fmt"

// Clips returns the clips of the bench: simulated ones, and those over the hand-outs in the folder data that are there.
// missing has a line for each kind of clip that the hand-outs do not allow.
func Clips(data string, simulated int) (all []Clip, missing []string) {
	all = simulations(simulated)
	for _, part := range []struct {
		what  string
		clips []Clip
	}{
		{"flights over real stills (drone-stills, nadir-stills)", pans(data)},
		{"real animals on empty ground (empty-ground, dairy-boxes)", compositions(data)},
	} {
		if len(part.clips) == 0 {
			missing = append(missing, fmt.Sprintf("%s: not in %s; these clips are left out", part.what, data))
		}
		all = append(all, part.clips...)
	}
	return all, missing
}
