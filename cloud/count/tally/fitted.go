package tally

// fitted are the constants of the interval. make calibrate ARGS=--write renews this file.
var fitted = Model{
	Below: 1.696, Above: 2.124, Share: -3.075, Each: 0.106, Doubt: 1.000, Edge: 0.000,
	Weights: [Weights]float64{
		1.300, // small
		0.750, // large
		0.000, // spread
		0.425, // crowded
		0.000, // brief
		0.812, // missed
		0.900, // unsure
		0.700, // merged
		0.000, // walking
		2.737, // guessed
		0.000, // poor
		0.000, // hasty
		0.000, // faint
	},
}
