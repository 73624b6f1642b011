package cattle

import (
	"math"

	"cattlecounter/cloud/synthetic/solid"
)

// frame is the frame of the head: forward along the nose, left, and up out of the forehead. Its origin is the poll.
type frame struct{ at, forward, left, up vec }

func (f frame) point(forward, left, up float64) vec {
	return f.at.Add(f.forward.Scale(forward)).Add(f.left.Scale(left)).Add(f.up.Scale(up))
}

// aim is the direction yaw to the left of +x and pitch above level.
func aim(yaw, pitch float64) vec {
	sy, cy := math.Sincos(yaw)
	sp, cp := math.Sincos(pitch)
	return xyz(cy*cp, sy*cp, sp)
}

// front adds neck, head, ears and horns.
func (k *builder) front() {
	base := xyz(0.66, 0, 1.1+k.raise())
	length, thick := 0.54, 1.0
	switch k.Breed {
	case Beef:
		thick = 1.2
	case Yak:
		thick, length = 1.25, 0.46
	case Buffalo:
		thick = 1.05
	}
	dir := aim(k.neckYaw, k.neckPitch)
	poll := base.Add(dir.Scale(length))
	if k.Pose == Lying {
		poll.Z = max(poll.Z, drop+0.3)
	} else {
		poll.Z = max(poll.Z, 0.5)
	}
	middle := base.Mix(poll, 0.5).Add(vec{X: 0.03, Z: 0.03})
	yaw := k.neckYaw + k.headYaw
	f := frame{at: poll, forward: aim(yaw, -k.headPitch), left: xyz(-math.Sin(yaw), math.Cos(yaw), 0)}
	f.up = f.forward.Cross(f.left)
	k.Limb([]solid.Joint{{At: base.Add(vec{X: -0.12}), Width: 0.21 * thick, High: 0.34}, {At: base.Mix(middle, 0.5), Width: 0.18 * thick, High: 0.29},
		{At: middle, Width: 0.155 * thick, High: 0.23}, {At: poll, Width: 0.135 * thick, High: 0.165}, {At: f.point(0.08, 0, -0.02), Width: 0.1, High: 0.11}},
		f.left, k.around-2, partNeck)
	k.skull(f)
}

func (k *builder) skull(f frame) {
	wide := 1.12
	if k.Breed == Yak || k.Breed == Beef {
		wide = 1.28
	}
	joint := func(forward, up, width, high float64) solid.Joint {
		return solid.Joint{At: f.point(forward, 0, up), Width: width * wide, High: high}
	}
	k.Limb([]solid.Joint{joint(-0.07, -0.02, 0.06, 0.05), joint(-0.03, -0.01, 0.105, 0.1), joint(0.08, -0.02, 0.125, 0.14), joint(0.18, -0.03, 0.125, 0.145),
		joint(0.3, -0.03, 0.095, 0.12), joint(0.4, -0.03, 0.08, 0.1)}, f.left, k.around-3, partHead)
	k.Limb([]solid.Joint{joint(0.36, -0.03, 0.078, 0.095), joint(0.44, -0.035, 0.088, 0.095), joint(0.5, -0.04, 0.085, 0.085), joint(0.535, -0.045, 0.05, 0.05)},
		f.left, k.around-3, partMuzzle)
	for _, y := range []float64{-1, 1} {
		root := f.point(0.0, 0.1*wide*y, 0.02)
		tip := f.left.Scale(y * (1 - 0.25*k.earDrop)).Add(f.forward.Scale(-0.25)).Add(vec{Z: 0.15 - 0.5*k.earDrop}).Unit()
		across := tip.Cross(f.forward).Unit()
		k.Ball(root.Add(tip.Scale(0.11)), tip.Scale(0.14), f.forward.Scale(0.075), across.Scale(0.03), 6, 4, nil, partEar)
		if k.horned {
			k.horn(f, y, wide)
		}
	}
}

// horn adds a horn in the form of the breed.
func (k *builder) horn(f frame, y, wide float64) {
	// Out, forward and up of each point, from the root to the tip.
	line := [][3]float64{{0.08, 0, 0.08}, {0.17, 0.02, 0.13}, {0.21, 0.1, 0.2}, {0.2, 0.16, 0.26}}
	thick := 0.032
	switch k.Breed {
	case Yak:
		line, thick = [][3]float64{{0.09, 0, 0.08}, {0.26, 0, 0.12}, {0.36, 0.06, 0.26}, {0.32, 0.1, 0.42}}, 0.045
	case Buffalo:
		line, thick = [][3]float64{{0.1, -0.02, 0.08}, {0.28, -0.12, 0.1}, {0.38, -0.3, 0.14}, {0.3, -0.46, 0.2}}, 0.06
	}
	var joints []solid.Joint
	for i, p := range line {
		r := thick * (1 - 0.28*float64(i))
		joints = append(joints, solid.Joint{At: f.point(p[1], p[0]*y*wide, p[2]), Width: r, High: r})
	}
	k.Limb(joints, f.forward, 5, partHorn)
}
