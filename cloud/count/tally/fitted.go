package tally

// fitted are the constants of the interval. make calibrate ARGS=--write renews this file.
var fitted = Model{
	Below: 1.361, Above: 1.725, Share: -3.533, Each: 0.086,
	Weights: [Weights]float64{
		1.300, // small
		0.300, // large
		0.000, // spread
		0.500, // crowded
		1.300, // brief
		0.050, // edge
		0.600, // missed
		0.000, // unsure
		2.075, // merged
		0.000, // walking
		2.000, // lost
		2.000, // guessed
		1.000, // poor
	},
}
